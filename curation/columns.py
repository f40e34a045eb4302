"""Files of JSON lines whose rows are all alike, read as columns of texts: no row is built, nothing is judged twice.

The first row of a file gives the shape: the same keys, the same roles (or one "text"). A chunk of lines is decoded
at once into structs of exactly these keys. Where one line is of another shape, or a key might stand twice, the whole
chunk goes the way of `curation.quickrows`, which judges line by line; after a few such chunks the file does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
import numpy as np

from curation.formats.quick import are_fields

TURNS = {("user", "assistant"): (0, 1), ("system", "user", "assistant"): (1, 2)}
"""Orders of roles that are read this way, with the places of question and answer."""
PLAIN = str | int | float | bool | None
OTHER = PLAIN | list[PLAIN]
OTHER_FAMILIES = frozenset(
    (
        *("messages", "conversations", "chosen", "rejected", "prompt", "completion"),
        *("instruction", "output", "question", "answer"),
    )
)
"""Keys that may make a row with "text" one of another family."""
TRIES = 4
"""Chunks of another shape after which a file is read row by row."""
_ESCAPED = re.compile(rb"\\u0000")
_SPACE = np.zeros(256, np.bool_)
_SPACE[list(b" \t\r\n")] = True
_NAME_END = np.ones(256, np.bool_)
_NAME_END[list(b"\\:,[ \t\r\n")] = False
"""Bytes before a quote that may end a key: not those before a quote that is escaped or opens a value."""
Text = Annotated[str, msgspec.Meta(min_length=1)]


class Columns(NamedTuple):
    """Rows that are alike: `system` and `answer` are None where no row has one. `lines`: their lines, from 1."""

    lines: range
    system: list[str] | None
    question: list[str]
    answer: list[str] | None


class Alike:
    """The shape of a file's rows."""

    def __init__(self, decode: Callable[[bytes], list[Any]], keys: int, roles: tuple[str, ...]) -> None:
        self.decode, self.keys, self.roles = decode, keys, roles
        self.tries = TRIES

    def read(self, chunk: bytes, number: int) -> Columns | None:
        """The rows of these whole lines, the first of which is line `number`; None where they are not all alike."""
        if not self.tries:
            return None
        found = self._read(chunk, number)
        self.tries = TRIES if found else self.tries - 1
        return found

    def _read(self, chunk: bytes, number: int) -> Columns | None:
        try:
            rows = self.decode(chunk)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        count = int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == 10)) + (not chunk.endswith(b"\n"))
        if len(rows) != count or _keys_in(chunk) != count * self.keys or _holds_nul(chunk):
            return None
        lines = range(number, number + count)
        if not self.roles:
            return Columns(lines, None, [row.text for row in rows], None)
        turns = [row.messages for row in rows]
        question, answer = TURNS[self.roles]
        system = [turn[0].content for turn in turns] if question else None
        return Columns(
            lines, system, [turn[question].content for turn in turns], [turn[answer].content for turn in turns]
        )


def alike(row: Mapping[str, Any]) -> Alike | None:
    """The shape of this canonical row; None where rows of its kind are read one by one."""
    messages = row.get("messages")
    if "tools" in row or not are_fields(row) or any(isinstance(value, dict) for value in row.values()):
        return None
    if messages is None:
        return _shape(row, "text", str, ()) if "text" in row and OTHER_FAMILIES.isdisjoint(row) else None
    roles = tuple(str(message.get("role")) for message in messages)
    if roles not in TURNS or any(message.keys() != {"role", "content"} for message in messages):
        return None
    return _shape(row, "messages", tuple[tuple(_MESSAGE[role] for role in roles)], roles)  # type: ignore[misc]


def _shape(row: Mapping[str, Any], name: str, kind: Any, roles: tuple[str, ...]) -> Alike:
    names = {name if key == name else f"key_{place}": key for place, key in enumerate(row)}
    fields = [(field, (Text if kind is str else kind) if key == name else OTHER) for field, key in names.items()]
    rows = msgspec.defstruct("Row", fields, rename=names, gc=False, forbid_unknown_fields=True)
    return Alike(msgspec.json.Decoder(rows).decode_lines, len(row) + 2 * len(roles), roles)


def _message(role: str) -> Any:
    fields = [("role", Literal[role]), ("content", Text)]
    return msgspec.defstruct("Message", fields, gc=False, forbid_unknown_fields=True)


_MESSAGE = {role: _message(role) for role in ("system", "user", "assistant")}


def _keys_in(chunk: bytes) -> int:
    """How many keys sound JSON holds, all names being words; -1 where one may stand apart from its colon.

    A quote right before a colon ends a key, unless it is escaped (it stands in a value) or opens a value.
    """
    data = np.frombuffer(chunk, np.uint8)
    colons = np.flatnonzero(data == 58)
    colons = colons[colons > 1]
    before = data[colons - 1]
    quoted = colons[before == 34]
    apart = colons[_SPACE[before]] - 1
    near = data[apart - 1]
    if any(_ends_key(chunk, place) for place in apart[(near == 34) | _SPACE[near]].tolist()):
        return -1
    return int(_NAME_END[data[quoted - 2]].sum())


def _holds_nul(chunk: bytes) -> bool:
    """Whether a NUL is written out: an escape that is none itself, behind an even number of backslashes."""
    if b"0000" not in chunk:  # found or not five times as fast as with the backslash, of which texts are full
        return False
    return any(_backslashes_before(chunk, place.start()) % 2 == 0 for place in _ESCAPED.finditer(chunk))


def _backslashes_before(chunk: bytes, place: int) -> int:
    count = 0
    while place > count and chunk[place - count - 1] == 92:
        count += 1
    return count


def _ends_key(chunk: bytes, place: int) -> bool:
    """Whether a quote that may end a key stands before the white space at `place`."""
    while place > 1 and _SPACE[chunk[place]]:
        place -= 1
    return chunk[place] == 34 and bool(_NAME_END[chunk[place - 1]])
