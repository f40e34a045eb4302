"""The quick pass: each line of a block is decoded once; chat and text rows that are plainly sound are judged by that.

msgspec lets pass a key that occurs twice, so keys are counted: those of all rows of a block, and the colons behind a
quote in its text. Whatever is not plainly sound is judged with all the rules, which explain what is wrong.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import msgspec

from curation.rows.families import is_plain_text
from curation.rows.jsonline import count_keys, holds_nul, keys_are_single, may_be_spaced
from curation.rows.turns import are_plain
from workspace.json_types import JsonObject

KINDS = 1000
"""Sets of keys, and orders of roles, that are remembered."""
_UNSURE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
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
_decode_turns = msgspec.json.Decoder(dict[str, list[Turn | _Plain] | JsonObject | _Plain]).decode
decode_any = msgspec.json.Decoder().decode


class Quick:
    """Judges blocks of lines. `chats` and `texts`: whether chat rows and text rows are taken as they are."""

    def __init__(self, chats: bool, texts: bool, unanswered: bool) -> None:
        self._chats, self._texts, self._unanswered = chats, texts, unanswered
        self._kinds: dict[tuple[str, ...], bool] = {}
        self._orders: dict[tuple[type, ...], bool] = {}

    def judge(self, lines: Sequence[bytes], text: bytes) -> tuple[list[Any], list[int], list[int]]:
        """Return what each line holds: the messages of a chat row or the text of a text row that are plainly sound,
        the object of another row, None if the line itself needs a closer look. Then the places of all but such chat
        rows, and of all but such chat and text rows.

        `text` is all lines in one.
        """
        rows = _decoded(lines)
        found, others, closer = list(rows), [], []
        keys = 0
        for place, row in enumerate(rows):
            try:
                turns = row.get("messages")
                plain = "system" not in row and "tools" not in row and "rejected" not in row
                if plain and type(turns) is list and self._in_order(turns):
                    found[place] = turns
                    keys += len(row) + 2 * len(turns)
                    if len(row) > 1 and dict in map(type, row.values()):
                        keys += count_keys(row, 0)
                        keys -= len(row)
                    continue
                keys += _keys(row)
            except (AttributeError, RecursionError):  # no object, or too deep
                found[place] = rows[place] = None
            others.append(place)
            if rows[place] is not None and self._is_text(row):
                found[place] = row["text"]
            else:
                closer.append(place)
        doubtful = _doubtful(lines, text, rows, others, keys)
        for place in doubtful:
            found[place] = None
        return found, sorted({*others, *doubtful}), sorted({*closer, *doubtful})

    def _in_order(self, turns: list[Any]) -> bool:
        """Return whether the roles of messages follow each other as they may. False of what is no message."""
        if not self._chats:
            return False
        if len(turns) == 2 and type(turns[0]) is UserTurn and type(turns[1]) is AssistantTurn:
            return True  # the commonest by far, without building its key
        kinds = tuple(map(type, turns))
        known = self._orders.get(kinds)
        if known is None:
            roles = [{"role": _ROLES.get(kind), "content": "x"} for kind in kinds]
            known = are_plain(roles, self._unanswered)
            if len(self._orders) < KINDS:
                self._orders[kinds] = known
        return known

    def _is_text(self, row: JsonObject) -> bool:
        """Return whether it is a text row that is canonical as it is."""
        text = row.get("text")
        if not self._texts or type(text) is not str or not text:
            return False
        names = tuple(row)
        known = self._kinds.get(names)
        if known is None:
            known = is_plain_text(row) and not {"messages", "tools", "chosen"} & row.keys()
            if len(self._kinds) < KINDS:
                self._kinds[names] = known
        return known


def _decoded(lines: Sequence[bytes]) -> list[Any]:
    """Return what each line holds, None if it is refused."""
    found: list[Any] = []
    rest = map(_decode_turns, lines)
    while len(found) < len(lines):
        try:
            found.extend(rest)  # what came before a line that is refused stays in the list
        except _UNSURE:
            found.append(_decode(lines[len(found)]))
    return found


def _decode(line: bytes) -> Any:
    try:
        return decode_any(line)
    except _UNSURE:
        return None


def _keys(row: JsonObject) -> int:
    """Return the number of keys of a row at any depth. Raises RecursionError."""
    turns = [part for value in row.values() if type(value) is list for part in value if type(part) in _ROLES]
    return count_keys(row, 0) + 2 * len(turns)


def _doubtful(
    lines: Sequence[bytes], text: bytes, rows: Sequence[Any], others: Sequence[int], keys: int
) -> Collection[int]:
    """Return the places of lines that may hold NUL, or a key that occurs twice. `keys` are those of all rows."""
    found = {place for place, line in enumerate(lines) if holds_nul(line)} if holds_nul(text) else set()
    unread = [lines[place] for place in others if rows[place] is None]
    quoted = text.count(b'":') - sum(line.count(b'":') for line in unread)
    if quoted != keys and b'\\\\"' not in text:
        quoted -= text.count(b'\\":') - sum(line.count(b'\\":') for line in unread)
    if quoted == keys and not may_be_spaced(text):
        return found
    every = [place for place, row in enumerate(rows) if row is not None]
    return found | {place for place in every if not keys_are_single(lines[place], _keys(rows[place]))}
