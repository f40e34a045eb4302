"""Which release stands: the newest, unless a person went back to an earlier one (`releases/current.json`)."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from curation.store import open_store
from training.release.record import RELEASE, Release, newest_release
from training.release.verify import verify
from workspace.artefact import Artefact, hashes, now, read_artefact, write_artefact
from workspace.errors import Refusal, RungError, did_you_mean
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings

CURRENT = "current.json"


class Step(BaseModel):
    """One change of what stands: from which release to which, by whom and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    release: str
    before: str | None
    by: str
    reason: str
    at: datetime


class Current(Artefact):
    """`releases/current.json`: the release that stands, and every change so far, oldest first."""

    release: str
    steps: list[Step] = []


def standing_release(project: Project) -> tuple[Path, Release] | None:
    """The release that stands, with its folder; None where nothing was released.

    Raises RungError where current.json names one that is not there.
    """
    path = project.releases / CURRENT
    if not path.is_file():
        return newest_release(project)
    return _named(project, read_artefact(path, Current).release)


def stand(project: Project, release: str, before: str | None, by: str, reason: str) -> None:
    """Let this release stand from now on in the place of `before`; the caller holds the lock."""
    path = project.releases / CURRENT
    earlier = read_artefact(path, Current).steps if path.is_file() else []
    steps = [*earlier, Step(release=release, before=before, by=by, reason=reason, at=now())]
    made_from = hashes(project.root, project.releases / release / RELEASE)
    write_artefact(path, Current(release=release, steps=steps, made_from=made_from))


def roll_back(project: Project, settings: Settings, to: str, by: str, reason: str) -> Step:
    """Go back to an earlier release, after its files were found to be what was released. Nothing is removed.

    `to` may be empty: then the one before the one that stands. Raises Refusal where there is none, it changed, or no
    name and reason are given.
    """
    if not by.strip() or not reason.strip():
        raise RungError(
            "A rollback names a person and a reason.", "rung release rollback L-001 --by NAME --reason TEXT"
        )
    found = standing_release(project)
    if found is None:
        raise Refusal("Nothing is released yet, so there is nothing to go back to.", "rung release --to prompt")
    folder, _ = _named(project, to) if to else _before(project, found[1].id)
    if folder.name == found[1].id:
        raise Refusal(f"{folder.name} is what stands already.", "rung status")
    checked = verify(folder)
    if checked.faults:
        raise Refusal(
            f"{folder.name} is not what was released: {'; '.join(checked.faults[:3])}. {found[1].id} stands.",
            f"rung release verify {folder.name}",
        )
    with writer_lock(project.releases / ".lock", "A release"):
        stand(project, folder.name, found[1].id, by.strip(), reason.strip())
    step = read_artefact(project.releases / CURRENT, Current).steps[-1]
    with open_store(project, settings) as store:
        store.event("rolled_back", step.by, step.release, {"before": step.before, "reason": step.reason})
    return step


def _before(project: Project, standing: str) -> tuple[Path, Release]:
    """The release that stood before this one: by current.json, else the one made before it."""
    path = project.releases / CURRENT
    steps = read_artefact(path, Current).steps if path.is_file() else []
    known = [p.parent.name for p in sorted(project.releases.glob(f"L-*/{RELEASE}"))]
    earlier = [step.before for step in steps if step.release == standing and step.before in known]
    older = [name for name in known if name < standing]
    name = earlier[-1] if earlier else older[-1] if older else None
    if name is None:
        raise Refusal(f"{standing} is the first release: there is none before it.", "rung status")
    return _named(project, name)


def _named(project: Project, name: str) -> tuple[Path, Release]:
    path = project.releases / name / RELEASE
    if not path.is_file():
        known = [p.parent.name for p in sorted(project.releases.glob(f"L-*/{RELEASE}"))]
        hint = did_you_mean(name, known)
        raise RungError(f"No release {name}.{hint} Released: {', '.join(known) or 'none'}.", "rung status", found=name)
    return path.parent, read_artefact(path, Release)
