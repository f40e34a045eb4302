"""A judge on a run that has its verdict: what it says of each arm, held against people's labels, into the verdict.

It informs; it decides only where `[evaluation] metric = "judge"` was named before the test set was opened, and then
only as far as people's labels bear it out.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

from chat.protocols import ChatModel, Progress
from curation.store import open_store, store_exists
from evaluation.asking import Replies
from evaluation.compare import Comparison, compare, normal_quantile, z_power
from evaluation.human import begun_comparison, preferred_items
from evaluation.judge_error import calibrated, corrected_difference, length_bias
from evaluation.judge_labels import People, Sitting, read_people
from evaluation.judge_report import Judged, JudgedRival, JudgeReport
from evaluation.judging import judge_pairs, judge_rubric, judge_scores, read_rubric
from evaluation.verdict import Verdict, rule_on
from workspace.errors import RungError
from workspace.files import sha256_bytes
from workspace.folder import Project
from workspace.settings import Settings

Watch = Callable[[str], Progress | None]
NOT_CHECKED = "The judge was not checked by people, so it decides nothing yet: rung judge RUN --sheet FILE"


def judge_run(sitting: Sitting, model: ChatModel, replies: Replies, watch: Watch) -> JudgeReport:
    """Ask the judge of every output that counts, and hold it against people's labels."""
    pinned(model)
    rubric = read_rubric(sitting.project)
    if sitting.settings.judge.kind == "pairs":
        return _pairs(sitting, model, rubric, replies, watch)
    people = read_people(sitting)
    said = {arm: _says(sitting, arm, model, rubric, replies, watch) for arm in sitting.arms}
    arms = [_judged(sitting, arm, said[arm], people.by_arm.get(arm, {})) for arm in sitting.arms]
    rivals = [_rival(sitting, arm, said, arms, people) for arm in sitting.arms if arm != "tuned"]
    notes = [*written_by(sitting, model), *_people_notes(people)]
    return _report(sitting, model, rubric, arms, rivals, people, notes)


def _says(
    sitting: Sitting, arm: str, model: ChatModel, rubric: str, replies: Replies, watch: Watch
) -> dict[int, float | None]:
    cases, progress = sitting.cases(arm), watch(f"{arm}, judged")
    graded = sitting.settings.judge.kind == "score"
    found = (judge_scores if graded else judge_rubric)(model, rubric, list(cases.values()), replies, progress)
    return {item: None if value is None else float(value) for item, value in zip(cases, found, strict=True)}


def _judged(sitting: Sitting, arm: str, said: Mapping[int, float | None], people: Mapping[int, float]) -> Judged:
    found = calibrated(arm, said, people, sitting.scale, sitting.verdict.confidence, sitting.groups)
    lengths = {item: len(outcome.output) for item, outcome in sitting.outcomes[arm].items()}
    plain = {item: value or 0.0 for item, value in said.items()}
    return found.model_copy(update={"length_bias": length_bias(plain, people, lengths)})


def _rival(
    sitting: Sitting,
    arm: str,
    said: Mapping[str, Mapping[int, float | None]],
    arms: list[Judged],
    people: People,
) -> JudgedRival:
    """Tuned minus the arm. Corrected only where the judge may be used on both."""
    mine, other = ({i: v or 0.0 for i, v in said[name].items()} for name in ("tuned", arm))
    raw = sum(mine[i] - other[i] for i in mine) / len(mine)
    why = next((f"{a.arm}: {a.why}" for a in arms if a.arm in ("tuned", arm) and not a.used), "")
    labelled = [people.by_arm.get(name, {}) for name in ("tuned", arm)]
    both = {item: (labelled[0][item], labelled[1][item]) for item in labelled[0] if item in labelled[1]}
    if why or len(both) < 2:
        return JudgedRival(arm=arm, raw=raw, why=why or "people judged both outputs of fewer than two items")
    found = corrected_difference(mine, other, both, sitting.verdict.confidence, sitting.groups)
    return JudgedRival(arm=arm, raw=raw, clusters=_clusters(sitting, both), **found)


def _clusters(sitting: Sitting, labelled: Collection[int]) -> int | None:
    """How many groups the labelled items are of; None where items stand for themselves."""
    return None if sitting.groups is None else len({sitting.groups[item] for item in labelled})


def _pairs(sitting: Sitting, model: ChatModel, rubric: str, replies: Replies, watch: Watch) -> JudgeReport:
    """Tuned beside the chosen arm, both orders; people's preferences come from the blind comparison."""
    chosen, items = sitting.verdict.chosen, list(sitting.outcomes["tuned"])
    mine, other = sitting.cases("tuned"), sitting.cases(chosen)
    found = judge_pairs(
        model, rubric, [mine[i] for i in items], [other[i] for i in items], replies, watch("pairs, judged")
    )
    said = {item: float(p) for item, p in zip(items, found.preferences, strict=True)}
    comparison = begun_comparison(sitting.project)
    same_run = comparison is not None and comparison.plan.run == sitting.verdict.run
    placed = preferred_items(comparison, chosen) if comparison is not None and same_run else {}
    people = {items[place - 1]: value for place, value in placed.items()}
    judged = calibrated(chosen, said, people, sitting.scale, sitting.verdict.confidence, sitting.groups)
    rival = JudgedRival(
        arm=chosen,
        raw=judged.raw,
        corrected=judged.corrected,
        low=judged.low,
        high=judged.high,
        why=judged.why,
        clusters=_clusters(sitting, people),
    )
    raters = tuple(comparison.answers()) if comparison is not None and same_run else ()
    report = _report(sitting, model, rubric, [judged], [rival], People({}, raters), written_by(sitting, model))
    return report.model_copy(update={"flipped": found.flipped, "longer": found.longer})


def _report(
    sitting: Sitting,
    model: ChatModel,
    rubric: str,
    arms: list[Judged],
    rivals: list[JudgedRival],
    people: People,
    notes: list[str],
) -> JudgeReport:
    faults = [rival.why for rival in rivals if rival.why]
    return JudgeReport(
        run=sitting.verdict.run or "",
        kind=sitting.settings.judge.kind,
        model=model.name,
        rubric_sha256=sha256_bytes(rubric.encode()),
        confidence=sitting.verdict.confidence,
        decides=sitting.decides,
        used=not faults,
        why=faults[0] if faults else "",
        arms=arms,
        rivals=rivals,
        raters=list(people.raters),
        alpha=people.alpha,
        notes=notes,
    )


def _people_notes(people: People) -> list[str]:
    split = [f"{people.split} outputs on which the raters were split were left out"] if people.split else []
    cut = [f"the last label of {name} is not whole: it is being written, or was cut, and is asked again"
           for name in people.cut]  # fmt: skip
    return [*split, *cut]


def written_by(sitting: Sitting, model: ChatModel) -> list[str]:
    """What the judge itself wrote: candidates of the project, or the outputs it judges. It favours its own."""
    drafted = drafted_by(sitting.project, sitting.settings).get(model.name, 0)
    told = [f"the judge {model.name} also drafted {drafted} rows of this project"] if drafted else []
    named = (sitting.settings.model.base, sitting.settings.bigger_model.base)
    if sitting.settings.judge.base in [name for name in named if name]:
        told.append(f"the judge {model.name} also wrote outputs that it judges")
    return told


def drafted_by(project: Project, settings: Settings) -> dict[str, int]:
    """How many rows of the store each model drafted."""
    if not store_exists(project, settings):
        return {}
    with open_store(project, settings) as store:
        return dict(Counter(str(row.meta["model"]) for row in store.rows(excluded=None) if row.meta.get("model")))


def pinned(model: ChatModel) -> None:
    """Raises RungError for a name that means another model tomorrow."""
    if model.name.lower().endswith("latest"):
        raise RungError(f'The judge "{model.name}" is not pinned: name an exact version.', "[judge] base in rung.toml")


def unchecked(verdict: Verdict) -> Verdict:
    """A verdict on a judge's scores that nobody has checked: whatever they say, more data is needed."""
    return verdict.model_copy(update={"verdict": "need_more_data", "notes": [NOT_CHECKED, *verdict.notes]})


def with_judge(verdict: Verdict, report: JudgeReport) -> Verdict:
    """The verdict that names the judge; ruled anew on the corrected differences where the judge decides."""
    named = verdict.model_copy(update={"judge": report})
    if not report.decides:
        return named
    notes = [note for note in verdict.notes if note != NOT_CHECKED]
    if fault := report.why if not report.used else _of_one_training(verdict):
        why = f"The judge decides nothing: {fault}"
        return named.model_copy(update={"verdict": "need_more_data", "notes": [why, *notes]})
    results = {rival.arm: _corrected(verdict, report, rival.arm) for rival in verdict.arms}
    may_ship = verdict.place is None or verdict.planned_runs is None or verdict.place <= verdict.planned_runs
    against = results[verdict.chosen]
    groups = [rival.clusters for rival in report.rivals if rival.clusters is not None]
    arms = [
        rival.model_copy(update={"difference": r.difference, "low": r.low, "high": r.high})
        for rival, r in zip(verdict.arms, results.values(), strict=True)
    ]
    update = {
        "verdict": rule_on(results, verdict.chosen, verdict.margin, min(groups, default=None), may_ship),
        "difference": against.difference,
        "low": against.low,
        "high": against.high,
        "arms": arms,
        **_sight(against, verdict),
        "notes": ["Differences are the judge's, corrected by people's labels; both errors are in the interval", *notes],
    }
    return named.model_copy(update=update)


def _of_one_training(verdict: Verdict) -> str:
    """Why people's labels do not correct a verdict on several trainings; empty for one."""
    if not verdict.trainings:
        return ""
    return f"people labelled the outputs of {verdict.run} alone, one of {len(verdict.trainings)} trainings"


def _sight(against: Comparison, verdict: Verdict) -> dict[str, Any]:
    """What a corrected interval can show, from its own width (normal approximation); items alone settle nothing."""
    half = max(against.high - against.difference, against.difference - against.low)
    quantile = normal_quantile((1 + verdict.confidence) / 2)
    seen = half * (1 + z_power() / quantile)
    return {
        "p_value": math.erfc(abs(against.difference) * quantile / half / math.sqrt(2)),
        "smallest_difference": seen if seen <= 1 else None,
        "minimum_detectable": verdict.margin + seen if verdict.margin + seen <= 1 else None,
        "items_to_settle": None,
    }


def _corrected(verdict: Verdict, report: JudgeReport, arm: str) -> Comparison:
    """A comparison that carries the corrected figures."""
    found = report.against(arm)
    assert found is not None and found.corrected is not None and found.low is not None and found.high is not None
    blank = compare([0.0], [0.0], None, verdict.confidence)
    return replace(blank, difference=found.corrected, low=found.low, high=found.high)
