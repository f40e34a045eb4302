"""The beginning of a file, before anything is imported: its columns with their first cells, and its first rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from curation.rows.families import family_of
from curation.rows.names import ANSWERS, QUESTIONS, first_of
from curation.rows.reading import read_rows
from curation.rows.row import Columns, Reject, Row
from curation.rows.source import WORKBOOKS, files_of, kind_of_file, open_bytes, readable
from curation.rows.table import cells_of, choose_columns, looks_like_header, sheet_records, text_records
from workspace.errors import RungError

FIRST = 3
"""Rows that are shown."""


@dataclass(frozen=True, slots=True)
class RowPreview:
    """A row as it would be imported, or why its line cannot be read."""

    question: str
    answer: str
    problem: str = ""


@dataclass(frozen=True, slots=True)
class FilePreview:
    """The first records of a table by its columns; `columns` is empty if the file is no table."""

    path: Path
    columns: tuple[str, ...]
    records: tuple[Mapping[str, str], ...]

    def guessed(self) -> Columns:
        """Return the columns whose names say what they hold; empty names where that is unknown, and where the columns
        are those of a known format (instruction, input, output), which is read as such.
        """
        if self.columns and not self.needs(Columns()):
            chosen = choose_columns(self.columns, Columns(), str(self.path))
            return Columns(chosen.get("question", ""), chosen.get("answer", ""))
        answer = first_of(self.columns, ANSWERS)
        return Columns(first_of(self.columns, QUESTIONS, answer), answer)

    def needs(self, columns: Columns) -> bool:
        """True if a table's question or answer is unknown with these columns."""
        try:
            return bool(self.columns) and choose_columns(self.columns, columns, str(self.path)) is None
        except RungError:
            return True

    def rows(self, columns: Columns) -> list[RowPreview]:
        """Return the first rows as an import with these columns reads them. Raises RungError."""
        return [_row(found) for found in islice(read_rows(self.path, columns=columns, unanswered=True), FIRST)]


def preview(path: Path) -> FilePreview:
    """Read the beginning of a file. Raises RungError if it cannot be read."""
    (file, *_) = files_of(path)
    with readable(file):
        names, *cells = list(islice(_records(file), FIRST + 1)) or [[]]
    header = tuple(name.strip() for name in names)
    return FilePreview(path, header, tuple(dict(zip(header, each, strict=False)) for each in cells))


def _records(file: Path) -> Iterator[Sequence[str]]:
    """Yield the header and the records of a table; nothing of any other file."""
    kind = kind_of_file(file)
    if kind in WORKBOOKS:
        yield from (cells for _, _, cells, _ in sheet_records(file, "", lambda _: None))
    elif kind in (".parquet", ".arrow"):
        for number, each in enumerate(cells_of(file)):
            if not number:
                if family_of(each) is not None:
                    return
                yield list(each)
            yield ["" if value is None else str(value) for value in each.values()]
    else:
        with open_bytes(file) as opened:
            if kind in (".csv", ".tsv") or looks_like_header(opened.peek(4096)[:4096].split(b"\n", 1)[0]):
                yield from (cells for _, _, cells, _ in text_records(opened, "\t" if kind == ".tsv" else ""))


def _row(found: Row | Reject) -> RowPreview:
    if isinstance(found, Reject):
        return RowPreview("", "", f"line {found.line}: {found.reason}")
    return RowPreview(found.example.question, found.example.answer or "")
