"""The quick pass: chat rows of one shape (the same keys, messages of role and content) are judged, not built.

The first sound row gives the shape. A line of that shape is decoded into a struct of exactly these keys, so that the
number of colons in its bytes tells whether a key stands twice. Whatever is not plainly sound goes the slow way, which
explains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Annotated, Any, Literal

import msgspec

from curation.formats.jsonline import keys_are_single
from curation.formats.turns import are_sound

ORDERS = 1000
"""Orders of roles that are remembered."""


class _Message(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    role: Literal["system", "user", "assistant", "tool"]
    content: Annotated[str, msgspec.Meta(min_length=1)]


def shape_of(row: Mapping[str, Any], unanswered: bool) -> Callable[[bytes], bool] | None:
    """A test for lines of the shape of this (sound) chat row; None where its messages hold more than two keys."""
    messages = row.get("messages")
    if type(messages) is not list or any(m.keys() != {"role", "content"} for m in messages):
        return None
    names = {f"key_{i}": name for i, name in enumerate(row)}
    fields = [(field, list[_Message] if name == "messages" else Any) for field, name in names.items()]
    kind = msgspec.defstruct("Shape", fields, rename=names, gc=False, forbid_unknown_fields=True)
    place = next(field for field, name in names.items() if name == "messages")
    return _Shape(msgspec.json.Decoder(kind).decode, attrgetter(place), len(names), unanswered).holds


class _Shape:
    """Lines of one shape, and the orders of roles that were found right in them."""

    def __init__(
        self, decode: Callable[[bytes], Any], get: Callable[[Any], list[_Message]], keys: int, unanswered: bool
    ) -> None:
        self.decode, self.get, self.keys = decode, get, keys
        self.unanswered = unanswered
        self.orders: dict[tuple[str, ...], int] = {}
        """Right orders of roles, and how many keys such a row has."""

    def holds(self, line: bytes) -> bool:
        """Whether the line is a sound row of this shape, beyond doubt."""
        try:
            messages = self.get(self.decode(line))
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        roles = tuple([message.role for message in messages])
        keys = self.orders.get(roles) or self._learns(roles)
        if line.count(b":") != keys and not keys_are_single(line, keys):
            return False
        return b"\\u0000" not in line

    def _learns(self, roles: tuple[str, ...]) -> int:
        """Judge an order of roles, and keep it where it is right; its keys, or 0."""
        if not are_sound([{"role": role, "content": "x"} for role in roles], self.unanswered):
            return 0
        keys = self.keys + 2 * len(roles)
        if len(self.orders) < ORDERS:
            self.orders[roles] = keys
        return keys
