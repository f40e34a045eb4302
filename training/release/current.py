"""The current release: the newest, unless a person went back to an earlier one (`releases/current.json`)."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from curation.store import open_store
from training.release.releases import RELEASE, Release, number_of, release_names, verify
from workspace.artefact import Artefact, hashes, now, read_artefact, revised, write_artefact
from workspace.errors import Refusal, RungError, did_you_mean
from workspace.files import write_bytes
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings

CURRENT = "current.json"


class ReleaseChange(BaseModel):
    """One change of the current release: from which release to which, by whom and why."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    release: str
    before: str | None
    by: str
    reason: str
    at: datetime


class Current(Artefact):
    """`releases/current.json`: the current release, and every change so far, oldest first."""

    release: str
    steps: list[ReleaseChange] = []


def current_id(project: Project) -> str | None:
    """The id of the current release, also where its folder is gone; None where nothing was released.

    A whole release newer than every earlier current one was made by a command that was killed: it is current.
    Raises RungError where current.json cannot be read.
    """
    current, names = read_current(project), release_names(project)
    if current is None or (names and number_of(names[-1]) > highest_current(current)):
        return names[-1] if names else None
    return current.release


def highest_current(current: Current | None) -> int:
    """The highest number among the releases that were ever current."""
    return max((number_of(step.release) for step in current.steps), default=0) if current else 0


def read_current(project: Project) -> Current | None:
    """`releases/current.json`, None where there is none. Raises RungError where it cannot be read."""
    path = project.releases / CURRENT
    return read_artefact(path, Current) if path.is_file() else None


def current_release(project: Project) -> tuple[Path, Release] | None:
    """The current release, with its folder; None where nothing was released.

    Raises RungError where current.json names one that is not there: then a rollback or a new release helps.
    """
    name = current_id(project)
    if name is None:
        return None
    known = release_names(project)
    if name not in known:
        others = known or ["none"]
        way = f"rollback {known[-1]} --by NAME --reason TEXT" if known else "--to prompt"
        raise RungError(
            f"{name} is current, but its folder is gone from releases/. There: {', '.join(others)}.",
            f"rung release {way}",
            where=str(project.releases / CURRENT),
        )
    return _named(project, name)


def make_current(project: Project, release: str, before: str | None, by: str, reason: str) -> None:
    """Make this release current instead of `before`; the caller holds the lock."""
    current = read_current(project)
    steps = [
        *(current.steps if current else []),
        ReleaseChange(release=release, before=before, by=by, reason=reason, at=now()),
    ]
    made_from = hashes(project.root, project.releases / release / RELEASE)
    write_artefact(project.releases / CURRENT, Current(release=release, steps=steps, made_from=made_from))


def take_place(project: Project, settings: Settings, work: Path, release: Release) -> Path:
    """The finished folder `work` becomes the current release, and that is logged: all of it, or nothing.

    The caller holds the lock. Where it is killed on the way, `settle` does the rest.
    """
    target, before = project.releases / release.id, current_id(project)
    by = release.by or settings.project.person
    with _or_as_it_was(project.releases / CURRENT):
        work.rename(target)
        try:
            make_current(project, release.id, before, by, release.reason or "released")
            _log_release(project, settings, release)
        except BaseException:
            target.rename(work)
            raise
    return target


@contextlib.contextmanager
def _or_as_it_was(path: Path) -> Iterator[None]:
    """Where the block fails, the file is as it was: what that needs is put aside first, for the disk may be full."""
    aside, was_there = path.with_name(f".{path.name}.before"), path.is_file()
    if was_there:
        write_bytes(aside, path.read_bytes())
    try:
        yield
    except BaseException:
        aside.replace(path) if was_there else path.unlink(missing_ok=True)
        raise
    aside.unlink(missing_ok=True)


def settle(project: Project, settings: Settings) -> None:
    """What a killed command left undone of the last change is done: what took its place is current, and it is logged.

    The caller holds the lock.
    """
    names, current = release_names(project), read_current(project)
    if names and number_of(names[-1]) > highest_current(current):
        release = _named(project, names[-1])[1]
        by = release.by or settings.project.person
        make_current(project, release.id, current.release if current else None, by, release.reason or "released")
    current = read_current(project)
    if current is None or not current.steps:
        return
    last, earlier = current.steps[-1], revised(current, steps=current.steps[:-1])
    if number_of(last.release) <= highest_current(earlier):
        _log_rollback(project, settings, last)
    elif last.release in names:
        _log_release(project, settings, _named(project, last.release)[1])


def _log_release(project: Project, settings: Settings, release: Release) -> None:
    """The release and what it was let through with, as events; nothing where they are there."""
    from training.release.form_loss import let_through

    by = release.by or settings.project.person
    with open_store(project, settings) as store:
        if store.events(kind="released", ref=release.id):
            return
        logged = {event.detail.get("form") for event in store.events(kind="override", ref=release.id)}
        for loss in (each for form in release.forms for each in let_through(form.facts)):
            signed = loss.allowed.model_dump(mode="json") if loss.allowed else {}
            if loss.form not in logged:
                store.event("override", signed["by"], release.id, {"gate": "loss", "form": loss.form, **signed})
        detail = {"forms": [f.form for f in release.forms], "verdict": release.verdict, "reason": release.reason}
        store.event("released", by, release.id, detail)


def _log_rollback(project: Project, settings: Settings, step: ReleaseChange) -> None:
    """The rollback as an event; nothing where it is there."""
    detail = {"before": step.before, "reason": step.reason, "at": step.at.isoformat()}
    with open_store(project, settings) as store:
        found = [event.detail for event in store.events(kind="rolled_back", ref=step.release)]
        if not any({"at": detail["at"], **each} == detail for each in found):
            store.event("rolled_back", step.by, step.release, detail)


def roll_back(project: Project, settings: Settings, to: str, by: str, reason: str) -> ReleaseChange:
    """Go back to an earlier release, after its files were found to be what was released. Nothing is removed.

    `to` may be empty: then the one before the current one. Raises Refusal where there is none, it changed, or no
    name and reason are given.
    """
    if not by.strip() or not reason.strip():
        raise RungError(
            "A rollback names a person and a reason.", "rung release rollback L-001 --by NAME --reason TEXT"
        )
    if current_id(project) is None:
        raise Refusal("Nothing is released yet, so there is nothing to go back to.", "rung release --to prompt")
    with writer_lock(project.releases / ".lock", "A release"):
        settle(project, settings)
        with _or_as_it_was(project.releases / CURRENT):
            step = _go_back(project, to, by.strip(), reason.strip())
            _log_rollback(project, settings, step)
    return step


def _go_back(project: Project, to: str, by: str, reason: str) -> ReleaseChange:
    before = current_id(project) or ""
    folder, _ = _named(project, to) if to else _before(project, before)
    if folder.name == before:
        raise Refusal(f"{folder.name} is the current release already.", "rung status")
    checked = verify(folder)
    if checked.faults:
        raise Refusal(
            f"{folder.name} is not what was released: {'; '.join(checked.faults[:3])}. {before} stays current.",
            f"rung release verify {folder.name}",
        )
    make_current(project, folder.name, before, by, reason)
    return read_artefact(project.releases / CURRENT, Current).steps[-1]


def _before(project: Project, before: str) -> tuple[Path, Release]:
    """The newest release that was made before this one: a second rollback goes back further, never forward again."""
    older = [name for name in release_names(project) if number_of(name) < number_of(before)]
    if not older:
        raise Refusal(f"{before} is the first release: there is none before it.", "rung status")
    return _named(project, older[-1])


def _named(project: Project, name: str) -> tuple[Path, Release]:
    """A release by its id: never a path, nor the hidden folder of one that is being made."""
    known = release_names(project)
    if name not in known:
        hint = did_you_mean(name, known)
        raise RungError(f"No release {name}.{hint} Released: {', '.join(known) or 'none'}.", "rung status", found=name)
    folder = project.releases / name
    return folder, read_artefact(folder / RELEASE, Release)
