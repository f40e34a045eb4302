"""Tables: CSV, TSV and sheets, record by record; columns are named by the user, or guessed and shown."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import IO, Any

from curation.rows.families import Family, family_of, read_object
from curation.rows.jsonline import Malformed
from curation.rows.names import ANSWERS, QUESTIONS, first_of, free, need, rest, scalar_text
from curation.rows.rejects import NOT_UTF8, convert_hint
from curation.rows.row import Columns, Reject, Row
from curation.rows.source import lines_of
from workspace.errors import InputError, Problem, RungError, did_you_mean

PARTS = (("system", "system"), ("question", "user"), ("answer", "assistant"))
DELIMITERS = "\t;,|"
LARGEST_FIELD = 128 << 20


Record = tuple[int, bytes, list[str], str]
"""First line, bytes, cells and fault of a record; it may run over several lines."""


def read_table(
    records: Iterator[Record], path: Path, columns: Columns, notice: Callable[[str], None]
) -> Iterator[Row | Reject]:
    """Yield each record behind the header as a row; every one that does not fit it is a reject.

    Raises InputError if no column can be taken for question and answer.
    """
    header = next(records, None)
    if header is None:
        return
    if header[3]:
        hint = "save it as CSV (a quote that opens must close), Parquet, XLSX or JSON Lines"
        raise RungError(f"{path} line 1: not the header of a table.", hint, where=f"{path} line 1")
    names = [name.strip() for name in header[2]]
    _check_header(names, path)
    mapping = choose_columns(names, columns, str(path))
    notice(f"{path}: {describe(mapping)}")
    for line, raw, cells, fault in records:
        if fault or len(cells) != len(names):
            reason = fault or f"{len(cells)} cells, the header names {len(names)}."
            yield Reject(str(path), line, "", reason, raw)
            continue
        try:
            row = to_row(dict(zip(names, cells, strict=True)), mapping)
        except Malformed as error:
            yield Reject(str(path), line, error.field, error.reason, raw, error.hint)
        else:
            yield Row(str(path), line, raw, row, as_is=False)


def looks_like_header(line: bytes) -> bool:
    """True if a first line names a question and an answer column of a table."""
    if not line or line[:1] in (b"{", b"["):
        return False
    names = {name.strip().strip('"').lower() for name in line.decode("utf-8", "replace").split(_delimiter(line))}
    return len(names) > 1 and bool(names & set(QUESTIONS)) and bool(names & set(ANSWERS))


def choose_columns(names: Sequence[str], columns: Columns, file: str) -> dict[str, str]:
    """Return the columns of question, answer and system message (`{"question": name, ...}`).

    A table whose columns are those of a format (instruction, input, output) gives `{}`: its rows are that format's.
    """
    check_named(names, columns, file)
    family = None if columns.named else family_of(dict.fromkeys(names))
    if family and family.name not in ("text", "labelled", "chat"):
        return {}
    question = columns.question or first_of(names, QUESTIONS, columns.answer)
    answer = columns.answer or first_of(names, ANSWERS, question)
    system = columns.system or first_of(names, ["system"])
    if len(names) == 1 and names[0].lower() == "text" and not columns.question:
        return {"text": names[0]}
    if not question or not answer:
        raise RungError(
            f"{file}: cannot tell which column is the question and which the answer. Columns: {', '.join(names)}.",
            "name them: --question COLUMN --answer COLUMN", where=file, expected="a question and an answer column",
            found=", ".join(names),
        )  # fmt: skip
    chosen = {"question": question, "answer": answer}
    return {**chosen, "system": system} if system else chosen


def check_named(names: Sequence[str], columns: Columns, file: str) -> None:
    """Raise InputError if a column that the user named is not there."""
    wrong = [name for name in columns.named if name not in names]
    if wrong:
        raise InputError(
            [
                Problem(f'no column "{name}".{did_you_mean(name, names)} Columns: {", ".join(names)}.', file)
                for name in wrong
            ]
        )


def describe(mapping: Mapping[str, str]) -> str:
    """Describe which column was used for what."""
    if not mapping:
        return "columns are read by their names"
    return ", ".join(f'column "{name}" is the {role}' for role, name in mapping.items())


def to_row(cells: Mapping[str, Any], mapping: Mapping[str, str]) -> dict[str, Any]:
    """Return the canonical row of one record; columns without a part in it are other keys. Raises Malformed."""
    for name, value in cells.items():
        if isinstance(value, str):
            _check_cell(name, value)
    other = {name: value for name, value in cells.items() if name not in mapping.values()}
    if "question" not in mapping:
        return read_object(other | {part: cells[name] for part, name in mapping.items()}, None)
    free(other, "messages")
    messages = [_message(cells, mapping[part], part, role) for part, role in PARTS if part in mapping]
    return {"messages": [message for message in messages if message], **other}


def read_columns(
    row: dict[str, Any], columns: Columns, family: Family | None = None, unanswered: bool = False
) -> dict[str, Any]:
    """Return the canonical row of an object whose keys are named as the columns of a table are. Raises Malformed."""
    if not columns.question and not columns.answer:
        system = need(row, columns.system)
        return read_object({**rest(row, columns.system), "system": system}, family, unanswered)
    for name in columns.named:
        need(row, name)
    question = columns.question or first_of(row, QUESTIONS, columns.answer)
    answer = columns.answer or first_of(row, ANSWERS, question)
    for part, name in (("question", question), ("answer", answer)):
        if not name:
            found = ", ".join(f'"{key}"' for key in row)
            raise Malformed(part, f"no key for the {part}; found keys {found}.", f"name it: --{part} KEY")
    mapping = {"question": question, "answer": answer}
    return to_row(row, {**mapping, "system": columns.system} if columns.system else mapping)


def _message(cells: Mapping[str, Any], name: str, part: str, role: str) -> dict[str, Any]:
    """Return one message; `{}` for a system cell that is empty."""
    if cells[name] is None or cells[name] == "":
        if part == "system":
            return {}
        raise Malformed(name, f'the cell "{name}" is empty; it is the {part}.')
    return {"role": role, "content": scalar_text(cells[name], name, part)}


def _check_header(names: Sequence[str], path: Path) -> None:
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        raise RungError(f"{path} line 1: the header is not UTF-8.", convert_hint(path), where=f"{path} line 1")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise RungError(
            f"{path} line 1: two columns are called {', '.join(map(repr, twice))}.", "rename one", where=str(path)
        )


def _check_cell(name: str, value: str) -> None:
    if "\0" in value:
        raise Malformed(name, "a NUL character.")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise Malformed(name, NOT_UTF8, "save the file as UTF-8") from None


def _delimiter(line: bytes) -> str:
    text = line.decode("utf-8", "replace")
    return max(DELIMITERS, key=text.count) if any(d in text for d in DELIMITERS) else ","


def text_records(file: IO[bytes], delimiter: str = "") -> Iterator[Record]:
    """Yield the records of CSV; the first line tells the delimiter where none is given."""
    csv.field_size_limit(LARGEST_FIELD)
    lines = lines_of(file, blank=True)
    start = next(lines, None)
    if start is None:
        return
    taken: list[tuple[int, bytes]] = []

    def feed() -> Iterator[str]:
        for numbered in chain([start], lines):
            taken.append(numbered)
            yield numbered[1].decode("utf-8", "surrogateescape") + "\n"

    reader = csv.reader(feed(), delimiter=delimiter or _delimiter(start[1]), strict=True)
    while True:
        fault, cells = "", []
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            fault = f"not a table record: {error}."
        first, raw = taken[0][0], b"\n".join(line for _, line in taken)
        taken.clear()
        if cells or fault:
            yield first, raw, cells, fault
