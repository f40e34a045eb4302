"""Rows of one or several files, to be passed over more than once without holding them.

Of plain files of JSON lines only the number of each line is kept; rows of other kinds (packed, tables, standard
input) are held.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from curation.columns import Columns
from curation.example import Example
from curation.formats import Reject, Row, read_rows
from curation.formats.families import read_object
from curation.formats.jsonline import Malformed, decode_object
from curation.formats.source import files_of
from curation.lineform import Scanned
from curation.quickrows import Batch, quick_row, read_alike, read_batches, whole_chunks
from curation.sets import I64
from workspace.errors import RungError

LINES = (".jsonl", ".ndjson")
CHUNK = 1 << 18
HELD_AT_ONCE = 4096
Progress = Callable[[int, int], None]


class RowFiles:
    """The rows of `paths` in their order. Pass over them once to the end before asking for rows by index.

    Lines that cannot be read are in `rejects` afterwards. Close it in the end (it is a context manager).
    """

    def __init__(self, paths: Sequence[Path], *, unanswered: bool = False, progress: Progress | None = None) -> None:
        self.files = [file for path in paths for file in files_of(path)]
        self.unanswered = unanswered
        self.progress = progress
        self.rejects: list[Reject] = []
        self._of = array("H")
        self._line = array("Q")
        self._held: dict[int, Row] = {}
        self._places: dict[int, I64] = {}
        self._open: dict[int, IO[bytes]] = {}
        self._status: dict[int, tuple[int, int]] = {}

    def __enter__(self) -> RowFiles:
        return self

    def __exit__(self, *_: object) -> None:
        for file in self._open.values():
            file.close()

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Example]:
        """All rows: the first pass, or a later one."""
        for rows in self.batches():
            for row in rows:
                yield Example(row)

    def batches(self) -> Iterator[list[dict[str, Any]]]:
        """All rows as canonical objects, some thousands at a time. The first pass notes where each stands."""
        if len(self._line) or self.rejects:
            for begin in range(0, len(self), HELD_AT_ONCE):
                some = range(begin, min(begin + HELD_AT_ONCE, len(self)))
                yield [dict(example.row) for example in self.pick(some)]
            return
        for number, file in enumerate(self.files):
            yield from self._read_lines(number, file) if self.is_lines(number) else self._read_held(number, file)

    def scanned(self, compiled: Callable[[], bool]) -> Iterator[Scanned | Columns | list[dict[str, Any]]]:
        """As `batches`, as columns where many rows in a row are alike (on the first pass), as bytes where their lines
        are of one form and `compiled` says that compiled code is in use.
        """
        if len(self._line) or self.rejects:
            yield from self.batches()
            return
        for number, file in enumerate(self.files):
            if not self.is_lines(number):
                yield from self._read_held(number, file)
                continue
            self.note(number, (), ())
            for part in read_alike(file, compiled, unanswered=self.unanswered, progress=self.progress):
                self.note(number, part.lines, part.rejects if isinstance(part, Batch) else ())
                yield part.rows if isinstance(part, Batch) else part

    def is_lines(self, number: int) -> bool:
        """Whether the file of that number is a plain one of JSON lines, by its name and its first bytes."""
        return _is_lines(self.files[number])

    def note(self, number: int, lines: Iterable[int], rejects: Iterable[Reject]) -> None:
        """Note rows of a file of lines that were read elsewhere, in input order."""
        if number not in self._open:
            self._open[number] = self.files[number].open("rb")
            self._status[number] = self._status_of(number)
        before = len(self._line)
        self._line.extend(lines)
        self._of.extend(array("H", [number]) * (len(self._line) - before))
        self.rejects += rejects

    def _read_lines(self, number: int, path: Path) -> Iterator[list[dict[str, Any]]]:
        self.note(number, (), ())
        for batch in read_batches(path, unanswered=self.unanswered, progress=self.progress):
            self.note(number, batch.lines, batch.rejects)
            yield batch.rows

    def _read_held(self, number: int, path: Path) -> Iterator[list[dict[str, Any]]]:
        rows: list[dict[str, Any]] = []
        for row in read_rows(path, unanswered=self.unanswered, progress=self.progress):
            if isinstance(row, Reject):
                self.rejects.append(row)
                continue
            self._held[len(self._line)] = row
            self._of.append(number)
            self._line.append(row.line)
            rows.append(dict(row.example.row))
            if len(rows) == HELD_AT_ONCE:
                yield rows
                rows = []
        yield rows

    def where(self, index: int) -> tuple[str, int]:
        """File, as it was given, and line (from 1) of a row."""
        return str(self.files[self._of[index]]), self._line[index]

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices`."""
        return list(self.pick(indices))

    def pick(self, indices: Sequence[int]) -> Iterator[Example]:
        """As `fetch`, one at a time. Raises RungError where a file changed since its lines were looked for."""
        for index in indices:
            held = self._held.get(index)
            yield held.example if held else Example(self._row_at(self._of[index], self._line[index]))
        for number in self._places:
            self._check_unchanged(number)

    def _row_at(self, number: int, line: int) -> Mapping[str, Any]:
        places = self._places_of(number)
        start, end = int(places[line - 1]), int(places[line])
        raw = os.pread(self._open[number].fileno(), end - start, start).removesuffix(b"\n")
        try:
            return quick_row(raw, self.unanswered) or read_object(decode_object(raw), None, self.unanswered)
        except Malformed:
            self._check_unchanged(number)  # it was sound when it was read first
            raise

    def copy(self, keep: Sequence[bool] | npt.NDArray[np.bool_], out: IO[bytes]) -> None:
        """Write the lines of the rows where `keep` says so, byte for byte, each with a line feed.

        Raises RungError where a file changed since it was read.
        """
        flags = np.asarray(keep, np.bool_)
        of, lines = np.frombuffer(self._of, np.uint16), np.frombuffer(self._line, np.uint64).astype(np.int64)
        for number, path in enumerate(self.files):
            mine = np.flatnonzero(of == number)
            if number in self._open:
                wanted = np.zeros(int(lines[mine].max(initial=0)) + 1, np.bool_)
                wanted[lines[mine]] = flags[mine]
                self._check_unchanged(number)
                _copy_lines(path, wanted[1:], out)
            else:
                out.writelines(self._held[int(i)].json_line + b"\n" for i in mine[flags[mine]])

    def _places_of(self, number: int) -> I64:
        """Where each line of the file starts, and the end."""
        if number not in self._places:
            self._check_unchanged(number)
            self._places[number] = _line_places(self._open[number])
        return self._places[number]

    def _status_of(self, number: int) -> tuple[int, int]:
        status = os.fstat(self._open[number].fileno())
        return status.st_size, status.st_mtime_ns

    def _check_unchanged(self, number: int) -> None:
        if self._status_of(number) != self._status[number]:
            path = self.files[number]
            raise RungError(f"{path}: changed while it was read.", "run it again", where=str(path))


class Chosen:
    """Some rows of a `RowFiles`, numbered anew."""

    def __init__(self, files: RowFiles, indices: Sequence[int]) -> None:
        self.files = files
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Example]:
        return self.files.pick(self.indices)

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices` of the chosen."""
        return self.files.fetch([self.indices[index] for index in indices])


def _is_lines(file: Path) -> bool:
    """Whether it is a plain file of JSON lines, by name and by its first bytes."""
    if file.suffix.lower() not in LINES or not file.is_file():
        return False
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return opened.read(4).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"")
    return False


def _line_places(file: IO[bytes]) -> I64:
    """Where each line starts, and the end. Read into one small buffer: fresh memory costs more than the look."""
    buffer = bytearray(CHUNK)
    data = np.frombuffer(buffer, np.uint8)
    file.seek(0)
    parts = [np.array([3 if file.read(3) == b"\xef\xbb\xbf" else 0], np.int64)]
    position = 0
    file.seek(0)
    while count := file.readinto(buffer):  # type: ignore[attr-defined]
        parts.append(np.flatnonzero(data[:count] == 10) + position + 1)
        position += count
    places = np.concatenate(parts)
    return places if places[-1] == position else np.append(places, position)


def _copy_lines(path: Path, wanted: npt.NDArray[np.bool_], out: IO[bytes]) -> None:
    """Lines that are wanted and stand one after the other are written as one piece."""
    begin = 0
    for chunk in whole_chunks(path):
        ends = np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10) + 1
        if not len(ends) or ends[-1] < len(chunk):
            ends = np.append(ends, len(chunk))
        flags = np.zeros(len(ends) + 2, np.int8)
        some = wanted[begin : begin + len(ends)]
        flags[1 : len(some) + 1] = some
        begin += len(ends)
        turns = np.flatnonzero(flags[1:] != flags[:-1])
        edges = np.concatenate(([0], ends))[turns].tolist()
        pieces = [chunk[first:last] for first, last in zip(edges[::2], edges[1::2], strict=True)]
        out.write(b"".join(pieces))
        if edges and edges[-1] == len(chunk) and not chunk.endswith(b"\n"):
            out.write(b"\n")
