"""The one reader: any file, folder or stream as canonical rows and rejects."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import IO, TypedDict, Unpack

from curation.rows.families import LABELLED, Family, family_of, named, read_object
from curation.rows.jsonline import Malformed, decode_any, decode_text
from curation.rows.names import answer_key
from curation.rows.row import Columns, Quick, Read, Reject, Row, RowBlock, made_row
from curation.rows.source import (
    WORKBOOKS,
    Progress,
    blocks_of,
    check_length,
    files_of,
    kind_of_file,
    lines_of,
    open_bytes,
    readable,
)
from curation.rows.table import looks_like_header, read_columns, read_parquet, read_table, sheet_records, text_records
from workspace.errors import RungError
from workspace.json_types import JsonObject

Notice = Callable[[str], None]
CHUNK = 1 << 20
_MARK = re.compile(rb'\\.|["{}\[\],]', re.DOTALL)


class HowToRead(TypedDict, total=False):
    """`columns` says what a table's columns or a row's keys hold, and `notice` is given what was guessed. With
    `unanswered`, rows whose last message is the user's are sound. `progress` is called with bytes done and in all, file
    by file.
    """

    columns: Columns | None
    unanswered: bool
    notice: Notice | None
    progress: Progress | None


def read_rows(path: Path, fmt: str = "auto", **how: Unpack[HowToRead]) -> Iterator[Row | Reject]:
    """Yield the rows of a file, of each data file below a folder, or of standard input (`-`), in their order.

    Memory holds some hundred lines. With `auto` the keys of a JSON row tell its format, a table is known by the file's
    suffix or its first line.

    Raises RungError for what concerns a whole file: missing, unreadable, unknown format, columns that fit nothing.
    """
    return chain.from_iterable(read_blocks(path, fmt, **how))


def read_blocks(path: Path, fmt: str = "auto", **how: Unpack[HowToRead]) -> Iterator[RowBlock]:
    """Yield the rows of `read_rows` in blocks."""
    named(fmt)
    for file in files_of(path):
        with readable(file), contextlib.ExitStack() as stack:
            yield from _blocks(file, fmt, stack, **how)


def _blocks(path: Path, fmt: str, stack: contextlib.ExitStack, **how: Unpack[HowToRead]) -> Iterator[RowBlock]:
    """Return the rows of one file, which is closed with `stack`."""
    family, columns, unanswered = named(fmt), how.get("columns") or Columns(), how.get("unanswered", False)
    notice = how.get("notice") or (lambda _: None)
    kind = fmt if fmt in ("csv", "tsv", "parquet") else kind_of_file(path).lstrip(".")
    if kind_of_file(path) in WORKBOOKS:
        return _batched(read_table(sheet_records(path, columns.sheet, notice), path, columns, notice))
    if columns.sheet:
        raise RungError(f"{path}: not a workbook; --sheet is for one.", "leave --sheet out", where=str(path))
    if kind in ("parquet", "arrow") and (family or fmt in ("auto", "parquet")):
        read = _reading(path, family, columns, unanswered, notice)
        return _batched(read_parquet(path, family, columns, read, notice))
    file = stack.enter_context(open_bytes(path, how.get("progress")))
    start = file.peek(4096)[:4096].lstrip()
    if (kind in ("csv", "tsv") and family is None) or (fmt == "auto" and looks_like_header(start.split(b"\n", 1)[0])):
        return _batched(read_table(text_records(file, "\t" if kind == "tsv" else ""), path, columns, notice))
    read = _reading(path, family, columns, unanswered, notice)
    if kind not in ("jsonl", "ndjson") and re.match(rb"\s*\[\s*([{\]]|$)", start):  # an array of rows
        return _batched(made_row(str(path), number, value, read) for number, value in _read_array(file, path))
    if kind == "txt" and fmt in ("auto", "text") and not start.startswith(b"{"):
        return _batched(_texts(lines_of(file), str(path)))
    is_plain = family is None and not columns.named
    quick = Quick(
        is_plain or (not columns.named and family is not None and family.name == "chat"), is_plain, unanswered
    )
    return _json_lines(file, columns.name_of(path), 1, read, quick)


def _batched(rows: Iterable[Row | Reject]) -> Iterator[RowBlock]:
    """Return one row at a time: these come from readers that hold no block of rows."""
    return (RowBlock([row]) for row in rows)


def _reading(path: Path, family: Family | None, columns: Columns, unanswered: bool, notice: Notice) -> Read:
    """Return the function that reads one object; it gives notice of the first label that it takes for an answer."""
    if columns.named:
        return lambda row: read_columns(row, columns, family, unanswered)
    told = False

    def read(row: JsonObject) -> JsonObject:
        nonlocal told
        if not told and family is None and family_of(row) is LABELLED:
            told = True
            notice(f'{columns.name_of(path)}: column "text" is the question, column "{answer_key(row)}" is the answer')
        return read_object(row, family, unanswered)

    return read


def read_json_lines(file: io.BufferedReader, name: str, number: int) -> Iterator[RowBlock]:
    """Return the rows of an open JSON-lines file in blocks. Its first line has this number in the file `name`."""
    return _json_lines(file, name, number, lambda row: read_object(row, None), Quick(True, True, False))


def _json_lines(file: io.BufferedReader, name: str, number: int, read: Read, quick: Quick) -> Iterator[RowBlock]:
    """Yield one row or reject for each line of JSON, a block of lines at a time."""
    for lines, text in blocks_of(file):
        found, others = quick.judge(lines, text)
        for place in others:
            if type(found[place]) is dict:
                found[place] = _closer_look(name, number + place, lines[place], found[place], read)
        yield RowBlock(found, name, number, lines, others)
        number += len(lines)


def _closer_look(name: str, number: int, line: bytes, found: JsonObject, read: Read) -> Row | Reject | None:
    """Read the object of a line, or the line itself where it is empty, by all rules. None of a blank line."""
    if not found and not line.strip():
        return None
    if any(type(value) is list for value in found.values()):
        found = decode_any(line)  # messages may be in it, and were decoded as such
    return made_row(name, number, line.removesuffix(b"\n"), read, found)


def _texts(lines: Iterator[tuple[int, bytes]], name: str) -> Iterator[Row | Reject]:
    for number, line in lines:
        try:
            text = decode_text(line)
        except Malformed as error:
            yield Reject(name, number, error.field, error.reason, line, error.hint)
        else:
            yield Row(name, number, line, {"text": text.removesuffix("\r")}, as_is=False)


def _read_array(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield the line on which each value of the array begins, and the value's bytes unchanged.

    A value ends at the comma or bracket that closes it, whatever is inside; whether it is JSON is for the reader
    of one value to say. Raises RungError if the array never ends, or something follows it.
    """
    value, line = bytearray(), 1
    for chunk, at, end, sign in _marks(file):
        value += chunk[at:end]
        check_length(len(value))
        line += chunk.count(b"\n", at, end)
        if not sign:
            continue
        if text := value.strip():
            yield line - value.lstrip().count(b"\n"), bytes(text)
        value.clear()
        if sign == b"]":
            if tail := (chunk[end + 1 :] + file.read(CHUNK)).strip():
                fault = f"{path} line {line}: something follows the JSON array: {tail[:20]!r}."
                raise RungError(fault, where=str(path))
            return
    raise RungError(f"{path}: the JSON array that begins on its first line never ends.", where=str(path))


def _marks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Pieces of the file as (chunk, start, end, sign): a sign `,` or `]` ends a value there, an empty one does not."""
    depth, quoted = 0, False
    for chunk in _chunks(file):
        at = 0
        for mark in _MARK.finditer(chunk):
            sign = mark[0]
            quoted ^= sign == b'"'
            if quoted or sign not in b"{}[],":
                continue
            depth += (sign in b"{[") - (sign in b"}]")
            if depth == 1 and sign == b"[":
                at = mark.end()
            if depth == 0 or (depth == 1 and sign == b","):
                yield chunk, at, mark.start(), b"," if depth else b"]"
                at = mark.end()
        yield chunk, at, len(chunk), b""


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Blocks of the file, none of which ends between a backslash and what it escapes."""
    while chunk := file.read(CHUNK):
        while chunk.endswith(b"\\") and (more := file.read(1)):
            chunk += more
        yield chunk
