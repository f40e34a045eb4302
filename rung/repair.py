"""What `rung doctor --repair` can put right: only what a killed command left behind, and nothing is deleted."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rung.kept import LOCKS
from workspace.artefact import now
from workspace.files import HALF_FILE
from workspace.folder import Project
from workspace.lock import is_held, writer_lock

ASIDE = "set-aside"
OWN = ("documents", ASIDE)
"""Folders that are not looked through: the user's own texts, and what was set aside before."""
WORKSHOPS = (
    "datasets/.tmp/*",
    "releases/.L-*",
    "releases/**/.*.new",
    "runs/*/.adapter.new",
    "runs/*/.adapter.old",
    "runs/.rows-*",
    "watch/.W-*",
)
"""Where things are made before they take their place."""
MARKERS = {
    "datasets": "manifest.json",
    "evaluations": "report.json",
    "releases": "release.json",
    "runs": "run.json",
    "watch": "import.json",
}
"""The file that is written last: a folder without it is not whole."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One thing to put right: what was found, and the file or folder that moves to `set-aside/`."""

    found: str
    path: Path

    def line(self, project: Project) -> str:
        """`datasets/v003: not whole (no manifest.json) -> set-aside/`."""
        return f"{self.path.relative_to(project.root)}: {self.found} -> {ASIDE}/"


def repairs(project: Project) -> list[Repair]:
    """Everything that a repair would move, in order of place. Looks, changes nothing; what a living command holds is
    being made, not half.
    """
    held = {lock for lock in LOCKS if is_held(project.root / lock)}
    return _found(project, {lock.split("/")[0] for lock in held})


def mend(project: Project, found: list[Repair]) -> tuple[Path, int]:
    """Move what was found, and is still half once nothing else writes, below `set-aside/DATE/`, each with its path;
    that folder, and how many. Raises Refusal where a command is at work, and moves nothing.
    """
    room = project.root / ASIDE / now().strftime("%Y-%m-%dT%H%M%S")
    with contextlib.ExitStack() as stack:
        for lock in (project.root / name for name in LOCKS):
            if lock.parent.is_dir():
                stack.enter_context(writer_lock(lock, "Other work on this project"))
        still = [repair for repair in _found(project, set()) if repair in found]
        for repair in still:
            target = room / repair.path.relative_to(project.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(repair.path, target)
    return room, len(still)


def _found(project: Project, busy: set[str]) -> list[Repair]:
    every = {*_files(project), *_workshops(project), *_folders(project)}
    inside = {path for repair in every for path in repair.path.rglob("*") if repair.path.is_dir()}
    free = [r for r in every if r.path not in inside and r.path.relative_to(project.root).parts[0] not in busy]
    return sorted(free, key=lambda repair: str(repair.path))


def _files(project: Project) -> Iterator[Repair]:
    """Temporary files of commands that were killed, wherever commands write."""
    for path in project.root.rglob(".*.tmp"):
        inside = path.relative_to(project.root)
        hidden = any(part.startswith(".") for part in inside.parent.parts)
        if HALF_FILE.fullmatch(path.name) and path.is_file() and inside.parts[0] not in OWN and not hidden:
            yield Repair("half written by a killed command", path)


def _workshops(project: Project) -> Iterator[Repair]:
    for path in (path for pattern in WORKSHOPS for path in project.root.glob(pattern)):
        what = "half a freeze" if path.parent == project.datasets / ".tmp" else "half written by a killed command"
        yield Repair(what, path)


def _folders(project: Project) -> Iterator[Repair]:
    for room, marker in MARKERS.items():
        folder = project.root / room
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and not (path / marker).is_file():
                goes_on = "; the same command goes on with it" if room == "evaluations" else ""
                yield Repair(f"not whole (no {marker}){goes_on}", path)
