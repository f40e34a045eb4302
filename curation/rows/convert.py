"""Conversion between formats without loss: a row that the target cannot hold is rejected, never cut."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curation.rows.families import FORMED, TARGETS, named, to_format
from curation.rows.names import CannotHold
from curation.rows.reading import read_blocks
from curation.rows.rejects import malformed_error, reject_json
from curation.rows.row import Columns, Reject, Row, RowBlock
from curation.rows.source import Progress, open_bytes
from workspace.errors import RungError, did_you_mean
from workspace.files import check_outputs, packing

FORMS = ("auto", "plain", "conversational")
_encode = json.JSONEncoder(ensure_ascii=False).encode
EXAMPLES_KEPT = 100_000
"""Rejects whose line numbers an error tells when there is no rejects file."""


@dataclass(frozen=True, slots=True)
class ConvertOrder:
    """Options of a conversion: input, its format, target, its form, file for rejects (None: the first one stops it).

    `form` is for prompt_completion and preference: strings (`plain`), lists of messages (`conversational`), or
    strings if every row fits and lists if one does not (`auto`), so that a column never mixes the two.
    """

    source: Path
    out: Path
    fmt: str = "auto"
    to: str = "chat"
    rejects: Path | None = None
    columns: Columns = field(default_factory=Columns)
    form: str = "auto"


@dataclass(frozen=True, slots=True)
class Converted:
    """Result of a conversion: `read` = `written` + `rejected`."""

    read: int
    written: int
    rejected: int
    to: str
    form: str | None
    columns: list[str]
    first_reject: str | None
    seconds: float


class _NeedsLists(Exception):
    """A row does not fit into strings: begin again with lists of messages."""


def convert(
    order: ConvertOrder, notice: Callable[[str], None] = lambda _: None, progress: Progress | None = None
) -> Converted:
    """Convert a file, a folder or a stream into JSON Lines, written whole or not at all.

    Raises RungError for wrong names, and InputError with every line that cannot be read or held when there is no
    rejects file.
    """
    _check(order)
    started = time.monotonic()
    told: list[str] = []

    def tell(text: str) -> None:
        if text not in told:
            told.append(text)
            notice(text)

    with _again(order.source) as source:
        for plain in (True, False) if order.form == "auto" else (order.form == "plain",):
            with contextlib.suppress(_NeedsLists):
                read, written, first = _pass(order, source, plain, tell, progress)
                form = ("plain" if plain else "conversational") if order.to in FORMED else None
                seconds = round(time.monotonic() - started, 3)
                return Converted(read, written, read - written, order.to, form, told, first, seconds)
    raise RungError(f"{order.source}: changed while it was read.", "try again", where=str(order.source))


ARRAYS = ("label_studio",)
"""Targets that are one JSON array, not JSON Lines."""


def _check(order: ConvertOrder) -> None:
    named(order.fmt)
    if order.to not in TARGETS:
        raise RungError(
            f'"{order.to}" is not a target.{did_you_mean(order.to, TARGETS)}',
            "one of: " + ", ".join(TARGETS),
            found=order.to,
        )
    if order.form not in FORMS:
        raise RungError(
            f'"{order.form}" is not a form.{did_you_mean(order.form, FORMS)}', "one of: " + ", ".join(FORMS)
        )
    if order.out.suffix in (".csv", ".tsv", ".parquet", ".arrow"):
        raise RungError(f"{order.out}: convert writes JSON Lines.", f"-o {order.out.with_suffix('.jsonl')}")
    if order.out.is_dir():
        raise RungError(f"{order.out}: a folder; expected a file to write.", f"-o {order.out / 'rows.jsonl'}")
    check_outputs(order.out, order.rejects, inputs=[order.source])


@contextlib.contextmanager
def _again(source: Path) -> Iterator[Path]:
    """Give a source that can be read twice: a stream is copied to a temporary file first."""
    if str(source) != "-" and (source.is_file() or source.is_dir()):
        yield source
        return
    with tempfile.TemporaryDirectory(prefix="rung-") as folder, open_bytes(source) as stream:
        copy = Path(folder) / ("stdin" if str(source) == "-" else source.name)
        with copy.open("wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        yield copy


def _pass(
    order: ConvertOrder, source: Path, plain: bool, tell: Callable[[str], None], progress: Progress | None
) -> tuple[int, int, str | None]:
    """Read all rows once; return how many were read and written, and the first reject in words."""
    kept: list[Reject] = []
    written = rejected = 0
    first: str | None = None
    begin, between = (b"[\n", b",\n") if order.to in ARRAYS else (b"", b"")
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(packing(order.out))
        rejects = stack.enter_context(packing(order.rejects)) if order.rejects else None
        for block in read_blocks(source, order.fmt, columns=order.columns, notice=tell, progress=progress):
            lines, refused = _lines(block, order, plain)
            if text := between.join(lines):
                text = text.replace(b"\r\n", b"\n") if b"\r" in text else text
                out.write((between if written else begin) + text)
            written += len(lines)
            rejected += len(refused)
            for reject in refused:
                reject = reject if source == order.source else reject._replace(file=str(order.source))
                first = first or f"line {reject.line}, {reject.reason}"
                if rejects is not None:
                    rejects.write(reject_json(reject))
                elif len(kept) < EXAMPLES_KEPT:
                    kept.append(reject._replace(raw=reject.raw[:80]))
        if kept:
            raise malformed_error(kept)
        if order.to in ARRAYS:
            out.write(b"\n]\n" if written else b"[]\n")
    return written + rejected, written, first


def _lines(block: RowBlock, order: ConvertOrder, plain: bool) -> tuple[list[bytes], list[Reject]]:
    """Return a block's rows in the target's form, each with the line feed of JSON Lines, and what cannot be one."""
    lines, refused = list[bytes](), list[Reject]()
    for item in block.chat_lines() if order.to == "chat" else block:
        made = _line(item, order, plain) if isinstance(item, Row) else item
        if isinstance(made, Reject):
            refused.append(made)
        elif isinstance(made, bytes):
            lines.append(made if order.to in ARRAYS else made + b"\n")
        else:
            lines += made
    return lines, refused


def _line(row: Row, order: ConvertOrder, plain: bool) -> bytes | Reject:
    """Return the row in the target's form, or the reject where that cannot hold it."""
    if order.to == "chat" and row.as_is and "messages" in row.example.row:
        return row.raw
    try:
        return _encode(to_format(row.example, order.to, plain=plain)).encode()
    except CannotHold as error:
        if order.form == "auto" and plain and order.to in FORMED:
            with contextlib.suppress(CannotHold):
                to_format(row.example, order.to, plain=False)
                raise _NeedsLists from None
        return Reject(row.file, row.line, error.field, error.reason, row.raw, "")
