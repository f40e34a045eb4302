"""Sources of bytes: files, compressed files, folders, pipes and standard input."""

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

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
SUFFIXES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv", ".txt", ".parquet", ".arrow", *WORKBOOKS)
PACKED = (".gz", ".zst", ".zstd")
NOT_ROWS = ("dataset_info.json", "dataset_dict.json", "state.json", "manifest.json", "dataset_infos.json")
"""Files of a saved dataset that hold no rows."""

GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
LONGEST = 256 << 20
"""Bytes of a line, or of a row of an array, that are read."""
BLOCK = 1 << 18
CACHED = 1 << 16
WAIT = 10.0
"""Seconds that a named pipe may stay without a writer."""

Progress = Callable[[int, int], None]


def files_of(path: Path) -> list[Path]:
    """`path`, or the data files below it in the order of their names. Raises RungError if there are none."""
    if str(path) == "-" or not path.is_dir():
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file() and kind_of_file(file) in SUFFIXES and file.name not in NOT_ROWS
        if not any(part.startswith((".", "~$")) for part in file.relative_to(path).parts)
    ]
    if not found:
        raise RungError(
            f"{path}: a folder without a data file.",
            "expected files that end in " + ", ".join(SUFFIXES),
            where=str(path),
        )
    return found


def is_hub(path: Path) -> bool:
    """True if a path is a Hub dataset: `hf://owner/name`, optionally with a slash and a subset."""
    return str(path).startswith("hf:/")


def kind_of_file(path: Path) -> str:
    """Return the last suffix that is not a packing: `.csv` of `rows.csv.gz`."""
    name = path.name.lower()
    for suffix in PACKED:
        name = name.removesuffix(suffix)
    return Path(name).suffix


def open_bytes(path: Path, progress: Progress | None = None) -> io.BufferedReader:
    """Open for reading, unpacked, a BOM at the start dropped; `-` is standard input.

    Raises RungError if the file is not there, is a folder or device, a pipe that nobody writes to, or UTF-16.
    """
    raw = _open(path)
    watched = io.BufferedReader(cast("io.RawIOBase", _Watched(raw, path, progress)), BLOCK)
    file = _unpacked(cast("io.BufferedReader", watched), path)
    start = file.peek(64)[:64]
    if start.startswith(b"\xef\xbb\xbf"):
        file.read(3)
    elif start[:2] in (b"\xff\xfe", b"\xfe\xff") and b"\0" in start:
        raise RungError(f"{path}: UTF-16, expected UTF-8.", f"iconv -f UTF-16 -t UTF-8 {path}", where=str(path))
    return file


@contextlib.contextmanager
def readable(path: Path) -> Iterator[None]:
    """Turn what a broken file raises, a cut archive for one, into a RungError."""
    try:
        yield
    except Exception as error:
        zstd = sys.modules.get("zstandard")  # imported where such a file is opened
        if not isinstance(error, (EOFError, OSError, zlib.error, *((zstd.ZstdError,) if zstd else ()))):
            raise
        raise RungError(f"{path}: cannot be read to its end ({error}).", where=str(path)) from error


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
        near = did_you_mean(path.name, [p.name for p in path.parent.iterdir()]) if path.parent.is_dir() else ""
        raise RungError(f"{path}: no such file.{near}", where=str(path)) from None
    except OSError as error:
        raise RungError(f"{path}: cannot be read ({error.strerror}).", where=str(path)) from error


def _open_pipe(path: Path) -> io.BufferedReader:
    """Return a named pipe, when somebody writes to it within WAIT seconds."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    waiting = select.poll()
    waiting.register(descriptor, select.POLLIN | select.POLLHUP)
    if not waiting.poll(WAIT * 1000):
        os.close(descriptor)
        raise RungError(f"{path}: a pipe, and nobody wrote to it in {WAIT:.0f} s.", where=str(path))
    os.set_blocking(descriptor, True)
    return os.fdopen(descriptor, "rb")


def _unpacked(file: io.BufferedReader, path: Path) -> io.BufferedReader:
    magic = file.peek(4)[:4]
    if magic.startswith((GZIP, ZSTD)):
        if magic.startswith(GZIP):
            inner: object = gzip.GzipFile(fileobj=file)
        else:
            zstd = require("quality", "zstandard")
            inner = zstd.ZstdDecompressor().stream_reader(file, read_across_frames=True)
        unpacked = cast("io.BufferedReader", io.BufferedReader(cast("io.RawIOBase", inner), 1 << 20))
        if unpacked.peek(4)[:4].startswith((GZIP, ZSTD)):
            raise RungError(f"{path}: packed twice.", "unpack it once", where=str(path))
        return unpacked
    if magic == b"PK\x03\x04":
        hint = f"unpack it first; a workbook needs a name that ends in {' or '.join(WORKBOOKS)}"
        raise RungError(f"{path}: a zip archive.", hint, where=str(path))
    return file


class _Watched(io.RawIOBase):
    """A file as long as it was when it was opened: what another program appends meanwhile is left for the next time.

    Tells the bytes read so far (of a packed file as they lie on the disk). Raises RungError if the file shrank, or
    was rewritten at the same length.
    """

    def __init__(self, file: io.BufferedReader, path: Path, progress: Progress | None) -> None:
        super().__init__()
        self._file, self._path, self._progress = file, path, progress
        status = os.fstat(file.fileno())
        self._done, self._total = 0, status.st_size if stat.S_ISREG(status.st_mode) else None
        """The length of a plain file; None of a pipe."""
        self._written = status.st_mtime_ns

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        if self._total is not None:
            view = view[: self._total - self._done]
        count = self._file.readinto1(view) if len(view) else 0  # one read: between two, Ctrl-C is heard
        self._done += count
        if self._total is not None and not count:
            self._check(self._total, len(view) > 0)
        if self._progress and count:
            self._progress(self._done, self._total or self._done)
        return count

    def _check(self, total: int, ended_early: bool) -> None:
        """Check at the end that what was read is one state of the file."""
        status = os.fstat(self._file.fileno())
        how = ""
        if ended_early:
            how = f"became {total - self._done:,} bytes shorter"
        elif status.st_size < total or (status.st_size == total and status.st_mtime_ns != self._written):
            how = "changed"
        if how:
            raise RungError(f"{self._path}: {how} while it was read.", "try again", where=str(self._path))

    def close(self) -> None:
        self._file.close()
        super().close()


def lines_of(file: IO[bytes], blank: bool = False) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line (blank ones only if asked for): split at line feeds only, these taken off."""
    for number, line in enumerate(iter(lambda: file.readline(LONGEST + 1), b""), 1):
        check_length(len(line))
        if blank or not line.isspace():
            yield number, line[:-1] if line.endswith(b"\n") else line


def blocks_of(file: io.BufferedReader) -> Iterator[tuple[list[bytes], bytes]]:
    """Yield whole lines as they come in, with their line feeds, and the same lines as one text.

    Blocks are small enough to stay in a processor's cache from one pass over them to the next.
    """
    rest: list[bytes] = []
    waiting = 0
    while block := file.read1(CACHED):
        end = block.rfind(b"\n") + 1
        waiting = len(block) - end if end else waiting + len(block)
        check_length(waiting)
        if not end:
            rest.append(block)
            continue
        text = b"".join([*rest, memoryview(block)[:end]]) if rest else block[:end]
        rest = [block[end:]] if end < len(block) else []
        yield io.BytesIO(text).readlines(), text
    if rest:
        text = b"".join([*rest, b"\n"])
        yield [text], text


def check_length(size: int) -> None:
    """Raise OSError for a line, or a row of an array, of so many bytes: it is refused before memory fills."""
    if size > LONGEST:
        raise OSError(f"a line or a row is over {LONGEST >> 20} MiB long")
