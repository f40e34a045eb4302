"""Answers from a baseline report: the rungs that reach the goal on validation, and the new advice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.answer_file import answers_at, record_measured, with_measured
from advisor.answers import FACTS, Answers
from advisor.decide import advise_project
from advisor.decision import Decision
from curation.split.manifest import newest_dataset, read_manifest
from curation.store import open_store, store_exists
from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.registry import CALLED
from evaluation.measurement_report import ArmResult, ItemOutcome, Report, newest_report
from evaluation.verdict.compare import compare
from evaluation.verdict.intervals import TOLERANCE, is_binary
from evaluation.verdict.rule import ShipRule, detectable
from workspace.artefact import revised
from workspace.folder import Project
from workspace.settings import Settings

if TYPE_CHECKING:
    from evaluation.bench import Bench

Facts = dict[str, str | int | bool | None]
"""Answers by key, as Rung measured them; None takes one back."""
FEWEST_VERSIONS = 3
WEEK_OF_EFFORT = 5.0
BY_EXAMPLES = ("few_shot", "many_shot", "retrieved")


def is_enough(versions: int, days: float | None = None, vouched_by: str = "") -> bool:
    """True if enough effort went into the prompts: three versions, and a week or a person who confirmed them."""
    return versions >= FEWEST_VERSIONS and ((days or 0.0) >= WEEK_OF_EFFORT or bool(vouched_by))


def judge_rungs(arms: Sequence[ArmResult], goal: float | None, enough: bool) -> dict[str, str]:
    """Return the measured facts `prompting`, `few_shot`, `rag`, `optimised` and `classifier`, where they were judged.

    Judged on validation, never on test. A prompt that falls short counts as `insufficient` only with `enough` effort
    and an arm with examples beside it, else as `weak_effort`.
    """
    arms = [arm for arm in arms if not arm.unmeasured]
    scores = {arm.arm: arm.validation for arm in arms if arm.validation is not None}
    if goal is None or not scores:
        return {}
    judged = {}
    if "prompt" in scores:
        short = "insufficient" if enough and any(name in scores for name in BY_EXAMPLES) else "weak_effort"
        judged["prompting"] = _works(scores["prompt"], goal) or short
    for fact, names in (("few_shot", BY_EXAMPLES), ("rag", ("rag", "combined"))):
        found = [scores[name] for name in names if name in scores and _counts(name, arms)]
        if found:
            judged[fact] = _works(max(found), goal) or "insufficient"
    if "optimised" in scores:
        judged["optimised"] = _works(scores["optimised"], goal) or "insufficient"
    classifier = best_classifier(arms)
    if classifier is not None:
        score = classifier.validation or 0.0
        beaten = max((a.validation or 0.0 for a in arms if a.prompted), default=0.0) > score + TOLERANCE
        judged["classifier"] = (None if beaten else _works(score, goal)) or "insufficient"
    return judged


def best_classifier(arms: Sequence[ArmResult]) -> ArmResult | None:
    """Return the classifier or the encoder, as validation prefers; the plainer one of equals. None without one."""
    known = [a for a in arms if a.arm in CLASSIFIERS and a.validation is not None and not a.unmeasured]
    return max(known, key=lambda arm: round((arm.validation or 0.0) / TOLERANCE), default=None)


def form_of(reached: str, report: Report | None) -> str:
    """Return the form to release of what reached the goal (`Decision.reached`): of two classifiers the better one."""
    best = best_classifier(report.arms) if reached == "classifier" and report else None
    return CALLED.get(best.arm, best.arm) if best else reached


def best_untuned(report: Report) -> ArmResult | None:
    """Return the best way of answering without tuning, by validation: a classifier where no prompted arm beats it."""
    arms = {arm.arm: arm for arm in report.arms if not arm.unmeasured}
    chosen, classifier = arms.get(report.chosen or ""), best_classifier(report.arms)
    if classifier is None:
        return chosen or next((arms[name] for name in CLASSIFIERS if name in arms), None)
    beaten = chosen is not None and (chosen.validation or 0.0) > (classifier.validation or 0.0) + TOLERANCE
    return chosen if beaten else classifier


def _works(score: float, goal: float) -> str | None:
    return "works" if score >= goal - TOLERANCE else None


def _counts(name: str, arms: Sequence[ArmResult]) -> bool:
    """True if the arm counts; `combined` counts for rag only with documents."""
    return name != "combined" or any(a.arm == "combined" and "retrieval_recall" in a.extra for a in arms)


def smallest_difference(
    arms: Sequence[ArmResult], outcomes: Iterable[ItemOutcome], groups: Mapping[int, str] | None = None
) -> float | None:
    """Return the difference between the two best prompted arms that the test items can detect with 80% power."""
    best = sorted((a for a in arms if a.prompted), key=lambda a: -a.score)[:2]
    if len(best) < 2:
        return None
    forms = {arm.arm: arm.form for arm in best}
    scores: dict[str, dict[int, float]] = {arm: {} for arm in forms}
    for outcome in outcomes:
        if outcome.split == "test" and forms.get(outcome.arm) == outcome.form:
            scores[outcome.arm][outcome.item] = outcome.score
    first, second = (list(scores[arm.arm].values()) for arm in best)
    named = None if groups is None else [groups[item] for item in scores[best[0].arm]]
    return detectable(compare(second, first, named), ShipRule(margin=0.0), not is_binary([*first, *second]))


BY = "rung baseline"
RUNGS = ("prompting", "few_shot", "rag", "optimised", "classifier")
"""The answers that a baseline judges."""


def newest_baseline(project: Project, settings: Settings) -> tuple[Path, Report] | None:
    """Return the newest baseline on the newest frozen test set, scored by the project's metric, or None."""
    dataset = newest_dataset(project)
    test = read_manifest(dataset).splits.get("test") if dataset else None
    found = newest_report(project, "baseline", test_sha256=test.sha256) if test else None
    return found if found and found[1].metric == settings.evaluation.scored_by else None


def rejudged(report: Report, answers: Answers) -> Report:
    """Return the report judged against the goal and the effort that the answers name now. Nothing is measured again."""
    goal = answers.goal_score
    if report.versions is None and goal == report.goal:
        return report
    prompt = next((arm.tries for arm in report.arms if arm.arm == "prompt"), 0)
    versions = prompt if report.versions is None else report.versions
    judged = judge_rungs(report.arms, goal, is_enough(versions, answers.prompt_effort_days, report.vouched_by))
    return revised(report, goal=goal, judged=judged)


def with_judged(project: Project, settings: Settings, answers: Answers) -> Answers:
    """Return the answers with what the newest baseline says of them as they are now; nothing is written.

    The one way from a measurement to answers: `rung advise`, the program, the gates and `rung status` take it, so that
    a goal that is named after the measurement counts at once.
    """
    facts = _facts_now(project, settings, answers)
    return with_measured(answers, facts, BY) if facts else answers


def judge_again(project: Project, settings: Settings) -> bool:
    """Write the result of `with_judged` into answers.toml; True if anything changed."""
    if not project.answers_file.exists():
        return False
    facts = _facts_now(project, settings, answers_at(project.answers_file))
    if facts:
        record_measured(project.answers_file, facts, BY)
    return bool(facts)


def _facts_now(project: Project, settings: Settings, answers: Answers) -> Facts:
    found = newest_baseline(project, settings)
    return _changed_facts(rejudged(found[1], answers), answers) if found else {}


def page_to_write(project: Project, settings: Settings) -> Path | None:
    """Folder of the newest baseline where its page is older than the answers, which hold the goal; else None."""
    found = newest_baseline(project, settings)
    page = found[0] / "report.html" if found else None
    if found is None or page is None or not (page.exists() and project.answers_file.exists()):
        return None
    return found[0] if page.stat().st_mtime_ns < project.answers_file.stat().st_mtime_ns else None


def unjudged(project: Project, settings: Settings) -> Report | None:
    """Return the newest baseline where no goal is named by which it could be judged; else None."""
    found = newest_baseline(project, settings)
    return found[1] if found and answers_at(project.answers_file).goal_score is None else None


def _changed_facts(report: Report, answers: Answers) -> Facts:
    """Return rungs that are judged otherwise than the answers say; None takes a judgement back."""
    measured = answers.measured()
    changed: Facts = {}
    for rung in RUNGS:
        fact = report.judged.get(rung)
        if fact is not None and (rung not in measured or getattr(answers, rung) != fact):
            changed[rung] = fact
        elif fact is None and rung in measured:
            changed[rung] = None
    return changed


def take_over(project: Project, settings: Settings, bench: Bench, report: Report) -> Decision:
    """Record the measured facts in answers.toml, decide again and write decision.json."""
    answers = answers_at(project.answers_file)
    facts = {**_changed_facts(rejudged(report, answers), answers), **count_rows(project, settings, bench)}
    record_measured(project.answers_file, {k: v for k, v in facts.items() if k in FACTS}, BY)
    return advise_project(project)


def count_rows(project: Project, settings: Settings, bench: Bench) -> Facts:
    """Return `examples`, `reviewed_examples`, `test_set` and, for a closed set, `classes` and `smallest_class`: of the
    store's rows that could train, else of the frozen rows that arms may show.
    """
    examples, reviewed = list(bench.rows.examples), len(bench.rows.examples)
    if store_exists(project, settings):
        with open_store(project, settings) as store:
            found = [r for r in store.rows(role=["pool", "train", "candidates"]) if r.example.answer is not None]
        usable = [r for r in found if r.is_reviewed or (r.role != "candidates" and r.state != "rejected")]
        examples, reviewed = [r.example for r in usable], sum(r.is_reviewed for r in usable)
    facts: Facts = {"examples": len(examples), "reviewed_examples": reviewed, "test_set": True}
    counts = Counter(example.answer for example in examples if example.answer)
    if bench.closed and counts:
        facts |= {"classes": len(counts), "smallest_class": min(counts.values())}
    return facts
