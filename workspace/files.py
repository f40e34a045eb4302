"""Reading and writing files so that nobody ever sees half of one.

Of a file of JSON lines that is only appended to, half a line at its end, which a killed program or a full disk left,
was never said: it is passed over, and the next line takes its place.
"""

import contextlib
import errno
import fcntl
import gzip
import hashlib
import io
import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.folder import find_project

T = TypeVar("T")
BLOCK = 1 << 20
DESCRIPTOR = re.compile(r"/dev/(?:stdout|stderr)|(?:/dev|/proc/self)/fd/(\d{1,9})")
"""Name of a file that this process has open: what others wrote into it stays."""


def sha256_bytes(data: bytes) -> str:
    """Return hex SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_file(path: Path) -> str:
    """Hex SHA-256 of a file's bytes, read in blocks of 1 MiB."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def says(path: Path, sha256: str) -> bool:
    """True if a file that a person wrote, or the one that their link leads to, has this SHA-256."""
    return path.is_file() and sha256_file(path) == sha256


def is_unchanged(path: Path, sha256: str) -> bool:
    """True if a file that Rung wrote is there, is no symlink, and has this SHA-256."""
    return not path.is_symlink() and says(path, sha256)


def read_utf8(path: Path, *, newline: str | None = None) -> str:
    """Return the text of a file that a person wrote; a byte order mark at its start is no part of it.

    Line ends become a newline, unless `newline` is "". Raises RungError that says what is wrong: no such file, a
    folder, no right to read it, not UTF-8 and in which line.
    """
    try:
        with path.open("rb") as file:
            data = file.read()
    except FileNotFoundError:
        near = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise RungError(f"{path}: no such file.{did_you_mean(path.name, near)}", where=str(path)) from None
    except IsADirectoryError:
        raise RungError(f"{path}: a folder, expected a file.", where=str(path), found="a folder") from None
    except OSError as error:
        raise RungError(f"{path}: cannot be read ({error.strerror}).", where=str(path)) from error
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RungError(f"{path} line {line}: not UTF-8 text.", f"iconv -t UTF-8 {path}", where=str(path)) from error
    return text if newline == "" else io.StringIO(text, newline=None).read()


def line_problems(path: Path, expected: str, fault: Callable[[str], str]) -> list[Problem]:
    """Return a problem for each line of a person's file that `fault` finds wrong. Blank lines are skipped."""
    lines = ((number, line) for number, line in enumerate(read_utf8(path).splitlines(), 1) if line.strip())
    return [Problem(said, f"{path.name} line {n}", expected, line[:60]) for n, line in lines if (said := fault(line))]


@contextlib.contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` for writing; on success it is flushed to disk and takes `path`'s place.

    On any error, Ctrl-C included, the temporary file goes and the old file stays as it was. A link is followed, and
    what is no ordinary file (/dev/null, a pipe, /dev/stdout) is written to as it is, never replaced. `mode`: the file's
    rights; None for the usual ones.
    """
    number = _descriptor(path)
    if number is not None or (path.exists() and not path.is_file() and not path.is_dir()):
        try:
            with path.open("wb") if number is None else os.fdopen(os.dup(number), "wb") as device:
                yield device
        except OSError as error:
            _name(error, path)
            raise
        return
    path = Path(os.path.realpath(path)) if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb", BLOCK) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o666 & ~_umask() if mode is None else mode)
        temporary.replace(path)
    except BaseException as error:
        _name(error, path)
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def _descriptor(path: Path) -> int | None:
    """Return the number of the open file that a path names, or None; raise RungError if that file is closed."""
    named = DESCRIPTOR.fullmatch(str(path))
    if named is None:
        return None
    number = int(named[1] or (1 if path.name == "stdout" else 2))
    closed = (number, None) in ((1, sys.__stdout__), (2, sys.__stderr__))  # its number may be another file's by now
    if closed or not path.exists():
        raise RungError(f"{path}: is not open.", "name a file to write", where=str(path))
    return number


@contextmanager
def packing(path: Path) -> Iterator[IO[bytes]]:
    """Replace a file, as `replacing`, packed by gzip if the name ends in .gz."""
    with replacing(path) as file:
        if path.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0) as packed:
            yield cast("IO[bytes]", packed)


def _name(error: BaseException, path: Path) -> None:
    """Add the file's name: the error of a full disk has none."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)


def is_refused(error: OSError) -> bool:
    """True if a file could not be written because writing is not allowed there: no permission, or a read-only disk."""
    return error.errno in (errno.EACCES, errno.EPERM, errno.EROFS)


def check_outputs(*paths: Path | None, inputs: Iterable[Path] = ()) -> None:
    """Check before a long job that each output can be a file and that no two are the same.

    Raises RungError for `-` (standard output), for a folder, for a place inside a file, for one name given twice, for
    a file of `inputs`, whose content would be gone, and as `check_place`. None is skipped.
    """
    seen: set[Path] = set()
    read = {Path(os.path.realpath(path)) for path in inputs}  # resolve() raises RuntimeError on a loop of links
    for path in filter(None, paths):
        if str(path) == "-":
            text = '"-" is standard output, which holds the report; expected a file to write.'
            raise RungError(text, "name another file, or /dev/stdout", where="-", expected="a file", found="-")
        if path.is_dir():
            raise RungError(f"{path}: a folder; expected a file to write.", where=str(path), found="a folder")
        above = next((folder for folder in path.absolute().parents if folder.exists()), None)
        if above is not None and not (above.is_dir() and os.access(above, os.W_OK)):
            raise RungError(f"{path}: nothing can be written in {above}.", where=str(path))
        place = Path(os.path.realpath(path))
        if place in read and path.is_file():
            raise RungError(
                f"{path}: is read here, so it cannot be written too.", "name another file to write", where=str(path)
            )
        check_place(path)
        if place in seen and (path.is_file() or not path.exists()):
            raise RungError(f"{path}: named for two outputs.", "give each output its own name", where=str(path))
        seen.add(place)


def check_place(path: Path) -> None:
    """Raise RungError if a file or folder of this name would change what a project is: one of its files, or a new
    one where stages alone write (`datasets/`, `runs/`, `rung.db`).
    """
    place = Path(os.path.realpath(path))
    project = find_project(place.parent)
    if project is None:
        return
    if path.is_file() and project.reads(place):
        said = f"{path}: one of the project's own files, which is not written over."
        raise RungError(said, "name another file to write", where=str(path))
    if project.makes(place):
        said = f"{path}: in the place of one of the project's own files, where only its own commands write."
        raise RungError(said, "name another file to write", where=str(path))


def check_sheet(path: Path | None) -> None:
    """Check a file that people fill in, as `check_outputs`: it replaces no file, since that may hold answers."""
    check_outputs(path)
    if path is not None and path.is_file() and path.stat().st_size:
        raise RungError(
            f"{path}: is there already, and may hold answers.", "name another file, or move it", where=str(path)
        )


def check_page(path: Path | None, inputs: Iterable[Path] = ()) -> None:
    """Check an HTML page, as `check_outputs`: it may replace an older page, no other file."""
    check_outputs(path, inputs=inputs)
    if path is None or not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(BLOCK).lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start and not start.startswith((b"<!doctype html", b"<html")):
        said = f"{path}: is there already and is no page, so it is not written over."
        raise RungError(said, "name another file for the page", where=str(path))


def write_bytes(path: Path, data: bytes) -> None:
    """Write a whole file atomically."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: Path, text: str) -> None:
    """Write a whole UTF-8 file atomically, newlines as given."""
    write_bytes(path, text.encode())


def write_private(path: Path, text: str) -> None:
    """Write it for the owner alone (0600); at no moment can anyone else read it."""
    with replacing(path, 0o600) as file:
        file.write(text.encode())


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def sync_folder(folder: Path) -> None:
    """Make the rename itself durable where the platform can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def put_back(path: Path | None) -> Iterator[None]:
    """Restore the file `path`, or its absence, if the block fails."""
    before = path.read_bytes() if path and path.is_file() else None
    try:
        yield
    except BaseException:
        if path and path.is_file():
            if before is None:
                path.unlink()
            elif path.read_bytes() != before:
                write_bytes(path, before)
        raise


def append_lines(path: Path, rows: Iterable[Mapping[str, Any]], *, sync: bool = True) -> None:
    """Add the rows, flushed to disk, one program at a time. Without `sync` a power cut may lose them."""
    data = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    with path.open("ab+", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        os.ftruncate(file.fileno(), _whole_lines(file.fileno()))
        while data:
            data = data[file.write(data) :]
        if sync:
            os.fsync(file.fileno())


def read_lines(path: Path, made: Callable[[Mapping[str, Any]], T], what: str) -> list[T]:
    """Return the value of `made` for each complete line. Raises InputError with every line that is no `what`."""
    found, problems = [], []
    for number, line in enumerate(path.read_bytes().split(b"\n")[:-1] if path.is_file() else (), 1):
        try:
            found.append(made(json.loads(line)))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            problems.append(Problem(f"is no {what}: the file was damaged.", f"{path.name} line {number}"))
    if problems:
        raise InputError(problems, f"take the line out of {path}; what it held is asked for again")
    return found


def is_cut(path: Path) -> bool:
    """True if half a line is at the end: it is being written, or was cut."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _whole_lines(file.fileno()) < os.fstat(file.fileno()).st_size


def _whole_lines(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - BLOCK)
        if (place := os.pread(descriptor, end - start, start).rfind(b"\n")) >= 0:
            return start + place + 1
        end = start
    return 0
