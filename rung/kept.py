"""What of a project's folder a backup keeps, and what it leaves out and says so."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from training.record import LOCK as RUN_LOCK
from workspace.files import HALF_FILE
from workspace.folder import Project

LOCKS = ("datasets/.lock", "evaluations/.lock", "releases/.lock", "runs/writer.lock", "watch/.lock")
OWN_FOLDERS = (Path(".jobs"), Path("datasets/.tmp"))
"""Folders of the moment, where Rung works: nothing in them is worth keeping."""
MADE_AGAIN = {"__pycache__": "", ".venv": "a Python environment"}
"""Folders that are made again from what is kept, and what is said of that; nothing is said of a cache."""


@dataclass
class Found:
    """What lies in the folder: names that are kept, and what is not, with the reason."""

    names: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def look_through(project: Project) -> Found:
    """Look through the whole folder. Raises OSError for a folder that cannot be read: its files would be missing."""
    found = Found()
    for folder, folders, files in os.walk(project.root, onerror=_raised):
        here = Path(folder).relative_to(project.root)
        for name in sorted(folders):
            why = _why_no_folder(project.root, here / name)
            if why is not None:
                folders.remove(name)
                found.left_out += [f"{here / name}: {why}"] if why else []
        for name in files:
            if _is_of_the_moment(here / name, project.database_file.name):
                continue
            why = _no_file(project.root / here / name)
            if why:
                found.left_out.append(f"{here / name}: {why}")
            else:
                found.names.append(here / name)
    found.names.sort()
    found.left_out.sort()
    return found


def _raised(error: OSError) -> None:
    raise error


def _why_no_folder(root: Path, name: Path) -> str | None:
    """Why a folder is not looked into, empty where nobody asks; None where it is."""
    if (root / name).is_symlink():
        return f"a link to {(root / name).readlink()}"
    return "" if name in OWN_FOLDERS else MADE_AGAIN.get(name.name)


def _no_file(path: Path) -> str:
    """What it is, where it is no ordinary file."""
    if path.is_symlink():
        return f"a link to {path.readlink()}"
    return "" if stat.S_ISREG(path.lstat().st_mode) else "no ordinary file"


def _is_of_the_moment(name: Path, database: str) -> bool:
    """A lock of Rung's, half a file, or the database, which is copied in a way of its own."""
    lock = str(name) in LOCKS or (name.suffix == ".lock" and (name.name == RUN_LOCK or name.name.startswith(".")))
    return (
        lock or bool(HALF_FILE.fullmatch(name.name)) or name in (Path(database + end) for end in ("", "-wal", "-shm"))
    )
