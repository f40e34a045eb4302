"""Where bytes come from: files, compressed files, folders, pipes and standard input."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import select
import stat
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, cast

from workspace.errors import RungError, did_you_mean
from workspace.extras import require

SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet", ".arrow")
PACKED = (".gz", ".zst", ".zstd")
NOT_ROWS = ("dataset_info.json", "dataset_dict.json", "state.json", "manifest.json", "dataset_infos.json")
"""Files of a saved dataset that hold no rows."""

WAIT = 10.0
"""Seconds that a named pipe may stay without a writer."""

Progress = Callable[[int, int], None]


def files_of(path: Path) -> list[Path]:
    """`path`, or the data files below it in the order of their names. Raises RungError where there are none."""
    if str(path) == "-" or not path.is_dir():
        return [path]
    found = [p for p in sorted(path.rglob("*")) if _holds_rows(p) and not _is_hidden(p, path)]
    if not found:
        raise RungError(
            f"{path}: a folder without a data file.",
            "expected files that end in " + ", ".join(SUFFIXES),
            where=str(path),
        )
    return found


def kind_of_file(path: Path) -> str:
    """The last suffix that is not a packing: `.csv` of `rows.csv.gz`."""
    name = path.name.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def open_bytes(path: Path, progress: Progress | None = None) -> io.BufferedReader:
    """Open for reading, unpacked, a BOM at the start dropped; `-` is standard input.

    Raises RungError where the file is not there, is a folder or device, a pipe that nobody writes to, or UTF-16.
    """
    raw = _open(path)
    counted = raw if progress is None else io.BufferedReader(cast("io.RawIOBase", _Counted(raw, progress)), 1 << 20)
    return _without_mark(_unpacked(cast("io.BufferedReader", counted), path), path)


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a broken file raises, a cut archive for one, into a RungError."""
    broken: tuple[type[Exception], ...] = (EOFError, OSError, zlib.error)
    if "zstandard" in sys.modules:
        broken = (*broken, sys.modules["zstandard"].ZstdError)
    try:
        yield
    except broken as error:
        raise RungError(f"{path}: cannot be read to its end ({error}).", where=str(path)) from error


def _holds_rows(path: Path) -> bool:
    return path.is_file() and kind_of_file(path) in SUFFIXES and path.name not in NOT_ROWS


def _is_hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _open(path: Path) -> io.BufferedReader:
    if str(path) == "-":
        return cast("io.BufferedReader", sys.stdin.buffer)
    try:
        mode = path.stat().st_mode
        if stat.S_ISFIFO(mode):
            return _open_pipe(path)
        if not (stat.S_ISREG(mode) or str(path).startswith("/dev/fd/") or path == Path("/dev/stdin")):
            raise RungError(f"{path}: not a file.", "give a file, a folder of files, or - for standard input")
        return path.open("rb")
    except FileNotFoundError:
        raise RungError(f"{path}: no such file.{_near(path)}", where=str(path)) from None
    except OSError as error:
        raise RungError(f"{path}: cannot be read ({error.strerror}).", where=str(path)) from error


def _open_pipe(path: Path) -> io.BufferedReader:
    """A named pipe, when somebody writes to it within WAIT seconds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN | select.POLLHUP)
    if not waiting.poll(WAIT * 1000):
        os.close(descriptor)
        raise RungError(f"{path}: a pipe, and nobody wrote to it in {WAIT:.0f} s.", where=str(path))
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")


def _near(path: Path) -> str:
    folder = path.parent
    return did_you_mean(path.name, [p.name for p in folder.iterdir()]) if folder.is_dir() else ""


def _unpacked(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    magic = file.peek(4)[:4]
    if magic[:2] == b"\x1f\x8b":
        return io.BufferedReader(cast("io.RawIOBase", gzip.GzipFile(fileobj=file)), 1 << 20)
    if magic == b"\x28\xb5\x2f\xfd":
        zstd = require("quality", "zstandard")
        return io.BufferedReader(zstd.ZstdDecompressor().stream_reader(file, read_across_frames=True), 1 << 20)
    if magic == b"PK\x03\x04":
        raise RungError(f"{path}: a zip archive.", "unpack it first", where=str(path))
    return file


def _without_mark(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    start = file.peek(64)[:64]
    if start.startswith(b"\xef\xbb\xbf"):
        file.read(3)
    elif start[:2] in (b"\xff\xfe", b"\xfe\xff") and b"\0" in start:
        raise RungError(f"{path}: UTF-16, expected UTF-8.", f"iconv -f UTF-16 -t UTF-8 {path}", where=str(path))
    return file


class _Counted(io.RawIOBase):
    """Tells how many bytes of the file were read, packed ones as they lie on the disk."""

    def __init__(self, file: io.BufferedReader, progress: Progress) -> None:
        super().__init__()
        self._file = file
        self._progress = progress
        self._done = 0
        self._total = _size(file)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        count = self._file.readinto(buffer)  # type: ignore[arg-type]
        self._done += count
        self._progress(self._done, max(self._total, self._done))
        return count


def _size(file: io.BufferedReader) -> int:
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, io.UnsupportedOperation):
        return 0


def lines_of(file: IO[bytes], path: Path, blank: bool = False) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line (blank ones only if asked for), split at line feeds only, the line feed taken off.

    The length that a plain file has when it is opened is what is read: what another program appends meanwhile is
    left for the next time. Raises RungError where the file shrank, or a line is longer than LONGEST.
    """
    left = _length(file)
    for number, line in enumerate(iter(lambda: file.readline(LONGEST), b""), 1):
        left -= len(line)
        if left < 0:
            line = line[:left]
        if len(line) >= LONGEST:
            raise RungError(f"{path} line {number}: longer than {LONGEST >> 20} MiB; not JSON Lines.", where=str(path))
        text = line[:-1] if line.endswith(b"\n") else line
        if blank or (text and not text.isspace()):
            yield number, text
        if left <= 0:
            return
    if left != UNKNOWN_LENGTH and left > 0 and left < UNKNOWN_LENGTH // 2:
        raise RungError(f"{path}: became {left:,} bytes shorter while it was read.", "try again", where=str(path))


LONGEST = 256 << 20
UNKNOWN_LENGTH = 1 << 62


def _length(file: IO[bytes]) -> int:
    """Bytes from here to the end of a plain file; UNKNOWN_LENGTH of a pipe or a packed file."""
    if type(file) is not io.BufferedReader or not isinstance(file.raw, io.FileIO):
        return UNKNOWN_LENGTH
    status = os.fstat(file.fileno())
    return status.st_size - file.tell() if stat.S_ISREG(status.st_mode) else UNKNOWN_LENGTH
