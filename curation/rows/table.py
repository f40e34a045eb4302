"""Tables, record by record; columns are named by the user, or guessed and shown.

CSV and TSV; sheets of workbooks (XLSX, XLSB, XLS, ODS; a formula is its stored value, as its program wrote it);
Parquet, and the Arrow files that `datasets.save_to_disk` writes.
"""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, time
from functools import partial
from itertools import chain
from pathlib import Path
from typing import IO, Any

from curation.rows.families import Family, family_of, read_object
from curation.rows.jsonline import Malformed
from curation.rows.labelling import check_export
from curation.rows.names import ANSWERS, QUESTIONS, first_of, free, need, rest, scalar_text
from curation.rows.rejects import NOT_UTF8, convert_hint
from curation.rows.row import Columns, Read, Reject, Row, made_row
from curation.rows.source import lines_of
from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.extras import require

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
    if any("\udc80" <= letter <= "\udcff" for name in names for letter in name):
        raise RungError(f"{path} line 1: the header is not UTF-8.", convert_hint(path), where=f"{path} line 1")
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        called = ", ".join(map(repr, twice))
        raise RungError(f"{path} line 1: two columns are called {called}.", "rename one", where=str(path))
    mapping = choose_columns(names, columns, str(path))
    notice(f"{path}: {describe(mapping)}")
    read = partial(to_row, mapping)
    for line, raw, cells, fault in records:
        if fault or len(cells) != len(names):
            reason = fault or f"{len(cells)} cells, the header names {len(names)}."
            yield Reject(str(path), line, "", reason, raw)
            continue
        yield made_row(str(path), line, raw, read, dict(zip(names, cells, strict=True)), is_line=False)


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


def to_row(mapping: Mapping[str, str], cells: Mapping[str, Any]) -> dict[str, Any]:
    """Return the canonical row of one record; columns without a part in it are other keys. Raises Malformed."""
    for name, value in cells.items():
        if isinstance(value, str):
            if "\0" in value:
                raise Malformed(name, "a NUL character.")
            try:
                value.encode()
            except UnicodeEncodeError:
                raise Malformed(name, NOT_UTF8, "save the file as UTF-8") from None
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
    return to_row({**mapping, "system": columns.system} if columns.system else mapping, row)


def _message(cells: Mapping[str, Any], name: str, part: str, role: str) -> dict[str, Any]:
    """Return one message; `{}` for a system cell that is empty."""
    if cells[name] is None or cells[name] == "":
        if part == "system":
            return {}
        raise Malformed(name, f'the cell "{name}" is empty; it is the {part}.')
    return {"role": role, "content": scalar_text(cells[name], name, part)}


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


BATCH = 1024


def read_parquet(
    path: Path, family: Family | None, columns: Columns, read: Read, notice: Callable[[str], None]
) -> Iterator[Row | Reject]:
    """Yield each row by its number from 1; `raw` is the row as JSON. Empty cells of a struct are left out.

    `read` is for rows whose keys tell what they are, or whose columns were named; of others the columns are guessed.
    """
    name = columns.name_of(path)
    for number, cells in enumerate(cells_of(path), 1):
        if number == 1:
            check_named(list(cells), columns, name)
            if not columns.named and family is None and family_of(cells) is None and not check_export(cells):
                mapping = choose_columns(list(cells), columns, name)
                notice(f"{name}: {describe(mapping)}")
                read = partial(to_row, mapping) if mapping else read
        raw = json.dumps(cells, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
        yield made_row(name, number, raw, read, cells, is_line=False)


def cells_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield each row as a mapping of column to value. Raises RungError if the file cannot be read."""
    parquet = require("quality", "pyarrow.parquet")
    arrow = require("quality", "pyarrow")
    try:
        if path.suffix == ".arrow":
            with arrow.memory_map(str(path)) as source:
                for batch in _arrow_batches(arrow, source):
                    yield from _rows_of_batch(batch)
        else:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from _rows_of_batch(batch)
    except (arrow.ArrowInvalid, OSError) as error:
        raise RungError(f"{path}: cannot be read ({error}).", where=str(path)) from error


def _rows_of_batch(batch: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch: columns of JSON decoded, class numbers of `datasets` as their names."""
    coded = {field.name for field in batch.schema if getattr(field.type, "extension_name", "") == "arrow.json"}
    names = class_names(batch.schema.metadata or {})
    for cells in batch.to_pylist():
        row = {}
        for name, value in cells.items():
            if name in coded:
                row[name] = json.loads(value) if isinstance(value, str) else value
            elif name in names and isinstance(value, int) and 0 <= value < len(names[name]):
                row[name] = names[name][value]
            else:
                row[name] = _full(value)
        yield row


def class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of each ClassLabel column, as `datasets` leaves them in a file's schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: kind["names"] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def _arrow_batches(arrow: Any, source: Any) -> Iterator[Any]:
    try:
        yield from arrow.ipc.open_stream(source)
    except arrow.ArrowInvalid:
        reader = arrow.ipc.open_file(source)
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)


def _full(value: Any, inside: bool = False) -> Any:
    """Without the empty cells that a common schema puts into every struct of a list."""
    if isinstance(value, dict):
        return {k: _full(v, inside) for k, v in value.items() if not (inside and v is None)}
    if isinstance(value, list):
        return [_full(v, True) for v in value]
    return value


MEMORY = 2 << 30
"""Bytes in which a sheet must open: its cells are held as a whole rectangle, and a far cell makes that one huge."""
PROBE = """
import resource, sys
most = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
try:
    from python_calamine import CalamineWorkbook
    CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_name(sys.argv[2])
except MemoryError:
    sys.exit(9)
except Exception:
    pass
"""
WHOLE = 1e15
"""Whole numbers below it are exact in a cell, which holds floating point."""


def sheet_records(path: Path, name: str, notice: Callable[[str], None]) -> Iterator[tuple[int, bytes, list[str], str]]:
    """Number (from 1, as the program shows it), JSON, cells and fault (never one) of each row that is not blank.

    Of the sheet `name`, else of the first visible one; a workbook of several says which one. Raises RungError if
    the file is no workbook, has no such sheet or is too large.
    """
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    if not path.is_file():
        raise RungError(f"{path}: no such file.", where=str(path))
    try:
        with CalamineWorkbook.from_path(path) as book:
            names = [each.name for each in book.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
            chosen = _chosen(path, name, names, book.sheet_names, notice)
            _demand_room(path, chosen)
            sheet = book.get_sheet_by_name(chosen)
            first, rows = (sheet.start or (0, 0))[0] + 1, sheet.to_python()
    except CalamineError as error:
        raise RungError(f"{path}: cannot be read as a workbook ({error}).", where=str(path)) from error
    filled = [place for place, cells in enumerate(zip(*rows, strict=True)) if any(cell != "" for cell in cells)]
    for number, row in enumerate(rows, first):
        cells = [cell_text(row[place]) for place in filled]
        if any(cells):
            yield number, json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogateescape"), cells, ""


def _demand_room(path: Path, sheet: str) -> None:
    """Raise RungError if the sheet does not open in `MEMORY`: calamine ends its process then, so a child tries."""
    command = [sys.executable, "-P", "-c", PROBE, str(path), sheet, str(MEMORY)]
    tried = subprocess.run(command, capture_output=True, check=False)
    if tried.returncode < 0 or tried.returncode == 9:
        most = f"{MEMORY >> 30} GB at most; a cell far from the rest makes it large"
        raise RungError(
            f'{path}: sheet "{sheet}" is too large to open ({most}).', "save the sheet as CSV", where=str(path)
        )


def _chosen(path: Path, name: str, visible: list[str], names: list[str], notice: Callable[[str], None]) -> str:
    if name and name not in names:
        raise RungError(
            f'{path}: no sheet "{name}".{did_you_mean(name, names)}',
            "--sheet with one of: " + ", ".join(names),
            where=str(path), expected="one of its sheets", found=name,
        )  # fmt: skip
    chosen = name or (visible or names)[0]
    others = [f'"{each}"' for each in visible if each != chosen]
    if others and not name:
        notice(f'{path}: read sheet "{chosen}", not {", ".join(others)} (--sheet NAME reads another)')
    return chosen


def cell_text(value: Any) -> str:
    """Return the text of a cell: whole numbers without a point, dates as ISO 8601, TRUE and FALSE."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)
