"""Paths of a project folder, and which links lead out of it. No file is read here."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from workspace.errors import RungError, did_you_mean

SETTINGS_FILE = "rung.toml"
OWN_FILES = (SETTINGS_FILE, "answers.toml", "decision.json", "guideline.md", "judge.md", "rung.db")
"""Files of a project, and how the names begin of those beside one (`rung.db-wal`)."""
MADE_FOLDERS = frozenset(("datasets", "evaluations", "plans", "releases", "runs", "watch"))
"""Folders in which stages alone write."""
OWN_FOLDERS = MADE_FOLDERS | {"arms", "documents", "metrics", "prompts", "rules"}
OWN_NAMES = OWN_FOLDERS | {"exports", "general.jsonl", "share.html"}
"""With what is written or read by these names beside them."""


class _Below:
    """A file or folder of a project, by its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, project: Project, kind: type[Project]) -> Path:
        """Return its path."""
        return project.root / self.name


@dataclass(frozen=True, slots=True)
class Project:
    """A project folder, by its root. It is one because `rung.toml` is in it."""

    root: Path

    @property
    def name(self) -> str:
        """The folder's own name, shown in the first line of every screen."""
        return self.root.resolve().name

    settings_file = _Below(SETTINGS_FILE)
    answers_file = _Below("answers.toml")
    decision_file = _Below("decision.json")
    guideline_file = _Below("guideline.md")
    database_file = _Below("rung.db")
    """The store, unless `[store] url` names another one."""
    prompts = _Below("prompts")
    documents = _Below("documents")
    """Files that the rag arm may read."""
    datasets = _Below("datasets")
    """With `v001/` and so on below; E-001, P-001.toml, R-001 and L-001 in those that follow."""
    evaluations = _Below("evaluations")
    plans = _Below("plans")
    runs = _Below("runs")
    releases = _Below("releases")

    def reads(self, path: Path) -> bool:
        """True if Rung reads a file of this name for its content: settings, answers, the store, output of stages."""
        return self._is_own(path, OWN_FOLDERS)

    def makes(self, path: Path) -> bool:
        """True if a file or folder of this name, not there yet, would count as a stage's output."""
        return self._is_own(path, MADE_FOLDERS)

    def _is_own(self, path: Path, folders: frozenset[str]) -> bool:
        parts = Path(os.path.realpath(path)).relative_to(self.root.resolve()).parts  # of a loop of links too
        return (len(parts) == 1 and parts[0].startswith(OWN_FILES)) or (len(parts) > 1 and parts[0] in folders)

    def relative(self, path: Path) -> str:
        """`path` as artefacts name it: relative to the root, with forward slashes."""
        return path.resolve().relative_to(self.root.resolve()).as_posix()


def links_out(root: Path) -> dict[str, str]:
    """Return the links among a project's own files and folders that lead out of it, by name, with where they lead."""
    root = root.resolve()
    own = [path for path in root.glob("*") if path.name in OWN_NAMES or path.name.startswith(OWN_FILES)]
    below = (os.walk(path) for path in own if not path.is_symlink())
    inside = [Path(at, name) for walk in below for at, folders, files in walk for name in (*folders, *files)]
    ends = {path: os.path.realpath(path) for path in (*own, *inside) if path.is_symlink()}
    return {path.relative_to(root).as_posix(): e for path, e in ends.items() if not Path(e).is_relative_to(root)}


def find_project(start: Path | None = None) -> Project | None:
    """Return the project that holds `start` (default: the working directory), looking upwards as git does."""
    here = (start or Path.cwd()).resolve()
    for folder in (here, *here.parents):
        if (folder / SETTINGS_FILE).is_file():
            return Project(folder)
    return None


def require_project(start: Path | None = None) -> Project:
    """Find a project, as `find_project`, but raise RungError with the next step if there is none."""
    project = find_project(start)
    if project is None:
        raise RungError(f"No Rung project in {(start or Path.cwd()).resolve()}.", "rung init")
    return project


def folder_named(name: str) -> Path:
    """Return the folder that rung.toml, a plan or a run calls `name`: a relative one is in the project around, from
    wherever in it a command runs; without a project in the working directory.
    """
    folder = Path(name)
    with contextlib.suppress(RuntimeError, ValueError):  # nobody has that home, or no name
        folder = folder.expanduser()
    project = None if folder.is_absolute() else find_project()
    return project.root / folder if project else folder


def next_id(folder: Path, prefix: str) -> str:
    """Return the next free numbered name below `folder`: `R-001`, `R-002` ... (`v001` for the prefix `v`)."""
    dash = "" if prefix == "v" else "-"
    pattern = re.compile(rf"{prefix}{dash}(\d+)(\..*)?")
    taken = [int(m[1]) for p in (folder.iterdir() if folder.is_dir() else ()) if (m := pattern.fullmatch(p.name))]
    return f"{prefix}{dash}{max(taken, default=0) + 1:03d}"


def by_number(path: Path) -> list[str | int]:
    """Sorting key: `v999` before `v1000`, each number in a path as a number."""
    return [int(part) if at % 2 else part for at, part in enumerate(re.split("([0-9]+)", path.as_posix()))]


def oldest_first(paths: Iterable[Path]) -> list[Path]:
    """Return paths of numbered things in the order in which they were made."""
    return sorted(paths, key=by_number)


def newest(folder: Path, marker: str, name: str | None = None, what: str = "") -> Path | None:
    """Return the newest complete sub-folder of `folder`: one that holds the file `marker` (it is written last).

    With `name`, that one; raises RungError where it is not there or not complete.
    """
    complete = oldest_first(p.parent for p in folder.glob(f"*/{marker}"))
    if name is None:
        return complete[-1] if complete else None
    for path in complete:
        if path.name == name:
            return path
    raise RungError(f"No {what or 'folder'} {name} in {folder}.{did_you_mean(name, [p.name for p in complete])}")
