"""`rung status` in lines: the same sentence, order and words as the Start screen."""

from evaluation.arms.registry import arm_name
from rung.status.following import WATCH
from rung.status.stages import RUNGS, Status
from rung.text.baseline_text import dots, scale

AGAIN = f"When new request logs arrive: {WATCH}"
"""The last line of a project in which nothing waits."""
NAME = 42
"""Columns of a rung's name, score and arm, before its place on the scale."""


def status_lines(status: Status) -> list[str]:
    """Return the next step, then the stages, then the ladder; the last line is the next command."""
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


def ladder_lines(status: Status, plot: int = 0) -> list[str]:
    """Return the measured ladder, the highest rung first, with intervals on a scale of `plot` characters."""
    goal = f"goal {status.ladder.goal:.1%}" if status.ladder.goal is not None else "no goal named"
    lines = [f"  The ladder: climb only as high as you need   {goal}"]
    if plot and status.ladder.intervals:
        lines.append(f"{'':<{NAME + 4}}{scale(plot, status.ladder.goal)}")
    for name in status.ladder.rungs:
        low_high, score = status.ladder.intervals.get(name), status.ladder.scores.get(name)
        text = f"    {_rung(status, name)}"
        if plot and low_high is not None and score is not None:
            text = f"{text:<{NAME + 4}}{dots(low_high[0], score, low_high[1], plot, status.ladder.goal)}"
        lines.append(text)
    return lines


def review_line(status: Status, bar: int) -> str:
    """Return the reviewed share as a bar of `bar` characters; empty if there is no review."""
    decided, of = status.reviewed
    if not of:
        return ""
    filled = bar * decided // of
    words = f"The review: {decided:,} of {of:,} decided"
    return f"{words:<{NAME + 2}}{'━' * filled}{'─' * (bar - filled)}  {decided / of:.0%}"


def _rung(status: Status, name: str) -> str:
    score = status.ladder.scores.get(name)
    arm = arm_name(status.ladder.arms.get(name) or name)
    which = "" if arm in (RUNGS[name], "tuned") else f", {arm}"
    return f"{RUNGS[name]:<10} {'not measured' if score is None else f'{score:.1%}{which}'}"
