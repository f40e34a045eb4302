"""A release: `releases/L-001/release.json`, written last, over files that another machine can check."""

import re
from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ValidationError

from curation.store import open_store
from training.gates.gate import GateOverride
from workspace.artefact import Artefact, ArtefactPart, read_artefact
from workspace.errors import RungError
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import Settings

FormName = Literal[
    "prompt", "classifier", "encoder", "adapter", "merged", "gguf", "gptq", "awq", "ollama", "vllm", "tgi", "served"
]
FORMS: tuple[FormName, ...] = get_args(FormName)
UNTUNED: tuple[FormName, ...] = ("prompt", "classifier", "encoder")
"""Forms that need no run."""
NEEDS: dict[FormName, FormName] = {
    "gguf": "merged",
    "gptq": "merged",
    "awq": "merged",
    "ollama": "gguf",
    "vllm": "merged",
    "tgi": "merged",
}
"""The form that a form is made from; it is made too if it was not asked for."""


def with_needed(names: Container[str]) -> list[FormName]:
    """Return these forms with those that they are made from, in the order of making: `gguf` -> merged, gguf."""
    needed = {form for form in FORMS if form in names}
    while more := {NEEDS[form] for form in needed if form in NEEDS} - needed:
        needed |= more
    return [form for form in FORMS if form in needed]


RELEASE = "release.json"
CHAIN = "chain"


class ReleasedForm(ArtefactPart):
    """One form of the model in the release: its folder, its size, and how it was found equal to the run."""

    form: FormName
    folder: str
    bytes: int
    against: str = ""
    facts: dict[str, Any] = {}


class Release(Artefact):
    """`releases/L-001/release.json`.

    `files` lists every other file of the folder by SHA-256; `chain/` holds copies of the artefacts that it was made
    from, and `made_from` names them as the project does. `verdict` is the ruling that allowed it; `by` and `reason`
    the person who decided a judgement or signed.
    """

    id: str
    run: str | None = None
    dataset: str = ""
    base: str = ""
    arm: str | None = None
    verdict: str = ""
    by: str = ""
    reason: str = ""
    overrides: list[GateOverride] = []
    forms: list[ReleasedForm]
    files: dict[str, str]


def list_files(folder: Path) -> dict[str, str]:
    """Return SHA-256 of every file below `folder` but release.json, by relative path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / RELEASE)
    return {path.relative_to(folder).as_posix(): sha256_file(path) for path in paths}


def folder_bytes(folder: Path) -> int:
    """Return size of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def number_of(name: str) -> int:
    """`L-012` -> 12; 0 if it is no release's name."""
    found = re.fullmatch(r"L-(\d+)", name)
    return int(found[1]) if found else 0


def release_names(project: Project) -> list[str]:
    """Return the ids of all complete releases, oldest first."""
    return sorted(filter(number_of, (p.parent.name for p in project.releases.glob(f"L-*/{RELEASE}"))), key=number_of)


@dataclass(frozen=True, slots=True)
class VerifiedRelease:
    """`faults` is empty if the release is what was released; `links` counts hashes of the chain that hold."""

    release: Release
    files: int
    links: int
    faults: list[str]


def verify(folder: Path) -> VerifiedRelease:
    """Compare every file with release.json, and the copies in chain/. Raises RungError if the folder is no release."""
    if not (folder / RELEASE).is_file():
        raise RungError(
            f"{folder}: not a release ({RELEASE} is missing).", "rung release --to prompt", where=str(folder)
        )
    release = read_artefact(folder / RELEASE, Release)
    found = list_files(folder)
    faults = [f"{name} changed" for name, digest in release.files.items() if name in found and found[name] != digest]
    faults += [f"{name} is missing" for name in release.files if name not in found]
    faults += [f"{name} was added" for name in found if name not in release.files]
    for path in folder.rglob("*"):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            faults.append(f"{path.relative_to(folder)} is a {'symlink' if path.is_symlink() else 'device or pipe'}")
    chain = folder / CHAIN
    links = [_link(chain, name, digest, RELEASE) for name, digest in release.made_from.items()]
    links += [link for name in release.made_from for link in _inner(chain, name)]
    faults += [fault for fault in links if fault]
    return VerifiedRelease(release, len(found), sum(not fault for fault in links), sorted(set(faults)))


class _Sources(BaseModel):
    """Sources named by any artefact of the chain."""

    made_from: dict[str, str] = {}


def _inner(chain: Path, name: str) -> list[str]:
    """Return links from one artefact of the chain to others that are here too; a damaged one is a fault."""
    path = chain / name
    if path.suffix != ".json" or not path.is_file():
        return []
    try:
        made_from = _Sources.model_validate_json(path.read_bytes()).made_from
    except ValidationError:
        return [f"chain/{name} is damaged: it tells no sources"]
    return [_link(chain, other, digest, name) for other, digest in made_from.items() if (chain / other).is_file()]


def _link(chain: Path, name: str, digest: str, by: str) -> str:
    path = chain / name
    if not path.is_file() or not path.resolve().is_relative_to(chain.resolve()):
        return f"chain/{name} is missing"
    return "" if sha256_file(path) == digest else f"chain/{name} is not what {by} was made from"


def current_release(project: Project) -> tuple[Path, Release] | None:
    """Return the newest whole release, with its folder; None if nothing was released."""
    names = release_names(project)
    if not names:
        return None
    folder = project.releases / names[-1]
    return folder, read_artefact(folder / RELEASE, Release)


def take_place(project: Project, settings: Settings, work: Path, release: Release) -> Path:
    """Make `work` the current release and log it: both, or neither (`settle`). The caller holds the lock."""
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
    """Return the ids of all releases that were logged, also of those whose folder is gone."""
    with open_store(project, settings) as store:
        return [event.ref for event in store.events(kind="released")]


def _log_release(project: Project, settings: Settings, release: Release) -> None:
    """Log the release and its overrides as events, unless they are there."""
    from training.release.making import Loss

    by = release.by or settings.project.person
    with open_store(project, settings) as store:
        if store.events(kind="released", ref=release.id):
            return
        logged = {event.detail.get("form") for event in store.events(kind="override", ref=release.id)}
        measured = (each for form in release.forms for each in form.facts.get("validation", {}).values())
        for loss in map(Loss.model_validate, measured):
            if loss.allowed and loss.form not in logged:
                signed = {"gate": "loss", "form": loss.form, **loss.allowed.model_dump(mode="json")}
                store.event("override", loss.allowed.by, release.id, signed)
        detail = {"forms": [f.form for f in release.forms], "verdict": release.verdict, "reason": release.reason}
        store.event("released", by, release.id, detail)
