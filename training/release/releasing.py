"""Making a release: permission, each form in a hidden folder, the card for its reader, and release.json last."""

import contextlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from advisor.decision import read_decision
from curation.split.manifest import FrozenRow, read_manifest
from evaluation.arms.registry import arm_name
from evaluation.forgetting import NOT_MEASURED
from evaluation.measured_answers import best_untuned
from evaluation.measurement_report import ArmResult, Report, newest_report, read_report
from training.plan.plans import read_plan
from training.release.classifier import ARM, make_classifier, measured_classifier
from training.release.gguf import FTYPES, make_gguf
from training.release.goldens import GOLDEN, read_goldens
from training.release.making import Making, ReleaseOptions, Told
from training.release.permission import Permission, may_release, measured_prompt, refuse_unvouched
from training.release.released_prompt import make_prompt
from training.release.releases import (
    CHAIN,
    FORMS,
    RELEASE,
    UNTUNED,
    FormName,
    Release,
    ReleasedForm,
    ever_released,
    list_files,
    number_of,
    settle,
    take_place,
    with_needed,
)
from training.release.serving_files import make_ollama, make_served, make_tgi, make_vllm
from training.release.weights import make_adapter, make_compressed, make_merged, refuse_without_gpu
from training.run.failures import is_disk_full
from training.runs import RECORD, RunRecord
from training.templates import templates
from workspace.artefact import hashes, revised, write_artefact
from workspace.errors import InputError, Problem, Refusal, RungError, did_you_mean
from workspace.files import sha256_file, write_text
from workspace.folder import Project, next_id
from workspace.lock import writer_lock
from workspace.settings import Settings


def wanted_forms(text: str) -> list[FormName]:
    """Return the forms of `--to` with those they are made from, in order. Raises InputError for an unknown one."""
    return with_needed(_listed(text, FORMS, "--to", "form"))


def gguf_types(text: str) -> tuple[str, ...]:
    """Return the types of `--gguf`. Raises InputError for an unknown one."""
    return _listed(text, ("f32", *FTYPES), "--gguf", "type")


def _listed(text: str, known: Sequence[str], option: str, what: str) -> tuple[str, ...]:
    """Return the names in an option's text, each once."""
    names = tuple(dict.fromkeys(name.strip().lower() for name in text.split(",") if name.strip()))
    problems = [
        Problem(f"{option} {name}: not a {what}.{did_you_mean(name, known)} Known: {', '.join(known)}.")
        for name in names
        if name not in known
    ]
    if problems or not names:
        raise InputError(problems or [Problem(f"{option}: name a {what}: {', '.join(known)}.")])
    return names


def release_untuned(
    project: Project,
    settings: Settings,
    forms: Sequence[FormName] = ("prompt",),
    *,
    by: str = "",
    reason: str = "",
    told: Told = lambda _: None,
) -> Path:
    """Release the best prompted arm, the classifier, the encoder, or several of them: needs no run."""
    evaluation, report = _baseline(project, settings, "prompt" if "prompt" in forms else forms[0])
    arms = {"prompt": report.chosen, **ARM}
    best = best_untuned(report)
    arm = best.arm if best is not None and best.arm in {arms[form] for form in forms} else arms[forms[0]]
    with working(project, settings) as work:
        made = []
        for form in forms:
            made.append(_untuned(form, project, settings, work / form))
            told(f"{form}: {arm_name(arms[form] or '')}" if form == "prompt" else form)
        sources = [evaluation / "report.json", project.datasets / report.dataset / "manifest.json"]
        release = Release(
            id=work.name.removeprefix("."),
            arm=arm,
            dataset=report.dataset,
            base=report.model if "prompt" in forms else "",
            by=by,
            reason=reason,
            forms=made,
            files={},
            verdict=next(form for form in forms if arms[form] == arm),
            made_from=hashes(project.root, *filter(Path.is_file, sources)),
        )
        return _finish(project, settings, work, release, untuned_card(release, report))


def _baseline(project: Project, settings: Settings, form: FormName) -> tuple[Path, Report]:
    """Return the newest baseline. Raises Refusal if the log names another, or it did not measure this form."""
    found = newest_report(project, "baseline")
    if found is None:
        raise Refusal(f"Locked: no baseline measured, so there is no {form}.", "rung baseline")
    refuse_unvouched(project, settings, found[0] / "report.json")
    measured_prompt(found[1]) if form == "prompt" else measured_classifier(form, found[1])
    return found


def _untuned(form: FormName, project: Project, settings: Settings, folder: Path) -> ReleasedForm:
    report = _baseline(project, settings, form)[1]
    if form == "prompt":
        return make_prompt(project, settings, report, folder)
    return make_classifier(form, project, settings, report, folder)


def release_run(
    project: Project, settings: Settings, run: RunRecord, forms: Sequence[FormName], ways: ReleaseOptions
) -> Path:
    """Release a tuned model in these forms.

    Raises Refusal if the verdict does not allow it, a form is not equal to the run, or a changed one loses more
    than the limit: the last release stays.
    """
    refuse_without_gpu(forms)
    if run.adopted and run.adopted.served and set(forms) != {"served"}:
        raise Refusal(
            f"{run.id} has no weights here: they are at {run.adopted.host}.", f"rung release {run.id} --to served"
        )
    allowed = may_release(project, settings, run, ways.by, ways.reason, signs=not ways.may_lose)
    _same_metric(settings, run, allowed, forms)
    if ways.may_lose and not (ways.by.strip() and ways.reason.strip()):
        raise RungError("An override names a person and a reason.", "--override loss --by NAME --reason TEXT")
    with working(project, settings) as work:
        making = Making(project, settings, run, work, ways)
        made = [_make(form, making) for form in forms]
        release = _release(project, run, allowed, work, made)
        return _finish(project, settings, work, release, model_card(release, run, allowed, project, work))


def _same_metric(settings: Settings, run: RunRecord, allowed: Permission, forms: Sequence[FormName]) -> None:
    """Check that the loss is measured in the verdict's metric: another one could hide it."""
    judged, now = allowed.verdict.metric, settings.evaluation.scored_by
    if judged and judged != now and set(forms) - {*UNTUNED, "adapter"}:
        raise Refusal(
            f"{run.id} was judged by {judged}, but [evaluation] metric is {now}: "
            "what a form loses must be measured in the same.",
            f'[evaluation] metric = "{judged}" in rung.toml, or rung evaluate {run.id}',
        )


def _make(form: FormName, making: Making) -> ReleasedForm:
    makers: dict[FormName, Callable[[Making, Path], ReleasedForm]] = {
        "adapter": make_adapter,
        "merged": make_merged,
        "gguf": make_gguf,
        "gptq": partial(make_compressed, "gptq"),
        "awq": partial(make_compressed, "awq"),
        "ollama": make_ollama,
        "vllm": make_vllm,
        "tgi": make_tgi,
        "served": make_served,
    }
    making.ways.told(f"{form}: making")
    place, folder = (making.project, making.settings), making.work / form
    made = _untuned(form, *place, folder) if form in UNTUNED else makers[form](making, folder)
    making.ways.told(f"{form}: {made.bytes / 1e6:,.1f} MB  {made.against}")
    return made


def _release(project: Project, run: RunRecord, allowed: Permission, work: Path, made: list[ReleasedForm]) -> Release:
    folder = project.runs / run.id
    sources = [folder / RECORD, folder / "plan.toml", folder / "clearance.json", allowed.folder / "verdict.json"]
    sources += [allowed.folder / "report.json", project.datasets / run.dataset / "manifest.json", project.decision_file]
    if allowed.verdict.baseline_report:
        sources.append(project.evaluations / allowed.verdict.baseline_report / "report.json")
    return Release(
        id=work.name.removeprefix("."),
        run=run.id,
        dataset=run.dataset,
        base=run.base,
        verdict=allowed.verdict.verdict,
        by=allowed.by,
        reason=allowed.reason,
        overrides=run.overrides,
        forms=made,
        files={},
        made_from=hashes(project.root, *filter(Path.is_file, sources)),
    )


def _finish(project: Project, settings: Settings, work: Path, release: Release, card: str) -> Path:
    """Card, chain, file list; release.json last; then the folder takes its place."""
    write_text(work / "README.md", card)
    copy_chain(project.root, work / CHAIN, release.made_from)
    write_artefact(work / RELEASE, revised(release, files=list_files(work)))
    return take_place(project, settings, work, release)


def copy_chain(root: Path, chain: Path, made_from: Mapping[str, str]) -> None:
    """Copies of the artefacts that a release was made from. Raises RungError for one that is no longer what it was."""
    for name, digest in made_from.items():
        target = chain / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(root / name, target)
        if sha256_file(target) != digest:
            raise RungError(f"{name} changed while the release was made; nothing was released.", "rung release again")


@contextlib.contextmanager
def working(project: Project, settings: Settings) -> Iterator[Path]:
    """Make a folder `.L-002`, one at a time; after the block it is renamed or gone. RungError for a full disk."""
    with writer_lock(project.releases / ".lock", "A release"):
        settle(project, settings)
        for left in project.releases.glob(".L-*"):  # of a killed release
            left.unlink() if left.is_symlink() or left.is_file() else shutil.rmtree(left, ignore_errors=True)
        free = next_id(project.releases, "L")
        highest = max(map(number_of, ever_released(project, settings)), default=0)
        if number_of(free) <= highest:  # events and servers may still name one whose folder is gone
            free = f"L-{highest + 1:03d}"
        work = project.releases / f".{free}"
        work.mkdir(parents=True)
        try:
            yield work
        except RungError:
            raise
        except Exception as error:
            if not is_disk_full(error):
                raise
            room = shutil.disk_usage(project.releases).free / 1e9
            raise RungError(
                f"{free} was not released: the disk is full ({room:.2f} GB left). The earlier release stays current.",
                "Free some space, then rerun the command.",
                where=str(project.releases),
            ) from error
        finally:
            shutil.rmtree(work, ignore_errors=True)


CARDS = Path(__file__).with_name("cards")
RULINGS = {"ship": "ship", "judgement": "judgement, decided by a named person"}


def model_card(release: Release, run: RunRecord, allowed: Permission, project: Project, folder: Path) -> str:
    """README.md of a tuned model, with the hub's front matter; `folder` is where the release is made."""
    manifest, decision = read_manifest(project.datasets / run.dataset), read_decision(project)
    verdict = allowed.verdict
    facts = {
        "project": project.name,
        "release": release,
        "run": run,
        "verdict": verdict,
        "rulings": RULINGS,
        "decision": decision,
        "manifest": manifest,
        "has_adapter": any(form.form == "adapter" for form in release.forms),
        "base": "HuggingFaceTB/SmolLM2-135M-Instruct" if run.base == "embedded" else run.base,
        "task": str(decision.answers.get("task", "")).replace("_", " ") if decision else "",
        "worse": [each for each in verdict.slices if each.difference < 0][:5],
        "baseline": read_report(project, verdict.baseline_report)[1] if verdict.baseline_report else None,
        "measured": read_report(project, allowed.folder.name)[1].arms if verdict.baseline_report else [],
        "score": _score,
        "forgetting": verdict.forgetting.words() if verdict.forgetting else NOT_MEASURED,
        "system": "the rows' own" if run.system_prompt is None else json.dumps(run.system_prompt, ensure_ascii=False),
        "plan": None if run.adopted else read_plan(project.runs / run.id / "plan.toml"),
        "reviewers": _reviewers(manifest.rows),
        "agreement": manifest.review.get("agreement"),
        "licences": Counter(
            str(row.get("licence") or manifest.policy.get("licence") or "unknown") for row in manifest.rows
        ).most_common(),
        "losses": [loss for form in release.forms for loss in form.facts.get("validation", {}).values()],
        "goldens": len(read_goldens(folder).items) if (folder / GOLDEN).is_file() else 0,
    }
    return templates(CARDS).get_template("tuned.md.j2").render(facts)


def untuned_card(release: Release, report: Report) -> str:
    """README.md of a released prompt or classifier, or of several."""
    has_prompt = any(form.form == "prompt" for form in release.forms)
    facts = {
        "release": release,
        "baseline": report,
        "measured": [],
        "score": _score,
        "prompted": next(arm for arm in report.arms if arm.arm == report.chosen) if has_prompt else None,
    }
    return templates(CARDS).get_template("untuned.md.j2").render(facts)


def _score(arm: ArmResult) -> str:
    count = f"mean of {arm.n} items" if arm.graded else f"{arm.correct:g} of {arm.n}"
    return f"{arm.score:.1%} ({100 * arm.low:.1f} to {100 * arm.high:.1f}), {count}"


def _reviewers(rows: Sequence[FrozenRow]) -> str:
    counts: Counter[str] = Counter()
    for row in rows:
        who = str(row.get("reviewer") or "not reviewed")
        counts[f"{who} (automatic)" if row.get("automatic") else who] += 1
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items())) or "none"
