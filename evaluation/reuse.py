"""Arms that an earlier baseline measured beside those of this one: one arm measured again leaves the others standing.

They are reused only where all that they rest on is the same: test set, metric, model, settings, the rows that
chose, and the arm's own prompt, example rows and documents. What is not reused is said, with the reason.
"""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chat.thinking import ROOM
from curation.split.manifest import newest_dataset
from evaluation.arms.arm_material import Variant, prompt_name, read_prompts, read_proposals
from evaluation.arms.classifiers import CLASSIFIERS, ENCODER
from evaluation.arms.own import OWN, systems
from evaluation.arms.registry import ARMS, CASCADE, arm_name, on_the_ladder
from evaluation.bench import Bench, DevRows, frozen_rows
from evaluation.choose import ArmChoice, Choices
from evaluation.judge.model_judge import RUBRIC_FILE
from evaluation.measure import EvalItem, choosing_items, items_of
from evaluation.measurement_report import SURE, ArmResult, ItemOutcome, Report, SureSplits, read_outcomes, read_sure
from evaluation.retrieval import read_documents
from workspace.artefact import read_artefact, revised
from workspace.errors import RungError
from workspace.files import is_unchanged, says, sha256_bytes, sha256_file
from workspace.folder import Project, oldest_first
from workspace.settings import Settings

CHOICES, OUTPUTS = "choices.json", "outputs.jsonl"
MATTERS = {
    "example rows": frozenset(ARMS) - {"base", "prompt"},
    "documents": frozenset({"rag", "combined"}),
    "bigger model": frozenset({"bigger_model"}),
    "rows to set a classifier by": frozenset(CLASSIFIERS),
    "tuning of the encoder": frozenset({ENCODER}),
}
"""Arms that depend on each of these inputs; every arm depends on all others, a user's own system on the scoring."""
SCORES_OWN = ("metric", "validation rows")
SINGLE = ("model", "metric", "bigger model")
EARLIER = "it was measured by an earlier Rung, which did not record its inputs"


@dataclass(frozen=True)
class ReusedArm:
    """An arm of an earlier report: result, outcomes of both splits, probabilities; `source` is the report's file."""

    arm: ArmResult
    choice: ArmChoice
    outcomes: tuple[ItemOutcome, ...]
    sure: SureSplits
    source: Path


@dataclass(frozen=True)
class ReusedArms:
    """Reused arms, and a sentence for each report of which some arms are not reused. `cascades`: the arm `cascade` is
    wanted, or an earlier baseline has it; it is always computed again.
    """

    taken: tuple[ReusedArm, ...] = ()
    notes: tuple[str, ...] = ()
    cascades: bool = False

    @property
    def choices(self) -> list[ArmChoice]:
        """Return the choices that validation made for them."""
        return [each.choice for each in self.taken]

    @property
    def sources(self) -> list[Path]:
        """The reports that they were measured in."""
        return list(dict.fromkeys(each.source for each in self.taken))

    @property
    def told(self) -> list[str]:
        """Return the arms that are as a report measured them, with that report."""
        reports = dict.fromkeys(each.arm.taken_from for each in self.taken)
        names = {r: [each.arm.arm for each in self.taken if each.arm.taken_from == r] for r in reports}
        return [
            f"{_words(arms)}: as measured in {report}; all their inputs are the same." for report, arms in names.items()
        ]


def stands_on(bench: Bench) -> dict[str, str]:
    """Return what the arms of a measurement depend on, by name; with it a later report can be joined to this one."""
    desk, metric = bench.desk, bench.desk.metric
    judged = (_hash_of(bench.project.root / RUBRIC_FILE), bench.judge.name if bench.judge else "")
    return {
        "model": desk.model.name,
        "metric": _hash([bench.settings.evaluation.scored_by, _hash_of(metric.file), judged if metric.judged else ""]),
        **_by_files(bench.project, bench.settings, bench.rows),
        "possible answers": _hash([desk.choices, dict(desk.shape) if desk.shape is not None else None]),
    }


def _by_files(project: Project, settings: Settings, rows: DevRows | None) -> dict[str, str]:
    """Return the part of `stands_on` that files tell without a model; without the rows if these are not known."""
    model, other, asked = settings.model, settings.bigger_model, settings.evaluation
    said: list[Any] = [model.base, model.provider, model.base_url, model.precision, model.max_tokens]
    if (model.enable_thinking, model.thinking_tokens) != (None, ROOM):  # earlier reports were written without these
        said += [model.enable_thinking, model.thinking_tokens]
    said += [model.parameters] * bool(model.parameters)
    # False: a setting that left, in the hash of reports that have it
    said += [asked.few_shot, asked.retrieved, False, asked.embeddings, asked.embedding_model]
    found = {
        "settings": _hash(said),
        "bigger model": _hash([other.base, other.provider, other.base_url]),
        "documents": _hash([[chunk.id, chunk.text] for chunk in read_documents(project.documents)]),
        **({"tuning of the encoder": "on"} if asked.tune_encoder else {}),
        **systems(project, settings),
    }
    if rows is None:
        return found
    return found | {
        "validation rows": _rows_hash(choosing_items(rows.validation, asked)),
        "rows to set a classifier by": _rows_hash(items_of(rows.validation, asked.turns)),
        "example rows": _hash(sorted(row.content_hash for row in rows.examples)),
    }


def _rows_hash(items: Sequence[EvalItem]) -> str:
    return _hash(sorted([item.question, item.expected] for item in items))


def outdated(project: Project, settings: Settings, report: Report) -> dict[str, str]:
    """Return arms of a report that cannot be compared with one that is measured now, as far as files tell, and why."""
    full = newest_dataset(project, complete=True)
    here = _by_files(project, settings, frozen_rows(full) if full else None)
    found = {arm.arm: differs(project, report, arm, here) for arm in report.arms}
    return {arm: why for arm, why in found.items() if why}


def join_earlier(bench: Bench, wanted: Collection[str]) -> ReusedArms:
    """Return the arms that are not `wanted` now, each as the newest earlier baseline on this test set has it."""
    taken: dict[str, ReusedArm] = {}
    reasons: dict[tuple[str, str], list[str]] = {}
    done, here = set(wanted), stands_on(bench)
    cascades = CASCADE in done
    for path in reversed(oldest_first(bench.project.evaluations.glob("*/report.json"))):
        report = read_artefact(path, Report)
        if report.kind != "baseline" or report.test_sha256 != bench.test_sha256:
            continue
        for arm in report.arms:
            cascades |= arm.arm == CASCADE
            if arm.arm in {*done, CASCADE}:
                continue
            done.add(arm.arm)
            why = differs(bench.project, report, arm, here)
            found = None if why else _taken(bench, path, report, arm)
            if found is not None:
                taken[arm.arm] = found
            else:
                reasons.setdefault((report.id, why or "its files changed since it was written"), []).append(arm.arm)
    notes = tuple(f"{_words(arms)} of {report} not reused: {why}." for (report, why), arms in reasons.items())
    return ReusedArms(tuple(taken[name] for name in on_the_ladder(taken)), notes, cascades)


def differs(project: Project, report: Report, arm: ArmResult, here: Mapping[str, str]) -> str:
    """Return the reason why an arm of a report cannot be compared with one measured now; empty if it can.

    `here` is what a measurement would rest on now, or the part of it that is known.
    """
    if not report.stands_on:
        return EARLIER
    is_own = arm.arm.startswith(OWN)
    for name, now in here.items():
        if is_own or name.startswith(OWN):
            matters = name == arm.arm or (is_own and name in SCORES_OWN)
        else:
            matters = arm.arm in MATTERS.get(name, ARMS)
        if matters and report.stands_on.get(name) != now:
            return f"another {name}" if name in SINGLE or name == arm.arm else f"other {name}"
    prompt = f"prompts/{arm.settings.get('prompt', '')}"
    said = report.made_from.get(prompt)
    return "" if said is None or says(project.root / prompt, said) else f"{prompt} is another text now"


def _taken(bench: Bench, path: Path, report: Report, arm: ArmResult) -> ReusedArm | None:
    """Return the arm with its outcomes; None if the files differ from the report's hashes."""
    outputs = path.parent / OUTPUTS
    if not is_unchanged(outputs, report.outputs_sha256):
        return None
    try:
        chosen = read_artefact(path.parent / CHOICES, Choices)
    except RungError:
        return None
    line = next((each for each in chosen.arms if each.arm == arm.arm), None)
    if line is None:
        return None
    outcomes = tuple(o for o in read_outcomes(outputs) if o.arm == arm.arm)
    base, prompts = read_prompts(bench.project)
    known = (each for each in (base, *prompts, *read_proposals(bench.project)) if each is not None)
    prompt = next((each for each in known if prompt_name(each) == arm.settings.get("prompt")), None)
    variant = Variant(arm.settings, prompt=prompt)
    on_validation = tuple(o for o in outcomes if o.split == "validation")
    tries, lost = tuple(line.tries), arm.unmeasured
    choice = ArmChoice(arm.arm, arm.prompted, variant, arm.form, arm.validation, tries, on_validation, lost)
    file = path.parent / SURE
    is_kept = report.made_from.get(file.relative_to(bench.project.root).as_posix()) == _hash_of(file)
    sure = read_sure(file, arm.arm) if is_kept else SureSplits()
    where_sure = bench.where_sure(sure, arm) or arm.abstention
    named = revised(arm, taken_from=arm.taken_from or report.id, abstention=where_sure)
    return ReusedArm(named, choice, outcomes, sure, bench.project.evaluations / named.taken_from / path.name)


def _words(arms: Sequence[str]) -> str:
    return ", ".join(arm_name(arm) for arm in arms)


def _hash_of(path: Path | None) -> str:
    return sha256_file(path) if path is not None and path.is_file() else ""


def _hash(value: Sequence[Any]) -> str:
    return sha256_bytes(json.dumps(value, sort_keys=True, ensure_ascii=False).encode())
