"""`rung status` in lines: the same sentence, order and words as the Start screen."""

from __future__ import annotations

from rung.status.stages import RUNGS, WATCH, Status
from rung.text.figures import arm_name

AGAIN = f"When new request logs arrive: {WATCH}"
"""The last line of a project in which nothing waits."""


def status_lines(status: Status) -> list[str]:
    """What is next first, then the stages, then the ladder; the last line is the next command."""
    lines = [next_sentence(status), ""]
    for stage in status.stages:
        lines.append(f"  {stage.key} {stage.symbol} {stage.name:<10}  {stage.word:<10} {status.in_shell(stage)}")
    lines += ["", *ladder_lines(status)]
    for problem in status.problems:
        lines += ["", problem]
    if status.next:
        lines += ["", f"Next: {status.next.command}"]
    elif status.stage("Release").state == "done":
        lines += ["", AGAIN]
    return lines


def next_sentence(status: Status) -> str:
    """`Next: review 432 rows.`, or that nothing waits."""
    if status.next:
        return f"Next: {status.next.next or status.next.reason}."
    release = status.stage("Release")
    if release.state == "done":
        return f"{release.reason[0].upper()}{release.reason[1:]}. Nothing waits for you."
    return "Nothing waits for you."


def ladder_lines(status: Status) -> list[str]:
    """The measured ladder, the highest rung first."""
    goal = f"goal {status.ladder.goal:.1%}" if status.ladder.goal is not None else "no goal named"
    lines = [f"  The ladder: climb only as high as you need   {goal}"]
    for name in status.ladder.rungs:
        lines.append(f"    {_rung(status, name)}")
    return lines


def _rung(status: Status, name: str) -> str:
    score = status.ladder.scores.get(name)
    arm = arm_name(status.ladder.arms.get(name) or name)
    which = "" if arm in (RUNGS[name], "tuned") else f", {arm}"
    return f"{RUNGS[name]:<10} {'not measured' if score is None else f'{score:.1%}{which}'}"
