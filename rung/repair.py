"""What `rung doctor --repair` can put right: only what a killed command left behind, and nothing is deleted."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workspace.artefact import now
from workspace.folder import Project

ASIDE = "set-aside"
HIDDEN = (".*.tmp", ".*.new", ".*.old", ".L-*", ".W-*")
"""Names under which files and folders are made before they take their place."""
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
    """Everything that a repair would move, in order of place. Looks, changes nothing."""
    return sorted({*_halves(project), *_folders(project)}, key=lambda repair: str(repair.path))


def mend(project: Project, found: list[Repair]) -> Path:
    """Move what was found below `set-aside/DATE/`, each with its path; that folder."""
    room = project.root / ASIDE / now().strftime("%Y-%m-%dT%H%M%S")
    for repair in found:
        target = room / repair.path.relative_to(project.root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(repair.path, target)
    return room


def _halves(project: Project) -> Iterator[Repair]:
    """Temporary files and workshops of commands that were killed."""
    for path in (path for name in HIDDEN for path in project.root.rglob(name)):
        inside = path.relative_to(project.root)
        if ASIDE not in inside.parts and ".venv" not in inside.parts and not _hidden(inside.parent):
            yield Repair("half written by a killed command", path)
    for path in (project.datasets / ".tmp").glob("*"):
        yield Repair("half a freeze", path)


def _hidden(folder: Path) -> bool:
    """Whether a folder that is moved as a whole holds this one."""
    return any(part.startswith(".") for part in folder.parts)


def _folders(project: Project) -> Iterator[Repair]:
    for room, marker in MARKERS.items():
        folder = project.root / room
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and not (path / marker).is_file():
                goes_on = "; the same command goes on with it" if room == "evaluations" else ""
                yield Repair(f"not whole (no {marker}){goes_on}", path)
