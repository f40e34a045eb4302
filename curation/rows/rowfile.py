"""`RowFile`: rows that are not held, passed over, fetched by their place, named and copied out byte for byte.

A row that is canonical in a plain file of JSON lines stays there: its line number is held. Rows of other kinds (of
another format, packed, of tables and standard input) are kept in a temporary file in canonical form.
"""

from __future__ import annotations

import contextlib
import os
from array import array
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Unpack

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness.sets import I64
from curation.rows.reading import HowToRead, read_blocks
from curation.rows.rejects import Pieces, Rejects
from curation.rows.row import Columns, Reject, Row, RowBlock, Said
from curation.rows.source import files_of
from workspace.errors import RungError

LINES = (".jsonl", ".ndjson")
CHUNK = 1 << 18
AT_ONCE = 1000
"""Lines that are copied together at most."""
IN_ITS_FILE = -1


class RowFile:
    """The rows of `paths` in their order. Pass over the files once (`read`, `said` or by iterating) before asking for
    rows by their place.

    Lines that cannot be read are in `rejects` afterwards. Close it in the end (it is a context manager).
    """

    def __init__(self, paths: Sequence[Path], fmt: str = "auto", **how: Unpack[HowToRead]) -> None:
        self.files = [file for path in paths for file in files_of(path)]
        self.rejects = Rejects()
        self._fmt, self._how = fmt, how
        self._of, self._line, self._kept_at = array("H"), array("Q"), array("i")
        self._kept = Pieces()
        self._places: dict[int, I64] = {}
        self._status = {number: _status_of(file) for number, file in enumerate(self.files) if _is_lines(file)}
        """Length and time of the files in which rows remain: plain ones of JSON lines."""
        self._open: tuple[int, IO[bytes] | None] = (0, None)
        self._is_read = False

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._open[1]:
            self._open[1].close()

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Example]:
        """Yield all rows: the first pass, or a later one."""
        if self._is_read:
            yield from self.pick(range(len(self)))
            return
        for block in self.read():
            yield from (item.example for item in block if type(item) is Row)

    def said(self) -> Iterator[Said]:
        """Yield the texts of each row (`RowBlock.said`): in the first pass, or a later one."""
        if self._is_read:
            yield from self
            return
        for block in self.read():
            yield from block.said()

    def read(self) -> Iterator[RowBlock]:
        """Yield all rows and rejects, some hundreds at a time, once. Notes where each one is."""
        for number in range(len(self.files)):
            yield from self.read_file(number)

    def read_file(self, number: int) -> Iterator[RowBlock]:
        """Yield the blocks of the file with that number, as `read`, after those before it."""
        self._is_read = True
        for block in read_blocks(self.files[number], self._fmt, **self._how):
            self._take(number, block)
            yield block

    def name_of(self, number: int) -> str:
        """Return the name of the file of that number."""
        return (self._how.get("columns") or Columns()).name_of(self.files[number])

    def is_lines(self, number: int) -> bool:
        """True if the file with that number is a plain file of JSON lines, by its name and first bytes."""
        return number in self._status

    def note(self, number: int, items: Iterable[int | Row | Reject]) -> None:
        """Add rows of a file that were read elsewhere, in input order: a canonical row by its line."""
        self._is_read = True
        for item in items:
            if isinstance(item, Reject):
                self.rejects.add(item)
                continue
            line, kept_at = (item.line, self._keep(number, item)) if isinstance(item, Row) else (item, IN_ITS_FILE)
            self._of.append(number)
            self._line.append(line)
            self._kept_at.append(kept_at)

    def _take(self, number: int, block: RowBlock) -> None:
        """Note what was read of a file, in bulk where all rows are canonical in it."""
        if number in self._status and set(map(type, block.found)) <= {list, str}:
            count = len(block.found)
            self._line.extend(range(block.number, block.number + count))
            self._of.extend(array("H", [number]) * count)
            self._kept_at.extend(array("i", [IN_ITS_FILE]) * count)
        else:
            self.note(number, block)

    def _keep(self, number: int, row: Row) -> int:
        """Keep a row that is not canonical in a file of lines; of other files the line to copy out too."""
        if number in self._status:
            return IN_ITS_FILE if row.as_is else self._kept.add(row.example.to_json().encode())
        line = row.json_line
        return self._kept.add(
            line if row.as_is or line is not row.raw else row.example.to_json().encode() + b"\n" + line
        )

    def where(self, index: int) -> tuple[str, int]:
        """File, as it was given, and line (from 1) of a row."""
        return str(self.files[self._of[index]]), self._line[index]

    def places_in(self, files: Collection[str]) -> Sequence[int]:
        """Return the places of the rows of these files."""
        numbers = [number for number, file in enumerate(self.files) if str(file) in files]
        found = np.flatnonzero(np.isin(np.frombuffer(self._of, np.uint16), numbers)) if len(self) else ()
        return array("q", np.asarray(found, np.int64).tobytes())

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """Return the rows at `indices`."""
        return list(self.pick(indices))

    def pick(self, indices: Iterable[int]) -> Iterator[Example]:
        """Yield the rows of `fetch` one at a time. Raises RungError if a file changed since its lines were located."""
        looked_in = set()
        for index in indices:
            if self._kept_at[index] == IN_ITS_FILE:
                looked_in.add(self._of[index])
            raw = self._raw(index).partition(b"\n")[0]
            try:
                yield Example.from_json(raw)
            except ValueError:
                self._check_unchanged(self._of[index])  # it was sound when it was read first
                raise
        for number in looked_in:
            self._check_unchanged(number)

    def _raw(self, index: int) -> bytes:
        """Return a row in canonical form, and behind a line feed the line to copy out where that is another."""
        kept = self._kept_at[index]
        if kept != IN_ITS_FILE:
            return self._kept.read(kept)
        number, line = self._of[index], self._line[index]
        places = self._places_of(number)
        start, end = int(places[line - 1]), int(places[line])
        return os.pread(self._file(number).fileno(), end - start, start).removesuffix(b"\n")

    def copy(self, keep: Sequence[bool] | npt.NDArray[np.bool_], out: IO[bytes]) -> None:
        """Write the lines of the rows in `keep`, byte for byte. Raises RungError if a file changed since reading."""
        flags = np.asarray(keep, np.bool_)
        of, lines = np.frombuffer(self._of, np.uint16), np.frombuffer(self._line, np.uint64).astype(np.int64)
        for number in range(len(self.files)):
            mine = np.flatnonzero((of == number) & flags)
            if number in self._status and len(mine):
                self._copy_lines(number, lines[mine], out)
            else:
                out.writelines(self._raw(int(i)).rpartition(b"\n")[2] + b"\n" for i in mine)

    def _copy_lines(self, number: int, lines: I64, out: IO[bytes]) -> None:
        """Write these lines of a file, those that follow each other as one piece."""
        places, file = self._places_of(number), self._file(number).fileno()
        ends = np.flatnonzero((np.diff(lines) != 1) | (lines[1:] % AT_ONCE == 0)) + 1
        first, last = lines[np.append(0, ends)], lines[np.append(ends, len(lines)) - 1]
        for begin, end in zip(places[first - 1].tolist(), places[last].tolist(), strict=True):
            out.write(os.pread(file, end - begin, begin))
        if os.pread(file, 1, places[last[-1]] - 1) != b"\n":
            out.write(b"\n")
        self._check_unchanged(number)

    def _places_of(self, number: int) -> I64:
        """Return the start of each line of the file, and the end."""
        if number not in self._places:
            self._check_unchanged(number)
            self._places[number] = _line_places(self._file(number))
        return self._places[number]

    def _file(self, number: int) -> IO[bytes]:
        """Return the open file; one is open at a time, as there may be thousands."""
        before, file = self._open
        if file is None or before != number:
            if file:
                file.close()
            file = self.files[number].open("rb")
            self._open = number, file
        return file

    def _check_unchanged(self, number: int) -> None:
        path = self.files[number]
        if _status_of(path) != self._status[number]:
            raise RungError(f"{path}: changed while it was read.", "run it again", where=str(path))


def _status_of(path: Path) -> tuple[int, int]:
    """Return the length and time of a file; (-1, -1) where it is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return -1, -1
    return status.st_size, status.st_mtime_ns


class Chosen:
    """Some rows of a `RowFile`, by their places in it."""

    def __init__(self, files: RowFile, indices: Sequence[int]) -> None:
        self.files = files
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[Example]:
        return self.files.pick(self.indices)

    def where(self, index: int) -> tuple[str, int]:
        """File and line of a row."""
        return self.files.where(self.indices[index])

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """Return the rows at `indices` of the chosen."""
        return self.files.fetch([self.indices[index] for index in indices])


def _is_lines(file: Path) -> bool:
    """True if it is a plain file of JSON lines, by name and first bytes."""
    if file.suffix.lower() not in LINES or not file.is_file():
        return False
    with contextlib.suppress(OSError), file.open("rb") as opened:
        return opened.read(4).removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"")
    return False


def _line_places(file: IO[bytes]) -> I64:
    """Return the start of each line, and the end. Reads into one buffer: fresh memory costs more than the search."""
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
