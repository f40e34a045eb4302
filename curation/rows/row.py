"""Output of the reader: a sound row, or the faulty line and why; and the quick pass over blocks of lines.

The quick pass decodes each line once, and takes chat and text rows that are plainly sound by that. msgspec lets pass a
key that occurs twice, so the keys of a block are counted: a key fewer in its rows than in its text was lost. Whatever
is not plainly sound is judged with all the rules, which explain what is wrong.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import count, repeat
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec

from curation.example import Example
from curation.rows.families import family_of, named
from curation.rows.jsonline import (
    UNSURE,
    Malformed,
    decode_any,
    decode_object,
    encode,
    has_colons_of,
    is_whole,
    keys_in,
)
from curation.rows.labelling import check_export
from curation.rows.turns import are_plain
from workspace.json_types import JsonObject

Read = Callable[[JsonObject], JsonObject]
"""Gives the canonical row of an object (the object itself where it is one), or raises Malformed."""
Said = tuple[str, str, str | None] | Example
"""Texts of a simple row (system message, question, answer; or a text); else the row."""


class Row(msgspec.Struct, gc=False):
    """A sound row.

    `file` is the path as it was given (a file below a folder: that file); `line` counts from 1, blank lines too (of
    a table without lines: the row's number). `row` is the canonical row; where `raw` is this row already (`as_is`) it
    may be None until `example` is asked for.
    """

    file: str
    line: int
    _bytes: bytes
    row: JsonObject | None = None
    as_is: bool = True
    _made: Example | None = None

    @property
    def raw(self) -> bytes:
        """The line without its line feed, a BOM dropped, a CR kept."""
        return self._bytes.removesuffix(b"\n")

    @property
    def example(self) -> Example:
        """The canonical row."""
        if self._made is None:
            self._made = Example(decode_any(self.raw) if self.row is None else self.row)
        return self._made

    @property
    def json_line(self) -> bytes:
        """One line of JSON Lines: `raw` byte for byte where it is one, else (a table, an array) the canonical row."""
        if self.as_is:
            return self.raw
        if self.raw.startswith(b"{") and b"\n" not in self.raw:
            with contextlib.suppress(*UNSURE):  # a line of a table may begin like an object
                decode_any(self.raw)
                return self.raw
        return self.example.to_json().encode()


class Reject(NamedTuple):
    """A line that could not be read: the field at fault (empty: the whole line), a sentence why, what to try."""

    file: str
    line: int
    field: str
    reason: str
    raw: bytes
    hint: str = ""


def made_row(
    name: str, number: int, raw: bytes, read: Read, found: JsonObject | None = None, *, is_line: bool = True
) -> Row | Reject:
    """Return one row of the object that was found on its line, or in its record; with a reason, all that is refused."""
    try:
        found = found or decode_object(raw)
        row = read(found)
    except Malformed as error:
        return Reject(name, number, error.field, error.reason, raw, error.hint)
    return Row(name, number, raw, row, is_line and row is found and b"\n" not in raw)


class RowBlock:
    """Some rows and rejects of one file, in their order.

    `lines` are lines of JSON from line `number` on, each with its line feed. `found` has an entry for each: of a
    canonical chat or text row that the quick pass judged its messages or its text, else what was made of the line, None
    of a blank one. `others` are the places of all but such chat rows. Of other sources only `found` is there.
    """

    def __init__(
        self,
        found: list[list[Turn] | str | Row | Reject | None],
        file: str = "",
        number: int = 1,
        lines: Sequence[bytes] = (),
        others: Sequence[int] | None = None,
    ) -> None:
        self.found, self.file, self.number, self.lines = found, file, number, lines
        self.others = range(len(found)) if others is None else others

    def __iter__(self) -> Iterator[Row | Reject]:
        rows: list[Any] = list(map(Row, repeat(self.file), count(self.number), self.lines)) or self.found[:]
        for place in self.others:
            if type(self.found[place]) is not str:
                rows[place] = self.found[place]
        return filter(None, rows)

    def chat_lines(self) -> Iterator[Sequence[bytes] | Row | Reject]:
        """Yield all rows and rejects; of the chat rows that the quick pass judged the lines, whole runs of them."""
        begin = 0
        for place in (*self.others, len(self.found)):
            if run := self.lines[begin:place]:
                yield run
            item = self.found[place] if place < len(self.found) else None
            if item is not None:
                yield self._row(place) if type(item) is str else item  # type: ignore[misc]
            begin = place + 1

    def _row(self, place: int) -> Row:
        return Row(self.file, self.number + place, self.lines[place])

    def said(self) -> Iterator[Said]:
        """Yield the texts of each sound row."""
        for place, item in enumerate(self.found):
            if type(item) is list:
                if len(item) == 2 and type(item[1]) is Assistant:
                    yield "", item[0].content, item[1].content
                elif len(item) == 3 and type(item[0]) is System:
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


KINDS = 1000
"""Sets of keys, and orders of roles, that are remembered."""
BESIDE = frozenset(("system", "tools", "rejected"))
"""Keys beside messages that make a row more than its messages."""
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag=str.lower):
    """A message: a kind for each role is quicker to decode, and to tell apart, than one kind that holds its role."""

    content: _Text


class System(_Message):
    """A system message."""


class User(_Message):
    """A user's message."""


class Assistant(_Message):
    """An assistant's message."""


class Tool(_Message):
    """A tool's message."""


Turn = System | User | Assistant | Tool
_Plain = str | int | float | bool | None
_Flat = _Plain | list[_Plain] | dict[str, _Plain]
_Shallow = _Plain | list[_Flat] | dict[str, _Flat]
_decode_turns = msgspec.json.Decoder(dict[str, list[Turn | _Plain] | dict[str, _Shallow] | _Plain]).decode


class Quick(NamedTuple):
    """Judges blocks of lines. `chats` and `texts`: whether chat rows and text rows are taken as they are."""

    chats: bool
    texts: bool
    unanswered: bool

    def judge(self, lines: Sequence[bytes], text: bytes) -> tuple[list[Any], list[int]]:
        """Return what each line holds: the messages of a chat row or the text of a text row that are plainly sound,
        the object of another row, an empty one where the line itself needs a closer look. Then the places of all but
        such chat rows.

        `text` is all lines in one.
        """
        rows = _decoded(lines)
        read = text if all(rows) else b"".join(line for line, row in zip(lines, rows, strict=True) if row)
        keys, found, others = self._sort(rows)
        if keys_in(read) != keys:
            for row, turns in zip(rows, found, strict=True):
                if type(turns) is list:
                    row["messages"] = turns
            if not has_colons_of(read, rows):
                rows = [row if row and is_whole(row, line) else {} for line, row in zip(lines, rows, strict=True)]
                _, found, others = self._sort(rows)
        return found, others

    def _sort(self, rows: list[JsonObject]) -> tuple[float, list[Any], list[int]]:
        """Return how many keys all rows and their messages have, then as `judge`. Chat rows lose their messages."""
        chats, texts, unanswered = self
        found: list[Any] = list(map(dict.get, rows, repeat("messages")))
        others, messages = list[int](), 0
        for place, (row, turns) in enumerate(zip(rows, found, strict=True)):
            if type(turns) is list and chats and BESIDE.isdisjoint(row):
                size = len(turns)
                if (
                    # the commonest by far, without building its key
                    (size == 2 or (size == 3 and type(turns[0]) is System))
                    and type(turns[-1]) is Assistant
                    and type(turns[-2]) is User
                ) or _fit(tuple(map(type, turns)), unanswered):
                    del row["messages"]
                    messages += size
                    continue
            said = row.get("text")
            is_text = texts and type(said) is str and said and _is_text(tuple(row))
            found[place] = said if is_text else row
            others.append(place)
        return len(rows) - len(others) + 2 * messages + keys_in(encode(rows)), found, others


def _decoded(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the object of each line, an empty one where a closer look is needed."""
    found: list[dict[str, Any]] = []
    rest = map(_decode_turns, lines)
    while len(found) < len(lines):
        try:
            found.extend(rest)  # what came before a line that is refused stays in the list
        except UNSURE:
            found.append(_decode(lines[len(found)]))
    return found


def _decode(line: bytes) -> dict[str, Any]:
    """Return the object of a line that is not as most are."""
    try:
        row = decode_any(line)
    except UNSURE:
        return {}
    return row if type(row) is dict and is_whole(row, line) else {}


@lru_cache(KINDS)
def _fit(kinds: tuple[type, ...], unanswered: bool) -> bool:
    """True if the roles of messages follow each other as they may. False of what is no message."""
    return are_plain([{"role": kind.__name__.lower(), "content": "x"} for kind in kinds], unanswered)


@lru_cache(KINDS)
def _is_text(names: tuple[str, ...]) -> bool:
    """True if a row of these keys with a text is a text row that is canonical as it is."""
    row = dict.fromkeys(names)
    return family_of(row) is named("text") and not check_export(row) and row.keys().isdisjoint(("tools", "chosen"))
