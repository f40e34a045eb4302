"""Opening what is measured: the project, its models behind the privacy guard, a run's weights, progress lines."""

from pathlib import Path
from typing import Any

from chat.batching import in_batches, takes_batches
from chat.local.embed import can_embed, open_embedder
from chat.open import open_beside, open_model
from chat.privacy import Override, notices, project_guard
from chat.protocols import ChatModel, Embedder
from curation.store import open_store
from evaluation.arms.registry import arm_name
from evaluation.judge.assessment import pinned
from evaluation.outcomes import ServedRun
from rung.cli.output import ProgressLine, note
from training.runs import RunRecord, find_run, newest_run
from workspace.artefact import revised
from workspace.errors import Refusal, RungError
from workspace.files import says
from workspace.folder import Project, folder_named
from workspace.settings import OtherModelSettings, Settings


def overridden(project: Project, settings: Settings, gate: str, by: str, reason: str, command: str) -> Override | None:
    """Return the named override of the privacy answer, logged before sending. Raises RungError if a part is missing."""
    if not gate:
        return None
    if gate != "privacy" or not by.strip() or not reason.strip():
        raise RungError("An override needs a gate, a name and a reason.", "--override privacy --by NAME --reason TEXT")
    with open_store(project, settings) as store:
        store.event("override", by, "privacy", {"gate": "privacy", "reason": reason, "command": command})
    note(f"! privacy answer overridden by {by}: {reason}")
    return Override(by, reason)


def open_base(
    project: Project, settings: Settings, adapter: Path | None = None, override: Override | None = None
) -> ChatModel:
    """Return the model of `[model]`, with an adapter if one is named. Prints notes on it first."""
    model = open_model(
        settings.model,
        guard=project_guard(project, settings, override),
        adapter=adapter,
        batch=settings.evaluation.batch,
        progress=ProgressLine("loading the model"),
    )
    for told in notices(model):
        note(f"! {told}")
    return model


def open_other(
    project: Project, settings: Settings, other: OtherModelSettings, override: Override | None = None
) -> ChatModel | None:
    """Return the judge or the bigger model; None if rung.toml names none."""
    if not other.base:
        return None
    named = {"base": other.base, "provider": other.provider, "base_url": other.base_url}
    model = revised(settings.model, **named)
    return open_base(project, revised(settings, model=model), override=override)


def by_batches(project: Project, *models: ChatModel | None) -> list[Any]:
    """Return the models; those of a provider or a server are asked by batches. RungError if none is behind a server."""
    hosted = [model for model in models if model and takes_batches(model)]
    if not hosted:
        raise RungError("No hosted model is asked here, so there is no batch to send.", "leave --batch out")
    asked = [model for model in hosted if not model.is_local] or hosted
    folder = project.evaluations / ".partial" / "batches"
    return [in_batches(model, folder, note) if model in asked else model for model in models]


def open_ladder(
    project: Project, settings: Settings, override: Override | None, *, bigger: bool, batch: bool
) -> tuple[ChatModel, ChatModel | None, ChatModel | None]:
    """Return the models that the arms of a ladder ask, base and `bigger`, and the one that scores where a judge does.

    With `batch` those of a provider are asked by batches.
    """
    base = open_base(project, settings, override=override)
    other = open_other(project, settings, settings.bigger_model, override) if bigger else None
    judge = open_judge(project, settings, override) if settings.evaluation.metric == "judge" else None
    if batch:
        base, other, judge = by_batches(project, base, other, judge)
    return base, other, judge


def open_meanings(settings: Settings) -> Embedder | None:
    """Return the model that retrieval by meaning uses; None if rung.toml does not ask for it."""
    return open_embedder(_embedding_folder(settings)) if settings.evaluation.embeddings else None


def open_encoder(settings: Settings) -> Embedder | None:
    """Return the model that the arm `encoder` uses; None if none is at hand."""
    folder = _embedding_folder(settings)
    return open_embedder(folder) if can_embed(folder) else None


def _embedding_folder(settings: Settings) -> Path | None:
    named = settings.evaluation.embedding_model
    return folder_named(named) if named else None


def open_judge(project: Project, settings: Settings, override: Override | None = None) -> ChatModel:
    """Return the judge, by an exact name. Raises RungError if none is named."""
    judge = open_other(project, settings, settings.judge, override)
    if judge is None:
        raise RungError("No judge model is set.", '[judge] base = "..." in rung.toml, and judge.md', where="rung.toml")
    pinned(judge)
    return judge


def finished_run(project: Project, run: str | None) -> RunRecord:
    """Return the run to measure, its weights unchanged since they were saved."""
    from rung.status.stages import after_run

    record = find_run(project, run) if run else newest_run(project)
    if record is None:
        raise Refusal("No finished run to measure.", "rung train")
    served = record.adopted is not None and record.adopted.served
    if record.state != "finished" or not (record.files or served):
        where = f"at step {record.step} of {record.steps}"
        raise Refusal(f"{record.id} is {record.state}, {where}.", after_run(record).command)
    if record.objective == "reward":
        raise Refusal(f"{record.id} is a reward model: it scores answers and writes none.", "rung runs list")
    check_weights(project, record)
    return record


def check_weights(project: Project, record: RunRecord) -> None:
    """Raises Refusal if a file of the run is not what it saved."""
    folder = project.runs / record.adapter
    changed = [name for name, digest in record.files.items() if not says(folder / name, digest)]
    if changed:
        raise Refusal(f"{record.id}: {', '.join(changed)} changed since the run saved it.", "rung train")


def open_tuned(project: Project, settings: Settings, record: RunRecord) -> ChatModel:
    """Return the run's base with its adapter, or the whole model that a full run saved."""
    folder = project.runs / record.adapter
    base = str(folder) if record.method == "full" else record.base
    model = revised(settings.model, base=base, provider="local")
    adapter = None if record.method == "full" else folder
    return open_base(project, revised(settings, model=model), adapter)


def open_served(
    project: Project, settings: Settings, record: RunRecord, served: ServedRun, override: Override | None, suite: bool
) -> ChatModel:
    """Return the run as the server of `[model]` names it; for the general `suite` the server also has its base."""
    needed = [settings.model.base] if suite else []
    guard = project_guard(project, settings, override)
    return open_beside(settings.model, served.name, guard, called=served.model_of(record.id), needed=needed)


def open_untrained(project: Project, settings: Settings, record: RunRecord) -> ChatModel:
    """Return the run's base as it was before training."""
    model = revised(settings.model, base=record.base, provider="local")
    return open_base(project, revised(settings, model=model))


def watch(what: str, *, scored: bool = False) -> Any:
    """Return a progress line for what is being measured.

    If `scored` it shows the score so far, for arms that are no verdict: it tempts to stop where it looks good.
    """
    name, comma, rest = what.partition(",")
    return ProgressLine(f"{arm_name(name)}{comma}{rest}", scored=scored)
