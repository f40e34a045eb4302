"""End of the demo: findings, arms, the verdict in one sentence, and what to open next."""

import re
from collections import Counter
from collections.abc import Iterable

from curation.store import StoredRow, open_store
from evaluation.arms.registry import arm_name
from evaluation.measurement_report import ArmResult, newest_report
from evaluation.verdict.rule import newest_verdict
from rung.demo.house_line import DemoRows, rows
from rung.demo.walk import Walk
from rung.text.evaluation_text import about_data
from rung.text.verdict_text import sentences
from workspace.counted import interval, money, percent
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import load_settings

NAME = "house-line"


def ending(walk: Walk) -> list[str]:
    """Return the last lines of the demo, all of them read from the artefacts."""
    lines = ["", "══ What was planted, and what was found"]
    lines += planted_lines(walk.project, rows(walk.fast))
    lines += ["", f"══ The ladder on {NAME}: a clinic's shorthand in, the house line (category, system, side) out"]
    lines += [f"  {'Arm':<22} {'Score, 95% interval':<24} {'Seconds':>7} {'Cost':>8}"]
    lines += [_arm_line(arm) for arm in _arms(walk.project)]
    lines += ["", *_verdict(walk), ""]
    lines += [f"! {note}" for note in about_data(walk.project)]
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


def document(walk: Walk) -> JsonObject:
    """Return the same for `--json`: each step with its seconds and exit code, the arms, the verdict or None."""
    found = newest_verdict(walk.project)
    fields = {"arm", "score", "low", "high", "seconds", "cost_usd"}
    return {
        "project": str(walk.project.root),
        "task": NAME,
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


WORDS = {
    "exact": "exact copies",
    "near": "near copies (case, punctuation)",
    "leak": "leaks from the test set",
    "contradiction": "contradictions",
    "malformed": "malformed lines",
}


def planted_lines(project: Project, rows: DemoRows) -> list[str]:
    """Return one line a kind that was planted: found, of how many."""
    found = _found(project, rows)
    return [f"  {WORDS[kind]:<34} {found[kind]:>3} of {len(planted)} found" for kind, planted in rows.planted.items()]


def _found(project: Project, rows: DemoRows) -> dict[str, int]:
    """Return the kind -> how many of the planted phrases the checks named."""
    with open_store(project, load_settings(project.settings_file)) as store:
        out = store.rows(role="pool", excluded=True)
        rejected = store.rows(role="pool", state="rejected", excluded=None)
        finding = {change.id: change.finding for change in store.changes(undone=None)}
        crossed = {name for link in store.links() if link.kind == "contradiction" for name in (link.row, link.other)}
        named = {
            "exact": [row for row in out if finding.get(row.change or 0) == "duplicates"],
            "near": [row for row in out if finding.get(row.change or 0) == "duplicates"],
            "leak": [row for row in out if finding.get(row.change or 0) == "leaks"],
            "contradiction": [*rejected, *(store.rows(ids=sorted(crossed)) if crossed else [])],
        }
        malformed = sum(source.counts.get("rejected", 0) for source in store.sources())
    found = {kind: _hits(rows.planted[kind], named[kind]) for kind in named}
    return {**found, "malformed": min(malformed, len(rows.planted["malformed"]))}


def _hits(planted: Iterable[str], rows: Iterable[StoredRow]) -> int:
    """Return the number of planted phrases among these rows, each row counted once.

    Case and punctuation do not count: of a copy and its original either may be the one that was taken out.
    """
    named, wanted = Counter(_bare(row.example.question) for row in rows), Counter(map(_bare, planted))
    return sum(min(count, named[phrase]) for phrase, count in wanted.items())


def _bare(phrase: str) -> str:
    return " ".join(re.findall(r"\w+", phrase.lower()))
