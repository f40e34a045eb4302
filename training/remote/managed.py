"""`rung train --on NAME` at a provider: the export is sent, its job followed, and the adapter adopted as a run.

What is known of a job is in `exports/P-001-NAME/job.json`: a second call goes on with the same job.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Literal

from chat.protocols import Tokenizer
from curation.store import open_store
from training.export.bundle import may_leave, pack
from training.export.export_folder import write_export
from training.gates.clearance import PLAN_COPY
from training.gates.gate import GateOverride
from training.plan.plans import read_plan
from training.remote.adoption import adopt_folder, adopt_served
from training.remote.providers import LOST, PROVIDERS, JobState, Provider, TuningOrder, Unreachable
from training.runs import RunRecord
from workspace.artefact import Artefact, hashes, read_artefact, revised, write_artefact
from workspace.counted import money
from workspace.errors import Refusal, RungError
from workspace.files import sha256_file
from workspace.folder import Project, oldest_first
from workspace.settings import RemoteSettings, Settings
from workspace.trust import REMOTE, demand

JOB = "job.json"
SPLITS = ("train", "validation")
POLL, LONGEST_WAIT = 1.0, 60.0
"""Seconds between two questions: at first, and at most, also while the provider cannot be reached."""

Tell = Callable[[str], None]


class ManagedJob(Artefact):
    """A job at a provider. `id` is the provider's name of it, empty before it was started.

    `name` is the same for the same plan, rows, base and attempt; a job that failed or was cancelled is an attempt.
    `usd` is what it costs by the provider, estimated before the end; None if the provider says nothing.
    """

    remote: str
    provider: Literal["together", "fireworks"]
    host: str
    name: str
    base: str
    plan: str
    plan_sha256: str
    by: str
    attempt: int = 1
    id: str = ""
    state: JobState = "waiting"
    said: str = ""
    usd: float | None = None
    model: str = ""


def provider_of(project: Project, settings: Settings, name: str) -> tuple[RemoteSettings, Provider]:
    """Return the provider's settings in rung.toml, and the provider. Raises Refusal before `rung trust`."""
    place = settings.remotes[name]
    demand(project.root, REMOTE, name)
    return place, PROVIDERS[place.provider](settings.model.timeout)


def job_folder(project: Project, plan: str, name: str) -> Path:
    """Return the export of this plan for this provider; its job lies there, too."""
    return project.root / "exports" / f"{plan}-{name}"


def read_job(project: Project, settings: Settings, plan_file: Path, name: str) -> ManagedJob | None:
    """Return the job of this very plan, unless there is none or it was lost: then another may be started.

    One that has not started is none either, where rung.toml names another provider or base by now.
    """
    path, place = job_folder(project, plan_file.stem, name) / JOB, settings.remotes[name]
    if not path.is_file():
        return None
    job = _read(path)
    if job.plan_sha256 != sha256_file(plan_file) or job.state in LOST:
        return None
    wanted = (place.provider, place.base or read_plan(plan_file).recipe.base)
    return job if job.id or (job.provider, job.base) == wanted else None


def order(
    project: Project,
    settings: Settings,
    plan_file: Path,
    name: str,
    tokenizer: Tokenizer,
    *,
    overrides: Sequence[GateOverride] = (),
    by: str = "",
) -> Path:
    """Ask every gate but the machine's, write the export, and return its folder; nothing is sent yet.

    Raises Locked if a gate is closed, Refusal where rows may not go there or the provider trains no such plan.
    """
    place, provider = provider_of(project, settings, name)
    plan = read_plan(plan_file)
    may_leave(project, provider=place.provider, host=provider.host)
    takes = ("lora", "qlora", *(("full",) if provider.full else ()))
    if plan.recipe.method not in takes:
        said = f"{place.provider} trains {' and '.join(takes)}, and {plan.id} is {plan.recipe.method}."
        raise Refusal(said, "rung plan --method lora")
    folder = job_folder(project, plan.id, name)
    attempt = _read(folder / JOB).attempt + 1 if (folder / JOB).is_file() else 1
    bundle = pack(project, settings, plan_file, tokenizer, kind=place.provider, overrides=overrides)
    write_export(project, settings, bundle, place.provider, folder)
    base = place.base or plan.recipe.base
    rows = [sha256_file(folder / f"{split}.jsonl") for split in SPLITS]
    digest = sha256("\n".join([sha256_file(plan_file), base, *rows, str(attempt)]).encode()).hexdigest()
    job = ManagedJob(
        made_from=hashes(project.root, folder / PLAN_COPY),
        remote=name,
        provider=place.provider,
        host=provider.host,
        name=f"rung-{digest[:12]}",
        base=base,
        plan=plan.id,
        plan_sha256=sha256_file(plan_file),
        by=by or settings.project.person,
        attempt=attempt,
    )
    write_artefact(folder / JOB, job)
    return folder


def begin(project: Project, settings: Settings, folder: Path, tell: Tell) -> ManagedJob:
    """Send the rows and start the job, unless that was done; returns the job.

    Raises Refusal if it would cost more than `usd_at_most`; then it was not started, or is cancelled.
    """
    job, place, provider = _job_at(project, settings, folder)
    if not job.id:
        rows = {split: (folder / f"{split}.jsonl").read_bytes().count(b"\n") for split in SPLITS}
        hashed = {f"{split}.jsonl": sha256_file(folder / f"{split}.jsonl") for split in SPLITS if rows[split]}
        with open_store(project, settings) as store:  # first: killed in between, rows have left and the log says so
            store.event("sent", job.by, job.plan, {"to": job.host, "files": hashed, "job": job.name})
        files = {}
        for split in filter(rows.get, SPLITS):
            tell(f"{job.host}: sending {rows[split]:,} {split} rows")
            files[split] = provider.upload(f"{job.name}-{split}", folder / f"{split}.jsonl", rows[split])
        asked = TuningOrder(job.name, job.base, files, read_plan(folder / PLAN_COPY).recipe)
        usd = provider.cost(asked)
        _affordable(job, place, usd)
        job = _written(folder, job, id=provider.start(asked), usd=usd)
    return _seen(folder, job, place, provider) if job.usd is None else job


def follow(project: Project, settings: Settings, folder: Path, tell: Tell) -> RunRecord:
    """Wait for the job's end, bring the adapter home, and adopt it; a provider that is away is asked again.

    Where `[model]` is asked of a server, the tuned model is adopted by its name there. Raises RungError if the job
    failed or was cancelled.
    """
    job, place, provider = _job_at(project, settings, folder)
    wait = POLL
    while job.state != "finished":
        said = job.said
        try:
            job = _seen(folder, job, place, provider)
        except Unreachable as away:
            tell(f"{away.message}; asked again in {wait:.0f} s")
        else:
            if job.said != said:
                tell(f"{job.host}: {job.id} {job.said}")
            if job.state in LOST:
                raise RungError(f"{job.host}: {job.id} ended: {job.said}.", f"rung train --on {job.remote}")
        if job.state != "finished":
            time.sleep(wait)
            wait = min(LONGEST_WAIT, 1.5 * wait)
    if settings.model.provider != "local":
        return adopt_served(project, settings, job.model, by=job.by)
    said = f"{job.host} says that {job.id} trained these rows on {job.base}, with a chat template of its own."
    return adopt_folder(project, settings, _home(provider, job, folder), job.by, said=[said])


def _read(path: Path) -> ManagedJob:
    """Return the job. Raises RungError for an unreadable file: without it a started job is found by name."""
    try:
        return read_artefact(path, ManagedJob)
    except RungError as error:
        raise RungError(
            error.message, f"Move it away ({path.parent.name}/{JOB}), and call again", where=str(path)
        ) from error


def newest_job(project: Project, name: str, plan: str | None = None) -> Path | None:
    """Return the folder of this plan's job at the provider, else of the newest job that was not lost, or None."""
    found = oldest_first(project.root.glob(f"exports/{plan or '*'}-{name}/{JOB}"))
    return next((p.parent for p in reversed(found) if _read(p).state not in LOST), None)


def cancel(project: Project, settings: Settings, folder: Path) -> ManagedJob:
    """End the job there; what it trained is not kept."""
    job, _, provider = _job_at(project, settings, folder)
    if not job.id or job.state == "finished":
        raise Refusal(f"{job.host}: there is no job to cancel ({job.said or job.state}).", "rung runs list")
    provider.cancel(job.id)
    return _written(folder, job, state="cancelled", said="cancelled")


def _job_at(project: Project, settings: Settings, folder: Path) -> tuple[ManagedJob, RemoteSettings, Provider]:
    job = _read(folder / JOB)
    place, provider = provider_of(project, settings, job.remote)
    if place.provider != job.provider:
        said = f"{job.name} is at {job.provider}, and [remotes.{job.remote}] names {place.provider}."
        raise Refusal(said, f'provider = "{job.provider}", and a table of its own for {place.provider}')
    return job, place, provider


def _seen(folder: Path, job: ManagedJob, place: RemoteSettings, provider: Provider) -> ManagedJob:
    """Return the job as it is now. Raises Refusal, and cancels it, where it will cost more than `usd_at_most`."""
    seen = provider.poll(job.id)
    usd = job.usd if seen.usd is None else seen.usd
    if seen.state in ("waiting", "running"):
        try:
            _affordable(job, place, usd)
        except Refusal:
            provider.cancel(job.id)
            _written(folder, job, state="cancelled", said="over usd_at_most", usd=usd)
            raise
    return _written(folder, job, state=seen.state, said=seen.said, usd=usd, model=seen.model)


def _affordable(job: ManagedJob, place: RemoteSettings, usd: float | None) -> None:
    if usd is not None and place.usd_at_most is not None and not usd <= place.usd_at_most:  # not a number, too
        raise Refusal(
            f"{job.host} estimates {money(usd)}; [remotes.{job.remote}] usd_at_most is ${place.usd_at_most:g}.",
            "A smaller plan (rung plan --set epochs=1), or a higher usd_at_most",
        )


def _home(provider: Provider, job: ManagedJob, folder: Path) -> Path:
    """Return the folder of the adapter; its files are moved there once all of them came."""
    target, made = folder / "adapter", folder / ".adapter.new"
    if not target.is_dir():
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
        try:
            provider.fetch(job.id, made)
            made.rename(target)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return target


def _written(folder: Path, job: ManagedJob, **changes: object) -> ManagedJob:
    changed = revised(job, **changes)
    if changed != job:
        write_artefact(folder / JOB, changed)
    return changed
