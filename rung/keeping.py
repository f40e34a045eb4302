"""A whole project in one file and back (`rung backup`, `rung restore`), and what killed commands left."""

from __future__ import annotations

import contextlib
import fcntl
import json
import lzma
import os
import shutil
import sqlite3
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from curation.store.engine import copy_database
from training.runs import LOCK as RUN_LOCK
from workspace.artefact import now
from workspace.errors import InputError, Problem, RungError
from workspace.files import HALF_FILE, Hashed, check_place, sha256_file
from workspace.folder import Project
from workspace.lock import is_held, writer_lock
from workspace.settings import Settings
from workspace.untar import unpack

LOCKS = ("datasets/.lock", "evaluations/.lock", "releases/.lock", "runs/writer.lock", "watch/.lock")
OWN_FOLDERS = (Path(".jobs"), Path("datasets/.tmp"))
"""Folders of the moment, where Rung works: nothing in them is worth keeping."""
MADE_AGAIN = {"__pycache__": "", ".venv": "a Python environment"}
"""Folders that are made again from what is kept, and what is said of that; nothing is said of a cache."""


@dataclass
class FolderContents:
    """What lies in the folder: names that are kept, and what is not, with the reason."""

    names: list[Path] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


def look_through(project: Project) -> FolderContents:
    """Look through the whole folder. Raises OSError for a folder that cannot be read: its files would be missing."""
    found = FolderContents()
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
    return "" if stat.S_ISREG(path.lstat().st_mode) else "not a regular file"


def _is_of_the_moment(name: Path, database: str) -> bool:
    """A lock of Rung's, half a file, or the database, which is copied in a way of its own."""
    lock = str(name) in LOCKS or (name.suffix == ".lock" and (name.name == RUN_LOCK or name.name.startswith(".")))
    return (
        lock or bool(HALF_FILE.fullmatch(name.name)) or name in (Path(database + end) for end in ("", "-wal", "-shm"))
    )


LIST = "backup.json"
"""Last member of a backup: its contents, with hashes. Without it the file is not whole."""
BACKUP, RESTORE, TAIL = ".backup", ".restore", 8
"""Endings of the hidden folders in which both work, and how many letters `tempfile` puts before them."""
MARKER = ".made-by-rung-backup"
"""First file in each of these folders: one that holds other things and not this is somebody's own, and stays."""


@dataclass(frozen=True, slots=True)
class Backup:
    """What went into a backup. `outside` says what is not in it and where it is, `left_out` names what of the folder
    was passed over, each with the reason.
    """

    file: Path
    files: int
    bytes: int
    outside: tuple[str, ...]
    left_out: tuple[str, ...]


def back_up(project: Project, settings: Settings, file: Path) -> Backup:
    """Write all of the project to a tar file: the database by SQLite's online backup, then the files as they are.

    Freezing, measuring, training and releasing cannot begin meanwhile; reviewers go on. Raises RungError where one of
    those is under way, where `file` exists, or lies in the project.
    """
    target = Path(os.path.realpath(file))
    if target.is_relative_to(project.root.resolve()):
        raise RungError(f"{file} is inside the project.", "rung backup ../NAME.tar", where=str(file))
    if target.exists():
        raise RungError(f"{file} already exists; a backup overwrites nothing.", where=str(file))
    check_place(target)
    with contextlib.ExitStack() as stack:
        for lock in (project.root / name for name in LOCKS):
            if lock.parent.is_dir():
                stack.enter_context(writer_lock(lock, "Other work on this project"))
        try:
            room = stack.enter_context(_workroom(target.parent, project.name, BACKUP))
            found = look_through(project)
            done = _write(project, settings, found, room / target.name)
            (room / target.name).chmod(0o600)  # the rows are in it, as in the database
            (room / target.name).rename(target)
        except (OSError, sqlite3.Error) as error:
            raise _why_not(error, project, file) from error
    return Backup(file, *done, outside=_outside(settings), left_out=tuple(found.left_out))


def _why_not(error: OSError | sqlite3.Error, project: Project, file: Path) -> RungError:
    """Return an error on the file that could not be read or written: one of the project's, or the backup itself."""
    name = getattr(error, "filename", None)
    why = error.strerror if isinstance(error, OSError) else str(error)
    if name is not None and Path(name).absolute().is_relative_to(project.root.absolute()):
        return RungError(f"{name} could not be read: {why}. Nothing was backed up.", where=str(name))
    return RungError(f"{file} could not be written: {why}.", "Name another file.")


def restore(file: Path, folder: Path) -> int:
    """Unpack a backup into a folder that is empty or not there, after every hash was found right; how many files.

    Raises RungError for a folder that is not empty, InputError for a backup that is not whole; then nothing is left.
    """
    if not file.is_file():
        what = "a folder" if file.is_dir() else "no such file"
        raise RungError(
            f"{file}: {what}; expected a file that rung backup wrote.", "rung restore FILE FOLDER", where=str(file)
        )
    if folder.is_file():
        raise RungError(f"{folder} is a file.", "Name a new folder.", where=str(folder))
    if folder.exists() and any(folder.iterdir()):
        raise RungError(f"{folder} is not empty.", "Name a new folder.", where=str(folder))
    check_place(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _workroom(folder.parent, folder.name, RESTORE) as room:
        inside = room / "project"
        inside.mkdir()
        _unpack(file, inside)
        count = _check(file, inside)
        (inside / LIST).unlink()
        if folder.exists():
            folder.rmdir()
        inside.rename(folder)
    return count


def half_backups(project: Project) -> list[Path]:
    """What killed backups and restores left beside this project, of whatever name; the next backup there removes it."""
    return _left(project.root.resolve().parent)


@contextlib.contextmanager
def _workroom(beside: Path, name: str, kind: str) -> Iterator[Path]:
    """A hidden folder that is held while the block runs; those that killed programs left there are removed."""
    with contextlib.ExitStack() as stack:
        with _held(beside):  # one program at a time removes and makes, so that no folder is seen before it is held
            for left in _left(beside):
                shutil.rmtree(left, ignore_errors=True)
            made = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=beside, prefix=f".{name}.", suffix=kind)))
            stack.enter_context(_held(made))
            (made / MARKER).touch()
        yield made


@contextlib.contextmanager
def _held(folder: Path) -> Iterator[None]:
    """The kernel's lock on a folder, waited for; it goes with the process."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _left(beside: Path) -> list[Path]:
    """Folders of killed backups and restores: with the marker, or with nothing in them yet."""
    found = [path for kind in (BACKUP, RESTORE) for path in beside.glob(".*." + "?" * TAIL + kind)]
    return sorted(path for path in found if path.is_dir() and _is_ours(path) and not is_held(path))


def _is_ours(room: Path) -> bool:
    return not room.is_symlink() and ((room / MARKER).is_file() or not any(room.iterdir()))


def _write(project: Project, settings: Settings, found: FolderContents, half: Path) -> tuple[int, int]:
    hashes: dict[str, str] = {}
    size = 0
    with tarfile.open(half, "w:gz" if half.name.endswith((".gz", ".tgz")) else "w") as tar:
        for name, path in _members(project, settings, found, half.parent):
            hashes[name], count = _add(tar, name, path)
            size += count
        text = json.dumps({"made": now().isoformat(), "files": hashes}, indent=1).encode()
        about = tarfile.TarInfo(LIST)
        about.size = len(text)
        tar.addfile(about, BytesIO(text))
    return len(hashes), size


def _add(tar: tarfile.TarFile, name: str, path: Path) -> tuple[str, int]:
    """Put a file in; the hash of the very bytes that went in, whoever writes to it meanwhile, and how many."""
    with path.open("rb") as file:
        about = tar.gettarinfo(arcname=name, fileobj=file)
        read = Hashed(file)
        tar.addfile(about, read)
    return read.digest.hexdigest(), about.size


def _members(project: Project, settings: Settings, found: FolderContents, beside: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of everything that is kept; the database as a copy that nobody writes to."""
    if not settings.store.url and project.database_file.is_file():
        with tempfile.TemporaryDirectory(dir=beside) as room:
            copy = Path(room) / project.database_file.name
            copy_database(project.database_file, copy)
            yield project.database_file.name, copy
    for name in found.names:
        yield str(name), project.root / name


def _outside(settings: Settings) -> tuple[str, ...]:
    if not settings.store.url:
        return ()
    return ("rows and decisions are in PostgreSQL; back them up with pg_dump",)


def _unpack(file: Path, folder: Path) -> None:
    try:
        unpack(file, folder)
    except tarfile.ReadError as error:
        raise InputError([Problem("is not a complete tar file.", where=str(file))], "Use another backup.") from error
    except (OSError, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError([Problem(f"cannot be unpacked: {error}", where=str(file))], "Use another backup.") from error


def _check(file: Path, folder: Path) -> int:
    """Compare what was unpacked with the list; how many files."""
    try:
        listed = dict[str, str](json.loads((folder / LIST).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = Problem(f"has no {LIST}: the backup is incomplete.", where=str(file))
        raise InputError([problem], "Use another backup.") from error
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {LIST}
    problems = [Problem("is missing from the backup.", where=name) for name in listed.keys() - found]
    problems += [Problem("is in the backup, but not in its list.", where=name) for name in found - listed.keys()]
    for name in sorted(listed.keys() & found):
        if sha256_file(folder / name) != listed[name]:
            problems.append(Problem("was changed: its hash differs.", where=name))
    if problems:
        raise InputError(problems, "Use another backup; nothing was restored.")
    return len(listed)


OWN = ("documents", "set-aside")
"""Folders that are not looked through: the user's own texts, and what earlier versions set aside."""
WORKSHOPS = (
    "datasets/.tmp/*",
    "releases/.L-*",
    "releases/**/.*.new",
    "runs/*/.adapter.new",
    "runs/*/.adapter.old",
    "runs/*/.room",
    "runs/.rows-*",
    "watch/.W-*",
)
"""Where things are made before they take their place."""
LAST_FILES = {
    "datasets": "manifest.json",
    "evaluations": "report.json",
    "releases": "release.json",
    "runs": "run.json",
    "watch": "import.json",
}
"""The file that is written last: a folder without it is not whole."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """A file or folder that a killed command left, and what it is."""

    found: str
    path: Path


def leftovers(project: Project) -> list[Leftover]:
    """Everything that killed commands left, in order of place; what a living command holds is being made, not half."""
    held = {lock for lock in LOCKS if is_held(project.root / lock)}
    return _found(project, {lock.split("/")[0] for lock in held})


def _found(project: Project, busy: set[str]) -> list[Leftover]:
    every = {*_files(project), *_workshops(project), *_folders(project)}
    inside = {path for left in every for path in left.path.rglob("*") if left.path.is_dir()}
    free = [r for r in every if r.path not in inside and r.path.relative_to(project.root).parts[0] not in busy]
    return sorted(free, key=lambda left: str(left.path))


def _files(project: Project) -> Iterator[Leftover]:
    """Temporary files of commands that were killed, wherever commands write."""
    for path in project.root.rglob(".*.tmp"):
        inside = path.relative_to(project.root)
        hidden = any(part.startswith(".") for part in inside.parent.parts)
        if HALF_FILE.fullmatch(path.name) and path.is_file() and inside.parts[0] not in OWN and not hidden:
            yield Leftover("left by an interrupted command", path)


def _workshops(project: Project) -> Iterator[Leftover]:
    for path in (path for pattern in WORKSHOPS for path in project.root.glob(pattern)):
        freeze = path.parent == project.datasets / ".tmp"
        what = "left by an interrupted freeze" if freeze else "left by an interrupted command"
        yield Leftover(what, path)


def _folders(project: Project) -> Iterator[Leftover]:
    for room, marker in LAST_FILES.items():
        folder = project.root / room
        for path in folder.iterdir() if folder.is_dir() else ():
            if path.is_dir() and not path.name.startswith(".") and not (path / marker).is_file():
                goes_on = "; running the command again continues it" if room == "evaluations" else ""
                yield Leftover(f"incomplete (no {marker}){goes_on}", path)
