"""The quick pass: each line of a block is decoded once; chat and text rows that are plainly sound are judged by that.

msgspec lets pass a key that occurs twice, so the rows of a block are encoded again: a colon fewer than in its text is a
key that was lost. Whatever is not plainly sound is judged with all the rules, which explain what is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from itertools import repeat
from typing import Annotated, Any, NamedTuple

import msgspec

from curation.rows.families import is_plain_text
from curation.rows.jsonline import UNSURE, decode_any, has_colons_of, is_whole
from curation.rows.turns import are_plain

KINDS = 1000
"""Sets of keys, and orders of roles, that are remembered."""
BESIDE = frozenset(("system", "tools", "rejected"))
"""Keys beside messages that make a row more than its messages."""
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class SystemTurn(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="system"):
    """A system message."""

    content: _Text


class UserTurn(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="user"):
    """A user's message."""

    content: _Text


class AssistantTurn(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="assistant"):
    """An assistant's message."""

    content: _Text


class ToolTurn(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="tool"):
    """A tool's message."""

    content: _Text


Turn = SystemTurn | UserTurn | AssistantTurn | ToolTurn
"""A message: a kind for each role is quicker to decode, and to tell apart, than one kind that holds its role."""
_ROLES: dict[type, str] = {SystemTurn: "system", UserTurn: "user", AssistantTurn: "assistant", ToolTurn: "tool"}
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
        chats, texts, unanswered = self
        rows = _decoded(lines)
        read = text if all(rows) else b"".join(line for line, row in zip(lines, rows, strict=True) if row)
        if not has_colons_of(read, rows):
            rows = [row if row and is_whole(row, line) else {} for line, row in zip(lines, rows, strict=True)]
        found: list[Any] = list(map(dict.get, rows, repeat("messages")))
        others = []
        for place, turns in enumerate(found):
            row = rows[place]
            if type(turns) is list and chats and _in_order(turns, unanswered) and BESIDE.isdisjoint(row):
                continue
            said = row.get("text")
            is_text = texts and type(said) is str and said and _is_text(tuple(row))
            found[place] = said if is_text else row
            others.append(place)
        return found, others


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


def _in_order(turns: list[Any], unanswered: bool) -> bool:
    """True if the roles of messages follow each other as they may. False of what is no message."""
    if len(turns) == 2 and type(turns[0]) is UserTurn and type(turns[1]) is AssistantTurn:
        return True  # the commonest by far, without building its key
    return _fit(tuple(map(type, turns)), unanswered)


@lru_cache(KINDS)
def _fit(kinds: tuple[type, ...], unanswered: bool) -> bool:
    return are_plain([{"role": _ROLES.get(kind), "content": "x"} for kind in kinds], unanswered)


@lru_cache(KINDS)
def _is_text(names: tuple[str, ...]) -> bool:
    """True if a row of these keys with a text is a text row that is canonical as it is."""
    return is_plain_text(dict.fromkeys(names)) and not {"messages", "tools", "chosen"} & set(names)
