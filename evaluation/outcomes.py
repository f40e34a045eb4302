"""Outcomes that a verdict pairs: a baseline's, checked by its report's hashes, and those of a run whose weights are not
asked here: a server has it under a name, or a file has its answers.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chat.local.embed import can_embed
from chat.protocols import Ask, Progress, Reply, Turn
from curation.split.manifest import Manifest, read_manifest
from curation.store import open_store, store_exists
from evaluation.arms.optimising import can_rewrite
from evaluation.arms.registry import arm_name, arm_option, on_the_ladder
from evaluation.bench import Bench, frozen_test
from evaluation.judge.model_judge import RUBRIC_FILE
from evaluation.measure import EvalItem
from evaluation.measurement_report import ItemOutcome, Report, newest_report, read_outcomes
from workspace.artefact import read_artefact
from workspace.errors import InputError, Problem, Refusal
from workspace.extras import installed
from workspace.files import is_unchanged, line_problems, says, sha256_file
from workspace.folder import Project, by_number, oldest_first
from workspace.settings import Settings, load_settings
from workspace.trust import METRICS as OWN_METRICS


@dataclass(frozen=True, slots=True)
class Baseline:
    """A baseline report that a run can be paired with, and its test outcomes in each arm's chosen form."""

    folder: Path
    report: Report
    outcomes: dict[str, list[ItemOutcome]]


def require_baseline(project: Project, settings: Settings, dataset: str | None = None) -> Baseline:
    """Return the newest baseline on a run's test set and metric; asks no model. Raises Refusal if there is none."""
    folder, _ = frozen_test(project, dataset)
    test_sha, metric = read_manifest(folder).splits["test"].sha256, settings.evaluation.scored_by
    found = newest_report(project, "baseline", test_sha256=test_sha)
    if found is None and (other := newest_report(project, "baseline")) is not None:
        raise Refusal(
            f"The test set changed since the baseline {other[1].id} (made on {other[1].dataset}, now "
            f"{folder.name}). Paired items must be equal.",
            "rung baseline",
        )
    if found is None:
        raise Refusal(
            "No baseline yet: a tuned model is compared with the prompted arms on the same items.", "rung baseline"
        )
    if found[1].metric != metric:
        raise Refusal(
            f"The baseline {found[1].id} was scored by {found[1].metric}, rung.toml says {metric}. "
            "Paired items must be scored alike.",
            "rung baseline",
        )
    scored_by = {n: d for n, d in found[1].made_from.items() if n == RUBRIC_FILE or n.startswith(f"{OWN_METRICS}/")}
    changed = [name for name, digest in scored_by.items() if not says(project.root / name, digest)]
    if changed:
        raise Refusal(f"{changed[0]} changed since the baseline {found[1].id} was scored by it.", "rung baseline")
    return load_baseline(*found)


def asked_with(settings: Settings, base: str = "") -> dict[str, str]:
    """Return the settings of all arms (`base`: the run's, else rung.toml's). A hosted model has a token limit only."""
    model = settings.model
    thinks = {None: "as its template says", True: "on", False: "off"}[model.enable_thinking]
    found = {"token limit": str(model.max_tokens), "thinking": f"{thinks}, {model.thinking_tokens} tokens at most"}
    local = {"precision": model.precision, "base": base or model.base}
    return found | local if model.provider == "local" else found


def check_asked(settings: Settings, report: Report, base: str, served: ServedRun | None = None) -> None:
    """Raise Refusal if a run would be asked with other settings, or by another server, than the report's arms."""
    if served is not None and report.model != served.arms_of:
        told = f"The baseline {report.id} was asked of {report.model}, not of {served.arms_of}."
        raise Refusal(f"{told} A verdict is fair only if one server answers all arms.", "rung baseline")
    if told := asked_otherwise(settings, report, base):
        raise Refusal(told, "rung baseline")


def asked_otherwise(settings: Settings, report: Report, base: str) -> str:
    """Return a sentence on settings of a run on `base` that differ from the report's arms; empty if none do."""
    here = asked_with(settings, base)
    other = [f"{k} {v}, now {here[k]}" for k, v in report.asked_with.items() if k in here and here[k] != v]
    if not other:
        return ""
    return f"The baseline {report.id} was asked with {'; '.join(other)}. A verdict is fair where all share them."


def check_arms(project: Project, report: Report, before: Path | None = None) -> None:
    """Raises Refusal if another baseline on this test set and metric measured arms that this one leaves out; only
    those before the evaluation `before`, where it is given.

    Ship means better than every arm that was measured, and leaving one out would make that easier. An arm that could
    not be measured again (its documents are gone) is named in the report's notes and left out.
    """
    earlier = _measured_on(project, report, before)
    here = [arm.arm for arm in report.arms]
    tried = [arm for arm in earlier if any(note.startswith(f"{arm} was not measured") for note in report.notes)]
    missing = [arm for arm in earlier if arm not in here and arm not in tried]
    if missing:
        where = ", ".join(sorted({earlier[arm] for arm in missing}))
        raise Refusal(
            f"{report.id} leaves out {', '.join(missing)}, measured in {where}. A verdict compares with every "
            "measured arm. Stored answers are not asked again.",
            f"rung baseline --arms {','.join(map(arm_option, [*here, *missing]))}",
        )


def unmeasured(project: Project, manifest: Manifest, report: Report) -> list[str]:
    """Return the usual arms that this project could measure and the report lacks, in the order of the ladder.

    Few-shot arms need train rows, classifiers answers that are labels, rag documents, the encoder an embedding model.
    An arm that was measured on these items before and cannot be any more (its documents are gone) is named as well.
    """
    rows = "train" in manifest.splits
    documents = project.documents.is_dir() and any(path.is_file() for path in project.documents.rglob("*"))
    labels = rows and len(manifest.classes) > 1
    needs = {"few_shot": rows, "retrieved": rows, "rag": documents, "classical": labels}
    needs["encoder"] = labels and can_embed()
    # the environment may ask for this arm; it takes none away that rung.toml asks for
    said = load_settings(project.settings_file, {}), load_settings(project.settings_file)
    rewrites = any(map(can_rewrite, said))
    needs["optimised"] = rows and rewrites and installed("gepa")
    could = {arm for arm in Settings().evaluation.arms if needs.get(arm, True)} | set(_measured_on(project, report))
    here = {arm.arm for arm in report.arms}
    return [arm for arm in on_the_ladder(could) if arm not in here]


def unmeasured_words(project: Project, manifest: Manifest, report: Report) -> str:
    """Return `not measured: classifier, rag`; empty if nothing is missing."""
    missing = unmeasured(project, manifest, report)
    return f"not measured: {', '.join(map(arm_name, missing))}" if missing else ""


def _measured_on(project: Project, report: Report, before: Path | None = None) -> dict[str, str]:
    """Return each arm that a baseline measured on the report's items and metric, with the newest such baseline.

    The log names arms of a baseline whose folder was deleted, too.
    """
    earlier: dict[str, str] = {}
    settings = load_settings(project.settings_file)
    if store_exists(project, settings):
        with open_store(project, settings) as store:
            for event in store.events(kind="measured"):
                same = (event.detail.get("test"), event.detail.get("metric")) == (report.test_sha256, report.metric)
                if same and (before is None or by_number(Path(event.ref)) <= by_number(Path(before.name))):
                    earlier |= dict.fromkeys(event.detail["arms"], event.ref)
    for path in oldest_first(project.evaluations.glob("*/report.json")):
        other = read_artefact(path, Report)
        if before is not None and by_number(path.parent) > by_number(before):
            continue
        if (other.kind, other.test_sha256, other.metric) == ("baseline", report.test_sha256, report.metric):
            earlier |= {arm.arm: other.id for arm in other.arms}
    return earlier


def load_baseline(folder: Path, report: Report) -> Baseline:
    """Return the report's test outcomes by arm, after outputs.jsonl was found to have the report's hash."""
    path = folder / "outputs.jsonl"
    if not is_unchanged(path, report.outputs_sha256):
        raise Refusal(f"{path}: changed since the report was written.", "rung baseline")
    forms = {arm.arm: arm.form for arm in report.arms}
    outcomes: dict[str, list[ItemOutcome]] = {arm: [] for arm in forms}
    for outcome in read_outcomes(path):
        if outcome.split == "test" and forms.get(outcome.arm) == outcome.form:
            outcomes[outcome.arm].append(outcome)
    return Baseline(folder, report, outcomes)


@dataclass(frozen=True, slots=True)
class ServedRun:
    """`name` is what the server at `host` is asked for, `arms` the model there that the arms were asked of."""

    name: str
    host: str
    arms: str

    @property
    def arms_of(self) -> str:
        """The arms' model as reports name it."""
        return f"{self.arms} ({self.host})"

    @property
    def place(self) -> str:
        """Return what was asked, and where."""
        return f"{self.name} at {self.host}"

    def model_of(self, run: str) -> str:
        """Return the tuned model as reports name it, and as its answers are kept: of this run and no other."""
        return f"{self.name} ({self.host}), said to be {run}"

    def notes(self, run: str, base: str) -> list[str]:
        """Return notes on what nobody checked; `base` is the base model of the run."""
        told = [
            f"{run} was asked as {self.name} at {self.host}; Rung did not check that this name refers to its weights."
        ]
        if base and base != self.arms:
            told.append(
                f"{run} was trained from {base}, the arms were asked of {self.arms}: whether that is one model was not "
                "checked."
            )
        return told


FORM = '{"item": 1, "output": "..."}'


@dataclass(frozen=True, slots=True)
class GivenRun:
    """A run whose answers are in a file: nobody saw which weights wrote them."""

    file: str

    @property
    def name(self) -> str:
        """Return the name in reports of what was scored."""
        return self.place

    @property
    def place(self) -> str:
        """Return the origin of the answers."""
        return f"the answers in {self.file}"

    def notes(self, run: str, base: str) -> list[str]:
        """Return notes on what nobody checked."""
        return [f"{run} was scored by {self.place}; that its weights wrote them was not checked."]


class GivenAnswers:
    """A ChatModel that says what the file has for an item; `name` holds the file's hash."""

    is_local = True
    can_choose = False

    def __init__(self, path: Path, outputs: Mapping[str, str]) -> None:
        self.name = f"answers in {path.name} ({sha256_file(path)[:8]})"
        self.outputs = outputs

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Return one reply for each ask, in order."""
        return [Reply(self.outputs[_key(ask.turns)], 0, 0, 0.0) for ask in asks]


def with_given(bench: Bench, path: Path) -> Bench:
    """Return the bench with the answers of a JSONL file of `{"item": line of test.jsonl, "output": text}`, one for each
    item, and nothing to choose: the file answers test items alone.

    Raises InputError with all problems: a line of another form, an item twice, unknown or missing, and two items with
    one question and two outputs (a model that is asked once gives one answer).
    """
    wanted = {item.number: item for item in bench.items}
    found: dict[int, str] = {}
    outputs: dict[str, str] = {}
    problems = line_problems(path, FORM, lambda line: _take(line, wanted, found, outputs))
    missing = sorted(wanted.keys() - found.keys())
    if missing and not problems:
        shown = ", ".join(map(str, missing[:10])) + (" ..." if len(missing) > 10 else "")
        problems.append(Problem(f"no answer to {len(missing)} items: {shown}.", path.name, FORM))
    if problems:
        raise InputError(problems, "one line for each line of test.jsonl, from 1")
    desk = replace(bench.desk, model=GivenAnswers(path, outputs))
    return replace(bench, desk=desk, rows=replace(bench.rows, validation=(), validation_ids=()))


def _take(line: str, wanted: Mapping[int, EvalItem], found: dict[int, str], outputs: dict[str, str]) -> str:
    """Keep the answer of a line, or return its fault."""
    try:
        row = json.loads(line)
        item, output = row["item"], row["output"]
    except (ValueError, TypeError, KeyError, RecursionError):
        item, output = None, None
    if type(item) is not int or not isinstance(output, str):
        return "is no answer to an item."
    if item not in wanted:
        return f"item {item} is not among the {len(wanted)} test items that are asked."
    if item in found:
        return f"item {item} has an answer already."
    if outputs.get(_key(wanted[item].turns), output) != output:
        return f"item {item} has the question of another item and another answer."
    found[item] = outputs[_key(wanted[item].turns)] = output
    return ""


def _key(turns: Sequence[Turn]) -> str:
    return json.dumps([dict(turn) for turn in turns if turn["role"] != "system"], sort_keys=True)
