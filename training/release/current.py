"""The current release: the newest. A finished release takes its place and is logged, or there is none."""

from pathlib import Path

from curation.store import open_store
from training.release.releases import RELEASE, Release, release_names
from workspace.artefact import read_artefact
from workspace.folder import Project
from workspace.settings import Settings


def current_release(project: Project) -> tuple[Path, Release] | None:
    """The newest whole release, with its folder; None where nothing was released."""
    names = release_names(project)
    if not names:
        return None
    folder = project.releases / names[-1]
    return folder, read_artefact(folder / RELEASE, Release)


def take_place(project: Project, settings: Settings, work: Path, release: Release) -> Path:
    """The finished folder `work` becomes the current release, and that is logged: both, or neither.

    The caller holds the lock. Where it is killed between the two, `settle` logs it.
    """
    target = project.releases / release.id
    work.rename(target)
    try:
        _log_release(project, settings, release)
    except BaseException:
        target.rename(work)
        raise
    return target


def settle(project: Project, settings: Settings) -> None:
    """Log the newest release where a killed command did not. The caller holds the lock."""
    if found := current_release(project):
        _log_release(project, settings, found[1])


def ever_released(project: Project, settings: Settings) -> list[str]:
    """The ids of all releases that were logged, also of those whose folder is gone."""
    with open_store(project, settings) as store:
        return [event.ref for event in store.events(kind="released")]


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
