"""What the demo ends with: what was found, the arms, the verdict in one sentence, what to look at next."""

from __future__ import annotations

from typing import Any

from evaluation.report import ArmResult, newest_report
from evaluation.verdict import newest_verdict
from rung.demo.planted import planted_lines
from rung.demo.walk import Walk
from rung.report.figures import arm_name, interval, money, percent
from rung.report.verdict_words import sentences
from workspace.folder import Project


def ending(walk: Walk) -> list[str]:
    """The last lines of the demo, all of them read from the artefacts."""
    lines = ["", "══ What was planted, and what was found"]
    lines += planted_lines(walk.project, walk.task, fast=walk.fast)
    lines += ["", f"══ The ladder on {walk.task.name}: {walk.task.about}"]
    lines += [f"  {'Arm':<22} {'Score, 95% interval':<24} {'Seconds':>7} {'Cost':>8}"]
    lines += [_arm_line(arm) for arm in _arms(walk.project)]
    lines += ["", *_verdict(walk), ""]
    lines += [f"! {note}" for note in walk.task.notes]
    minutes, seconds = divmod(round(sum(walk.seconds.values())), 60)
    lines += ["", f"{minutes} min {seconds} s in all, in {walk.project.root}", ""]
    lines += [
        "Look at: evaluations/*/report.html   the arms, item by item",
        "         rung why RELEASE            the chain from the release back to each row",
        "         rung review                 the candidates that wait for a person",
        "",
        f"Next: cd {walk.project.root} && rung",
    ]
    return lines


def document(walk: Walk) -> dict[str, Any]:
    """The same for `--json`: each step with its seconds and exit code, the arms, the verdict or None."""
    found = newest_verdict(walk.project)
    fields = {"arm", "score", "low", "high", "seconds", "cost_usd"}
    return {
        "project": str(walk.project.root),
        "task": walk.task.name,
        "fast": walk.fast,
        "steps": {name: {"seconds": walk.seconds[name], "exit": code} for name, code in walk.exits.items()},
        "arms": [arm.model_dump(mode="json", include=fields) for arm in _arms(walk.project)],
        "verdict": found[1].model_dump(mode="json") if found else None,
        "seconds": round(sum(walk.seconds.values()), 1),
    }


def _arms(project: Project) -> list[ArmResult]:
    found = [newest_report(project, "baseline"), newest_report(project, "run")]
    return [arm for report in found if report for arm in report[1].arms]


def _arm_line(arm: ArmResult) -> str:
    score = f"{percent(arm.score)}  {interval(arm.low, arm.high)}"
    return f"  {arm_name(arm.arm):<22} {score:<24} {arm.seconds:>7.0f} {money(arm.cost_usd):>8}"


def _verdict(walk: Walk) -> list[str]:
    found = newest_verdict(walk.project)
    if found:
        return [" ".join(sentences(found[1]))]
    return ["No training was needed: the advice was settled by measurement. The best prompt was released."]
