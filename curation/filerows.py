"""Rows of files under check: passed over, and found again by their index, without being held."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO

from curation.example import Example
from curation.formats import Columns, Reject, Row, read_rows
from curation.formats.source import Progress
from curation.quality import Subject
from curation.quality.twins import Rows

Notice = Callable[[str], None]


class Copies:
    """Rows of what can be read only once, standard input and pipes, kept in a temporary file as they pass by."""

    def __init__(self) -> None:
        self._files: dict[Path, IO[bytes]] = {}

    def __contains__(self, path: Path) -> bool:
        return path in self._files

    def keep(self, path: Path, rows: Iterator[Row | Reject]) -> Iterator[Row | Reject]:
        """These rows; each sound one is kept, in the line that it stands in."""
        from curation.sets import temporary_file

        file = self._files[path] = temporary_file()
        line = 1
        for item in rows:
            if isinstance(item, Row):
                file.write(b"\n" * (item.line - line) + item.example.to_json().encode() + b"\n")
                line = item.line + 1
            yield item

    def rows(self, path: Path) -> Iterator[Row]:
        """The sound rows that were kept."""
        file = self._files[path]
        file.seek(0)
        for number, line in enumerate(file, 1):
            if line != b"\n":
                yield Row(str(path), number, line[:-1], Example.from_json(line))


Form = tuple[str, Columns | None, Copies]
"""Format and columns of files, and the rows of those that cannot be read twice."""


def role_of(path: Path) -> str:
    """`test`, `validation` or `train`, as a file's name says; `pool` where it says nothing."""
    name = path.name.lower()
    for word, role in (("test", "test"), ("valid", "validation"), ("dev", "validation"), ("train", "train")):
        if word in name:
            return role
    return "pool"


class FileRows:
    """Rows of files, passed over or found again by their index by reading the files once more: none is held."""

    def __init__(self, paths: Sequence[Path], fmt: str, columns: Columns | None, copies: Copies | None = None) -> None:
        self.paths, self.fmt, self.columns = paths, fmt, columns
        self._copies = Copies() if copies is None else copies

    def all(self, progress: Progress | None = None, notice: Notice | None = None) -> Iterator[Row | Reject]:
        """Every row and reject; of what was read before and cannot be read again, the rows."""
        for path in self.paths:
            if path in self._copies:
                yield from self._copies.rows(path)
                continue
            rows = read_rows(path, self.fmt, columns=self.columns, progress=progress, notice=notice)
            yield from rows if path.is_file() else self._copies.keep(path, rows)

    def __iter__(self) -> Iterator[Example]:
        """The sound rows."""
        return (row.example for row in self.all() if isinstance(row, Row))

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """The sound rows at these indices."""
        wanted = set(indices)
        found: dict[int, Subject] = {}
        last = max(wanted, default=-1)
        sound = (item for item in self.all() if isinstance(item, Row))
        for index, row in enumerate(sound):
            if index in wanted:
                found[index] = subject_of(row)
            if index >= last:
                break
        return [found[index] for index in indices]

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """As `subjects`, the examples alone."""
        return [subject.example for subject in self.subjects(indices)]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Rows of files have no ids."""
        return [""] * len(indices)

    def different(self, indices: Sequence[int]) -> int:
        """How many different lines these are."""
        wanted = set(indices)
        sound = (item for item in self.all() if isinstance(item, Row))
        passed = islice(sound, max(wanted, default=-1) + 1)
        return len({(row.file, row.line) for index, row in enumerate(passed) if index in wanted})


class HeldRows:
    """Rows that are held."""

    def __init__(self, rows: Sequence[Subject]) -> None:
        self.rows = rows

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """The rows at these indices."""
        return [self.rows[index] for index in indices]

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """Their examples."""
        return [self.rows[index].example for index in indices]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Their ids; empty outside a project."""
        return [self.rows[index].id for index in indices]

    def different(self, indices: Sequence[int]) -> int:
        """How many different rows these are."""
        return len({(row.file, row.line, row.id) for row in (self.rows[index] for index in indices)})


class Joined:
    """The `first` rows, and other rows behind them."""

    def __init__(self, first: int, rows: Rows, more: Rows) -> None:
        self.first, self.rows, self.more = first, rows, more

    def subjects(self, indices: Sequence[int]) -> list[Subject]:
        """The rows at these indices."""
        return [subject for rows, at in self._at(indices) for subject in rows.subjects([at])]

    def names(self, indices: Sequence[int]) -> list[str]:
        """Their ids; empty outside a project."""
        return [name for rows, at in self._at(indices) for name in rows.names([at])]

    def different(self, indices: Sequence[int]) -> int:
        """How many different rows these are."""
        parts = {rows: [at for mine, at in self._at(indices) if mine is rows] for rows in (self.rows, self.more)}
        return sum(rows.different(some) for rows, some in parts.items())

    def _at(self, indices: Sequence[int]) -> Iterator[tuple[Rows, int]]:
        return ((self.rows, i) if i < self.first else (self.more, i - self.first) for i in indices)


def subject_of(row: Row) -> Subject:
    """A row under check; its role is what its file's name says."""
    return Subject(row.example, row.file, row.line, role=role_of(Path(row.file)))
