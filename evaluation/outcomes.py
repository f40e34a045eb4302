"""A baseline that a run can be paired with: its report, and its outcomes, checked by the report's hashes."""

from dataclasses import dataclass
from pathlib import Path

from chat.local.embed import can_embed
from curation.split.manifest import Manifest, read_manifest
from curation.store import open_store, store_exists
from evaluation.arms.optimising import can_rewrite
from evaluation.arms.registry import arm_name, arm_option, on_the_ladder
from evaluation.bench import frozen_test
from evaluation.given_answers import ServedRun
from evaluation.judge.grading import RUBRIC_FILE
from evaluation.measurement_report import ItemOutcome, Report, newest_report, read_outcomes
from workspace.artefact import read_artefact
from workspace.errors import Refusal
from workspace.extras import installed
from workspace.files import is_unchanged, says
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
