"""A whole project in one file, and back: `rung backup`, `rung restore`."""

from __future__ import annotations

import contextlib
import fcntl
import json
import lzma
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from rung.kept import LOCKS, Found, look_through
from workspace.artefact import now
from workspace.errors import InputError, Problem, RungError
from workspace.files import Hashed, sha256_file
from workspace.folder import Project
from workspace.lock import is_held, writer_lock
from workspace.settings import Settings
from workspace.untar import unpack

LIST = "backup.json"
"""Member that stands last in a backup: what is in it, with hashes. Without it the file is not whole."""
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
    target = file.resolve()
    if target.is_relative_to(project.root.resolve()):
        raise RungError(f"{file} lies in the project itself.", "rung backup ../NAME.tar", where=str(file))
    if target.exists():
        raise RungError(f"{file} is there already; a backup overwrites nothing.", where=str(file))
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
    """A sentence on the file that stood in the way: one of the project's, or the backup itself."""
    name = getattr(error, "filename", None)
    why = error.strerror if isinstance(error, OSError) else str(error)
    if name is not None and Path(name).absolute().is_relative_to(project.root.absolute()):
        return RungError(f"{name} could not be read: {why}. Nothing was backed up.", where=str(name))
    return RungError(f"{file} could not be written: {why}.", "Name another place.")


def restore(file: Path, folder: Path) -> int:
    """Unpack a backup into a folder that is empty or not there, after every hash was found right; how many files.

    Raises RungError for a folder that is not empty, InputError for a backup that is not whole; then nothing is left.
    """
    if not file.is_file():
        what = "a folder" if file.is_dir() else "no such file"
        raise RungError(
            f"{file}: {what}; expected what rung backup wrote.", "rung restore FILE FOLDER", where=str(file)
        )
    if folder.is_file():
        raise RungError(f"{folder} is a file.", "Name a new folder.", where=str(folder))
    if folder.exists() and any(folder.iterdir()):
        raise RungError(f"{folder} is not empty.", "Name a new folder.", where=str(folder))
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


def _write(project: Project, settings: Settings, found: Found, half: Path) -> tuple[int, int]:
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


def _members(project: Project, settings: Settings, found: Found, beside: Path) -> Iterator[tuple[str, Path]]:
    """Name and place of everything that is kept; the database as a copy that nobody writes to."""
    if not settings.store.url and project.database_file.is_file():
        with tempfile.TemporaryDirectory(dir=beside) as room:
            copy = Path(room) / project.database_file.name
            _copy_database(project.database_file, copy)
            yield project.database_file.name, copy
    for name in found.names:
        yield str(name), project.root / name


def _copy_database(database: Path, copy: Path) -> None:
    """SQLite's online backup: one moment of the database, whoever writes meanwhile."""
    from curation.store.unwritable import reading

    with (
        database.open("rb"),  # says which file it is, where SQLite does not
        reading(database) as source,
        contextlib.closing(sqlite3.connect(copy)) as target,
    ):
        source.backup(target)
    shutil.copymode(database, copy)


def _outside(settings: Settings) -> tuple[str, ...]:
    if not settings.store.url:
        return ()
    return ("the rows and decisions are in PostgreSQL: pg_dump keeps them",)


def _unpack(file: Path, folder: Path) -> None:
    try:
        unpack(file, folder)
    except tarfile.ReadError as error:
        raise InputError([Problem("is no whole tar file.", where=str(file))], "Take another backup.") from error
    except (OSError, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise InputError([Problem(f"cannot be unpacked: {error}", where=str(file))], "Take another backup.") from error


def _check(file: Path, folder: Path) -> int:
    """Compare what was unpacked with the list; how many files."""
    try:
        listed = dict[str, str](json.loads((folder / LIST).read_bytes())["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = Problem(f"holds no {LIST}: it is not a whole backup.", where=str(file))
        raise InputError([problem], "Take another backup.") from error
    found = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()} - {LIST}
    problems = [Problem("is missing in the backup.", where=name) for name in listed.keys() - found]
    problems += [Problem("is in the backup, but not in its list.", where=name) for name in found - listed.keys()]
    for name in sorted(listed.keys() & found):
        if sha256_file(folder / name) != listed[name]:
            problems.append(Problem("is not what was backed up: its hash differs.", where=name))
    if problems:
        raise InputError(problems, "Take another backup; nothing was restored.")
    return len(listed)
