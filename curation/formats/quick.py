"""The quick pass: chat rows of one shape (the same keys, messages of role and content) are judged, not built.

The first sound row gives the shape. A line of that shape is decoded into a struct of exactly these keys, so that the
number of colons in its bytes tells whether a key stands twice. Lines are judged by the block: where the colons of a
whole block add up, none of its lines can hold a key twice, since a line never has fewer colons than keys. Whatever is
not plainly sound goes the slow way, which explains.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from curation.formats.jsonline import keys_are_single
from curation.formats.turns import are_sound

ORDERS = 1000
"""Orders of roles that are remembered."""
_UNSURE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _System(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="system"):
    content: _Text


class _User(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="user"):
    content: _Text


class _Assistant(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="assistant"):
    content: _Text


class _Tool(msgspec.Struct, gc=False, forbid_unknown_fields=True, tag_field="role", tag="tool"):
    content: _Text


_Message = _System | _User | _Assistant | _Tool
"""A kind for each role: quicker to decode, and to tell apart, than one kind that holds its role."""
_ROLES: dict[type, str] = {_System: "system", _User: "user", _Assistant: "assistant", _Tool: "tool"}

_Plain = str | int | float | bool | None
_Other = _Plain | list[_Plain]
"""What other keys may hold here; deeper values go the slow way, which counts keys and levels."""
_NO_FIELD = re.compile(r'[\x00-\x1f"\\]')


def are_fields(keys: Iterable[str]) -> bool:
    """Whether a struct can have fields of these names: msgspec allows none that JSON has to escape."""
    return not any(map(_NO_FIELD.search, keys))


def shape_of(row: Mapping[str, Any], unanswered: bool) -> Shape | None:
    """The shape of this (sound) chat row; None where its messages hold more than two keys, another key holds an
    object, or a key is no name for a field.
    """
    messages = row.get("messages")
    if type(messages) is not list or any(m.keys() != {"role", "content"} for m in messages):
        return None
    if any(isinstance(value, dict) for value in row.values()) or not are_fields(row):
        return None
    names = {"messages" if name == "messages" else f"key_{i}": name for i, name in enumerate(row)}
    fields = [(field, list[_Message] if name == "messages" else _Other) for field, name in names.items()]
    kind = msgspec.defstruct("Row", fields, rename=names, gc=False, forbid_unknown_fields=True)
    return Shape(msgspec.json.Decoder(kind).decode, len(names), unanswered)


class Shape:
    """Lines of one shape, and the orders of roles that were found right in them."""

    def __init__(self, decode: Callable[[bytes], Any], keys: int, unanswered: bool) -> None:
        self.decode, self.keys = decode, keys
        self.unanswered = unanswered
        self.orders: dict[tuple[str, ...], int] = {}
        """Right orders of roles, and how many keys such a row has."""

    def unsure(self, lines: Sequence[bytes], text: bytes) -> list[int]:
        """The places of those lines that are not, beyond doubt, sound rows of this shape; `text` holds them all."""
        keys, bad = self._keys(lines)
        colons = _colons(text) - sum([lines[place].count(b":") for place in bad])
        if colons == sum(keys) and not _may_hold_nul(text):
            return bad
        return [
            place
            for place, (line, count) in enumerate(zip(lines, keys, strict=True))
            if not count or not keys_are_single(line, count) or _may_hold_nul(line)
        ]

    def _keys(self, lines: Sequence[bytes]) -> tuple[list[int], list[int]]:
        """How many keys each line has, 0 where it is not of this shape or its roles are not in a right order; and the
        places of these.
        """
        decode, known, short = self.decode, self.orders.get, self.keys + 4
        found: list[int] = []
        bad: list[int] = []
        add = found.append
        for line in lines:
            try:
                messages = decode(line).messages
            except _UNSURE:
                bad.append(len(found))
                add(0)
                continue
            count = len(messages)  # the two commonest orders by far, without building their key
            if count == 2:
                first, second = messages
                if type(first) is _User and type(second) is _Assistant:
                    add(short)
                    continue
            elif count == 3:
                first, second, third = messages
                if type(first) is _System and type(second) is _User and type(third) is _Assistant:
                    add(short + 2)
                    continue
            roles = tuple([_ROLES[type(message)] for message in messages])
            keys = known(roles) or self._learns(roles)
            if not keys:
                bad.append(len(found))
            add(keys)
        return found, bad

    def _learns(self, roles: tuple[str, ...]) -> int:
        """Judge an order of roles, and keep it where it is right; its keys, or 0."""
        if not are_sound([{"role": role, "content": "x"} for role in roles], self.unanswered):
            return 0
        keys = self.keys + 2 * len(roles)
        if len(self.orders) < ORDERS:
            self.orders[roles] = keys
        return keys


def _colons(text: bytes) -> int:
    """As `text.count(b":")`, which goes byte by byte."""
    return len(text) - len(text.replace(b":", b""))


def _may_hold_nul(text: bytes) -> bool:
    # Without a backslash there is none; those are not rare in texts of several lines, four zeros mostly are.
    return b"\\" in text and b"0000" in text and b"\\u0000" in text
