"""`read_rows`: any file, folder or stream as canonical rows and rejects, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from curation.example import Example
from curation.formats.array import is_array, read_array
from curation.formats.families import Family, named, read_object
from curation.formats.jsonline import Malformed, decode_object
from curation.formats.quick import shape_of
from curation.formats.rows import Columns, Reject, Row
from curation.formats.source import Progress, files_of, kind_of_file, lines_of, open_bytes, readable

Notice = Callable[[str], None]


def read_rows(
    path: Path,
    fmt: str = "auto",
    *,
    columns: Columns | None = None,
    unanswered: bool = False,
    notice: Notice | None = None,
    progress: Progress | None = None,
) -> Iterator[Row | Reject]:
    """The rows of a file, of each data file below a folder, or of standard input (`-`), in their order.

    Memory holds one line. With `auto` a JSON row is told by its keys, a table by the file's suffix or its first
    line; `columns` says what a table's columns hold, and `notice` is told what was guessed. With `unanswered`, rows
    whose last message is the user's are sound. `progress` is called with bytes done and in all, file by file.

    Raises RungError for what concerns a whole file: missing, unreadable, unknown format, columns that fit nothing.
    """
    family = named(fmt)
    for file in files_of(path):
        with readable(file):
            yield from _read_file(
                file, fmt, family, columns or Columns(), unanswered, notice or (lambda _: None), progress
            )


def _read_file(
    path: Path,
    fmt: str,
    family: Family | None,
    columns: Columns,
    unanswered: bool,
    notice: Notice,
    progress: Progress | None,
) -> Iterator[Row | Reject]:
    kind = fmt if fmt in ("csv", "tsv", "parquet") else kind_of_file(path).lstrip(".")
    if kind in ("parquet", "arrow") and fmt in ("auto", "parquet", *_json_formats(family)):
        from curation.formats.parquet import read_parquet

        yield from read_parquet(path, family, columns, unanswered, notice)
        return
    with open_bytes(path, progress) as file:
        start = file.peek(4096)[:4096].lstrip()
        if (kind in ("csv", "tsv") and family is None) or (fmt == "auto" and _looks_like_table(start)):
            from curation.formats.table import read_table

            yield from read_table(file, path, columns, notice, delimiter="\t" if kind == "tsv" else "")
        elif is_array(start, kind):
            yield from _objects(read_array(file, path), str(path), family, unanswered)
        elif kind == "txt" and fmt in ("auto", "text") and not start.startswith(b"{"):
            yield from _texts(lines_of(file), str(path))
        else:
            yield from _objects(enumerate(file, 1), str(path), family, unanswered)


def _json_formats(family: Family | None) -> tuple[str, ...]:
    return (family.name,) if family else ()


def _looks_like_table(start: bytes) -> bool:
    """Whether unnamed bytes begin with a header line that names a question and an answer column."""
    from curation.formats.table import looks_like_header

    return looks_like_header(start.split(b"\n", 1)[0])


def _objects(
    lines: Iterable[tuple[int, bytes]], name: str, family: Family | None, unanswered: bool
) -> Iterator[Row | Reject]:
    """One row or reject for each line of JSON; lines like the first sound chat row go the quick way."""
    may_be_chat = family is None or family.name == "chat"
    quick: Callable[[bytes], bool] | None = None
    for number, line in lines:
        if quick is not None and quick(line):
            yield Row(name, number, line[:-1] if line.endswith(b"\n") else line)
            continue
        if line.isspace():
            continue
        raw = line[:-1] if line.endswith(b"\n") else line
        try:
            row = read_object(decode_object(raw), family, unanswered)
        except Malformed as error:
            yield Reject(name, number, error.field, error.reason, raw, error.hint)
        else:
            if quick is None and may_be_chat:
                quick = shape_of(row, unanswered) if b'"messages"' in raw else None
            yield Row(name, number, raw, Example(row))


def _texts(lines: Iterator[tuple[int, bytes]], name: str) -> Iterator[Row | Reject]:
    """One text row for each line of a plain text file."""
    for number, line in lines:
        try:
            text = line.decode()
        except UnicodeDecodeError as error:
            yield Reject(name, number, "", f"not UTF-8 at byte {error.start + 1}.", line, "save the file as UTF-8")
            continue
        if "\0" in text:
            yield Reject(name, number, "", "a NUL character.", line)
        else:
            yield Row(name, number, line, Example({"text": text.removesuffix("\r")}))
