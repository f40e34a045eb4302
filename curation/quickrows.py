"""Files of JSON lines in bulk: the same rows and rejects as `curation.formats.read_rows`, a few thousand at a time.

A line takes the quick way where its keys are counted to be sound and its messages keep the rules; any other goes
through the reader of formats, which knows all families and says what is wrong.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from curation.columns import OTHER_FAMILIES, Alike, Columns, alike
from curation.formats import Malformed, Reject
from curation.formats.families import read_object
from curation.formats.jsonline import decode_object
from curation.formats.source import LONGEST, open_bytes
from curation.formats.turns import are_sound
from curation.lineform import LineForm, Scanned, form_of
from workspace.errors import RungError

CHUNK = 1 << 20
Progress = Callable[[int, int], None]
_decode = msgspec.json.Decoder().decode


class Batch(NamedTuple):
    """Canonical rows and the line of each, counted from 1."""

    lines: list[int]
    rows: list[dict[str, Any]]
    rejects: list[Reject]


def read_batches(path: Path, *, unanswered: bool = False, progress: Progress | None = None) -> Iterator[Batch]:
    """All rows of a file of JSON lines. Memory holds a few thousand rows."""
    number = 1
    for chunk in whole_lines(path, progress):
        yield read_chunk(chunk, number, str(path), unanswered)
        number += len(chunk)


def read_alike(
    path: Path, compiled: Callable[[], bool], *, unanswered: bool = False, progress: Progress | None = None
) -> Iterator[Batch | Columns | Scanned]:
    """As `read_batches`; as columns where the rows of a chunk are alike; as bytes where its lines are of one form and
    `compiled`, which is asked before each chunk, says that compiled code is in use.
    """
    number = 1
    shape: Alike | None = None
    form: LineForm | None = None
    head = b""
    for chunk in whole_chunks(path, progress):
        if number == 1 and (first := quick_row(chunk.partition(b"\n")[0], unanswered)):
            shape, head = alike(first), chunk[: chunk.find(b"\n") + 1]
        if shape and head and compiled():
            form, head = form_of(head, shape.roles), b""
        found: Columns | Scanned | None = form.read(chunk, number) if form else None
        found = found or (shape.read(chunk, number) if shape else None)
        if found is None:
            lines = lines_of(chunk)
            batch = read_chunk(lines, number, str(path), unanswered)
            number += len(lines)
            yield batch
        else:
            number = found.lines.stop
            yield found


def whole_lines(path: Path, progress: Progress | None = None) -> Iterator[list[bytes]]:
    """Lines without their line feeds, by chunks of about 4 MiB; a BOM at the start is dropped."""
    for chunk in whole_chunks(path, progress):
        yield lines_of(chunk)


def lines_of(chunk: bytes) -> list[bytes]:
    """The lines of a chunk, without their line feeds."""
    lines = chunk.split(b"\n")
    if not lines[-1]:
        lines.pop()
    return lines


def whole_chunks(path: Path, progress: Progress | None = None) -> Iterator[bytes]:
    """Whole lines, about 4 MiB at a time; a BOM at the start is dropped, the last line may lack its line feed."""
    with open_bytes(path, progress) as file:
        rest: list[bytes] = []
        size = 0
        while block := file.read(CHUNK):
            end = block.rfind(b"\n") + 1
            if not end:
                rest.append(block)
                size += len(block)
                if size >= LONGEST:
                    raise RungError(f"{path}: a line longer than {LONGEST >> 20} MiB; not JSON Lines.", where=str(path))
                continue
            yield b"".join((*rest, memoryview(block)[:end]))
            rest, size = [block[end:]], len(block) - end
        if last := b"".join(rest):
            yield last


def read_chunk(lines: list[bytes], number: int, name: str, unanswered: bool) -> Batch:
    """The rows of these lines, the first of which is line `number` of the file `name`."""
    with no_collection():
        return _read_lines(lines, number, name, unanswered)


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Rows hold no cycles: looking for some among ten thousand new ones costs a third of the reading."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _read_lines(lines: list[bytes], number: int, name: str, unanswered: bool) -> Batch:
    batch = Batch([], [], [])
    numbers, rows = batch.lines.append, batch.rows.append
    for number, line in enumerate(lines, number):  # noqa: B020  (counts on from where the chunk begins)
        row = quick_row(line, unanswered)
        if row is None:
            if not line or line.isspace():
                continue
            try:
                row = read_object(decode_object(line), None, unanswered)
            except Malformed as error:
                batch.rejects.append(Reject(name, number, error.field, error.reason, line, error.hint))
                continue
        numbers(number)
        rows(row)
    return batch


def quick_row(line: bytes, unanswered: bool = False) -> dict[str, Any] | None:
    """The canonical row of a plain chat or text line; None where the line needs a closer look.

    Every key leaves one `":` in the bytes; where as many stand there as keys were read, none stood twice.
    """
    try:
        row: Any = _decode(line)
        messages = row.get("messages")
        keys = len(row)
        if messages is None:
            text = row["text"]
            if type(text) is not str or not text or (len(row) > 1 and not OTHER_FAMILIES.isdisjoint(row)):
                return None
        else:
            for message in messages:
                keys += len(message)
            if not are_sound(messages, unanswered):
                return None
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, AttributeError, KeyError, TypeError):
        return None
    if line.count(b'":') != keys or b" :" in line or b"\t:" in line or b"\r:" in line or b"\\u0000" in line:
        return None
    return row  # type: ignore[no-any-return]
