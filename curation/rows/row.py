"""Output of the reader: a sound row, or the faulty line and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import msgspec

from curation.example import Example
from curation.rows.jsonline import decode_any
from curation.rows.quick import AssistantTurn, SystemTurn, Turn
from workspace.json_types import JsonObject

Read = Callable[[JsonObject], JsonObject]
"""Gives the canonical row of an object (the object itself where it is one), or raises Malformed."""
Said = tuple[str, str, str | None] | Example
"""Texts of a simple row (system message, question, answer; or a text); else the row."""


class Row(msgspec.Struct, gc=False):
    """A sound row.

    `file` is the path as it was given (a file below a folder: that file); `line` counts from 1, blank lines too (of
    a table without lines: the row's number); `raw` is the line without its line feed, a BOM dropped, a CR kept.
    `row` is the canonical row; where `raw` is this row already (`as_is`) it may be None until `example` is asked for.
    """

    file: str
    line: int
    raw: bytes
    row: JsonObject | None = None
    as_is: bool = True
    _made: Example | None = None

    @property
    def example(self) -> Example:
        """The canonical row."""
        if self._made is None:
            self._made = Example(decode_any(self.raw) if self.row is None else self.row)
        return self._made

    @property
    def is_chat_line(self) -> bool:
        """True if `raw` is a canonical chat row."""
        return self.as_is and "messages" in self.example.row

    @property
    def json_line(self) -> bytes:
        """One line of JSON Lines: `raw` byte for byte where it is one, else (a table, an array) the canonical row."""
        if self.as_is or (b"\n" not in self.raw and _is_object(self.raw)):
            return self.raw
        return self.example.to_json().encode()


def _is_object(raw: bytes) -> bool:
    """True if bytes are a JSON object, and not a line of a table that begins like one."""
    if not raw.startswith(b"{"):
        return False
    try:
        decode_any(raw)
    except (msgspec.MsgspecError, UnicodeError):
        return False
    return True


class Reject(NamedTuple):
    """A line that could not be read: the field at fault (empty: the whole line), a sentence why, what to try."""

    file: str
    line: int
    field: str
    reason: str
    raw: bytes
    hint: str = ""


class ChatLines(NamedTuple):
    """Canonical chat rows, one after the other: how many, and their lines, each with its line feed."""

    rows: int
    lines: bytes


class RowBlock:
    """Some rows and rejects of one file, in their order.

    `lines` are lines of JSON from line `number` on, each with its line feed, and `text` all of them in one. `found` has
    an entry for each: of a canonical chat or text row that the quick pass judged its messages or its text, else what
    was made of the line, None of a blank one. `others` are the places of all but such chat rows. Of other sources only
    `found` is there.
    """

    def __init__(
        self,
        found: list[list[Turn] | str | Row | Reject | None],
        file: str = "",
        number: int = 1,
        lines: Sequence[bytes] = (),
        text: bytes = b"",
        others: Sequence[int] | None = None,
    ) -> None:
        self.found, self.file, self.number, self.lines, self.text = found, file, number, lines, text
        self.others = range(len(found)) if others is None else others

    def __iter__(self) -> Iterator[Row | Reject]:
        for place, item in enumerate(self.found):
            if type(item) is Row or type(item) is Reject:
                yield item
            elif item is not None:
                yield self._row(place)

    def _row(self, place: int) -> Row:
        return Row(self.file, self.number + place, self.lines[place].removesuffix(b"\n"))

    def chat_lines(self) -> Iterator[ChatLines | Row | Reject]:
        """Yield all rows and rejects; whole runs of the chat rows that the quick pass judged as they are."""
        begin = 0
        for place in self.others:
            if begin < place:
                yield ChatLines(place - begin, self._lines(begin, place))
            item = self.found[place]
            if type(item) is str:
                yield self._row(place)
            elif item is not None:
                yield item  # type: ignore[misc]
            begin = place + 1
        if begin < len(self.found):
            yield ChatLines(len(self.found) - begin, self._lines(begin, len(self.found)))

    def _lines(self, begin: int, end: int) -> bytes:
        data = self.text if end - begin == len(self.lines) else b"".join(self.lines[begin:end])
        data = data if data.endswith(b"\n") else data + b"\n"
        return data.replace(b"\r\n", b"\n") if b"\r" in data else data

    def said(self) -> Iterator[Said]:
        """Yield the texts of each sound row."""
        for place, item in enumerate(self.found):
            if type(item) is list:
                if len(item) == 2 and type(item[1]) is AssistantTurn:
                    yield "", item[0].content, item[1].content
                elif len(item) == 3 and type(item[0]) is SystemTurn:
                    yield item[0].content, item[1].content, item[2].content
                else:
                    yield self._row(place).example
            elif type(item) is str:
                yield "", item, None
            elif type(item) is Row:
                yield item.example


@dataclass(frozen=True, slots=True)
class Columns:
    """Columns of a table, or keys of a row, by meaning, and the sheet of a workbook. An empty name is guessed.

    `called` is the name that rows and messages give the file, where it is a copy of another source.
    """

    question: str = ""
    answer: str = ""
    system: str = ""
    sheet: str = ""
    called: str = ""

    def name_of(self, path: Path) -> str:
        """Return the name that rows and messages give a file."""
        return self.called or str(path)

    @property
    def named(self) -> list[str]:
        """The names of columns that were given."""
        return [name for name in (self.question, self.answer, self.system) if name]
