"""What a baseline report says about the ladder: which rungs work, judged on validation against the goal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.example import Example
from evaluation.compare import TOLERANCE, compare
from evaluation.report import ArmResult, Outcome, Report
from evaluation.verdict import Rule, detectable

FEWEST_VERSIONS = 3
WEEK_OF_EFFORT = 5.0
"""Working days."""
BY_EXAMPLES = ("few_shot", "many_shot", "retrieved")


@dataclass(frozen=True, slots=True)
class Effort:
    """What stands behind the prompts: versions tried, days spent, and who vouches for them in place of the days."""

    versions: int
    days: float | None = None
    vouched_by: str = ""

    @property
    def is_enough(self) -> bool:
        """At least three versions and a week, or a name and a reason."""
        return self.versions >= FEWEST_VERSIONS and ((self.days or 0.0) >= WEEK_OF_EFFORT or bool(self.vouched_by))


def judge_rungs(arms: Sequence[ArmResult], goal: float | None, effort: Effort) -> dict[str, str]:
    """The facts `prompting`, `few_shot`, `rag` and `classifier` as measured; a rung that was not judged is left out.

    Judged on validation, never on test. A prompt that falls short counts as `insufficient` only with enough effort
    and an arm with examples beside it, else as `weak_effort`.
    """
    scores = {arm.arm: arm.validation for arm in arms if arm.validation is not None}
    if goal is None or not scores:
        return {}
    judged = {}
    if "prompt" in scores:
        enough = effort.is_enough and any(name in scores for name in BY_EXAMPLES)
        judged["prompting"] = _works(scores["prompt"], goal) or ("insufficient" if enough else "weak_effort")
    for fact, names in (("few_shot", BY_EXAMPLES), ("rag", ("rag", "combined"))):
        found = [scores[name] for name in names if name in scores and _counts(name, arms)]
        if found:
            judged[fact] = _works(max(found), goal) or "insufficient"
    if "classical" in scores:
        beaten = max((a.validation or 0.0 for a in arms if a.prompted), default=0.0) > scores["classical"] + TOLERANCE
        judged["classifier"] = (None if beaten else _works(scores["classical"], goal)) or "insufficient"
    return judged


def _works(score: float, goal: float) -> str | None:
    return "works" if score >= goal - TOLERANCE else None


def _counts(name: str, arms: Sequence[ArmResult]) -> bool:
    """`combined` counts for rag only where it had documents."""
    return name != "combined" or any(a.arm == "combined" and "retrieval_recall" in a.extra for a in arms)


def smallest_difference(
    report: Report, outcomes: Iterable[Outcome], groups: Mapping[int, str] | None = None
) -> float | None:
    """Between the two best prompted arms on the test items: what can be told from 0 with 80% chance."""
    best = sorted((a for a in report.arms if a.prompted), key=lambda a: -a.score)[:2]
    if len(best) < 2:
        return None
    forms = {arm.arm: arm.form for arm in best}
    scores: dict[str, dict[int, float]] = {arm: {} for arm in forms}
    for outcome in outcomes:
        if outcome.split == "test" and forms.get(outcome.arm) == outcome.form:
            scores[outcome.arm][outcome.item] = outcome.score
    first, second = (list(scores[arm.arm].values()) for arm in best)
    named = None if groups is None else [groups[item] for item in scores[best[0].arm]]
    binary = groups is None and {*first, *second} <= {0.0, 1.0}
    return detectable(compare(second, first, named), Rule(margin=0.0), binary)


def data_facts(examples: Sequence[Example], reviewed: int, closed: bool) -> dict[str, Any]:
    """The facts `examples`, `reviewed_examples`, `test_set` and, for a closed set, `classes` and `smallest_class`."""
    facts: dict[str, Any] = {"examples": len(examples), "reviewed_examples": reviewed, "test_set": True}
    counts = Counter(example.answer for example in examples if example.answer)
    if closed and counts:
        facts |= {"classes": len(counts), "smallest_class": min(counts.values())}
    return facts
