"""Rows of one or several files, to be passed over more than once without holding them.

Of files of JSON lines only the place of each line is kept; rows of other kinds (packed, tables, standard input) are
held.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO

import numpy as np

from curation.example import Example
from curation.formats import Reject, Row, read_rows
from curation.formats.families import read_object
from curation.formats.jsonline import decode_object
from curation.formats.source import files_of
from curation.shingling import I64
from workspace.errors import RungError

LINES = (".jsonl", ".ndjson")
CHUNK = 1 << 24
Progress = Callable[[int, int], None]


class RowFiles:
    """The rows of `paths` in their order. Iterate once to the end before asking for rows by index.

    Lines that cannot be read are in `rejects` afterwards.
    """

    def __init__(self, paths: Sequence[Path], *, unanswered: bool = False, progress: Progress | None = None) -> None:
        self.files = [file for path in paths for file in files_of(path)]
        self.unanswered = unanswered
        self.progress = progress
        self.rejects: list[Reject] = []
        self._of = array("H")
        self._line = array("L")
        self._held: dict[int, Row] = {}
        self._places: dict[int, I64] = {}
        self._open: dict[int, IO[bytes]] = {}
        self._read = False

    def __len__(self) -> int:
        return len(self._line)

    def __iter__(self) -> Iterator[Example]:
        """All rows; the first pass also notes where they stand."""
        if self._read:
            yield from self.pick(range(len(self)))
            return
        for number, file in enumerate(self.files):
            by_line = self._is_lines(file)
            if by_line:
                self._open[number] = file.open("rb")
            for row in read_rows(file, unanswered=self.unanswered, progress=self.progress):
                if isinstance(row, Reject):
                    self.rejects.append(row)
                    continue
                if not by_line:
                    self._held[len(self._line)] = row
                self._of.append(number)
                self._line.append(row.line)
                yield row.example
        self._read = True

    def where(self, index: int) -> tuple[str, int]:
        """File, as it was given, and line (from 1) of a row."""
        return str(self.files[self._of[index]]), self._line[index]

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices`."""
        return list(self.pick(indices))

    def pick(self, indices: Sequence[int]) -> Iterator[Example]:
        """As `fetch`, one at a time."""
        for index, line in zip(indices, self.lines(indices), strict=True):
            held = self._held.get(index)
            yield held.example if held else Example(read_object(decode_object(line), None, self.unanswered))

    def lines(self, indices: Sequence[int]) -> Iterator[bytes]:
        """The lines at `indices`, byte for byte, without their line feed."""
        for index in indices:
            held = self._held.get(index)
            yield held.json_line if held else self._line_at(self._of[index], self._line[index])

    def close(self) -> None:
        """Close the files."""
        for file in self._open.values():
            file.close()

    def _line_at(self, number: int, line: int) -> bytes:
        places = self._places_of(number)
        start, end = int(places[line - 1]), int(places[line])
        return os.pread(self._open[number].fileno(), end - start, start).removesuffix(b"\n")

    def _places_of(self, number: int) -> I64:
        """Where each line of the file starts, and the end. Raises RungError where the file changed since."""
        if number not in self._places:
            self._places[number] = _line_places(self._open[number])
        return self._places[number]

    @staticmethod
    def _is_lines(file: Path) -> bool:
        return str(file) != "-" and file.suffix.lower() in LINES and file.is_file()


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


def _line_places(file: IO[bytes]) -> I64:
    file.seek(0)
    skip = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
    parts = [np.array([skip], np.int64)]
    position = 0
    file.seek(0)
    while chunk := file.read(CHUNK):
        parts.append(np.flatnonzero(np.frombuffer(chunk, np.uint8) == 10) + position + 1)
        position += len(chunk)
    places = np.concatenate(parts)
    return places if places[-1] == position else np.append(places, position)


def check_unchanged(path: Path, before: os.stat_result) -> None:
    """Raise RungError where a file is not as it was."""
    after = path.stat()
    if (after.st_size, after.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise RungError(f"{path}: changed while it was read.", "Run it again.", where=str(path))
