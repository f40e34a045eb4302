"""An item with personal data and keys masked: what is shown until somebody asks to see it as it is, which is logged."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from curation.quality.mask import covered, spots_in
from curation.review.desk import Desk
from curation.review.item import Item, Side
from curation.review.nearest import NearRow

UNMASKED = "unmasked"
"""The kind of the event."""
SHOWN = ("messages", "prompt", "chosen", "rejected", "text")
"""Keys of a row that a reviewer is shown."""
WORDS = {
    "EMAIL": ("e-mail", "e-mails"),
    "PHONE": ("phone", "phones"),
    "CARD": ("card number", "card numbers"),
    "IBAN": ("IBAN", "IBANs"),
    "IP": ("IP address", "IP addresses"),
    "ID": ("ID number", "ID numbers"),
    "KEY": ("key", "keys"),
}

Found = frozenset[tuple[str, str]]
"""(kind, text) of what is hidden. For counting and comparing; never written anywhere."""


@dataclass(frozen=True, slots=True)
class Veil:
    """`item` is `of` with masks, for showing only: a mask is never written into a row."""

    of: Item
    item: Item
    found: Found
    in_edit: bool
    """Whether the text that an edit begins with, or is compared to, holds some of it."""


@dataclass
class Cover:
    """Masks texts and remembers what it hid."""

    found: set[tuple[str, str]] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    """Text -> masked: an item names its texts several times, and they may be long."""

    def text(self, text: str) -> str:
        """The text, masked."""
        if text not in self.known:
            spots = spots_in(text)
            self.found |= {(spot.kind, text[spot.start : spot.end]) for spot in spots}
            self.known[text] = covered(text, spots)
        return self.known[text]

    def value(self, value: Any, name: str = "") -> Any:
        """Every text inside, masked. `name`: the key of an argument, which may say what its digits are."""
        if isinstance(value, Mapping):
            return {key: self.value(each, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each, name) for each in value]
        if isinstance(value, str):
            told = self._told(value, name) if value[:1].isdigit() and len(value) < 40 else None
            return told or self.text(value)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return self._told(str(value), name) or value
        return value

    def _told(self, digits: str, name: str) -> str | None:
        """What digits are by the name of their argument; None where they are nothing."""
        spots = spots_in(f"{name}: {digits}")
        whole = [spot for spot in spots if spot.start == len(name) + 2 and spot.end - spot.start == len(digits)]
        if not whole:
            return None
        self.found.add((whole[0].kind, digits))
        return f"[{whole[0].kind}]"


def veiled(item: Item) -> Veil:
    """The item as it is shown at first."""
    from curation.review.repair import edited_text

    cover = Cover()
    for edited in (item.row, item.draft):
        cover.text(edited_text(edited) if edited is not None else "")
    in_edit = bool(cover.found)
    row = {key: cover.value(value) if key in SHOWN else value for key, value in item.row.items()}
    shown = replace(
        item,
        row=row,
        messages=tuple(cover.value(item.messages)),
        answer=cover.text(item.answer) if item.answer is not None else None,
        draft=cover.value(item.draft),
        sides=tuple(_side(side, cover) for side in item.sides),
        near=tuple(_side(side, cover) for side in item.near),
        findings=tuple(cover.value(each) for each in item.findings),
    )
    return Veil(item, shown, frozenset(cover.found), in_edit)


def veiled_near(rows: Sequence[NearRow]) -> tuple[tuple[NearRow, ...], Found]:
    """The nearest decided rows, masked, and what is hidden in them."""
    cover = Cover()
    made = tuple(NearRow(_side(row.side, cover), cover.text(row.question)) for row in rows)
    return made, frozenset(cover.found)


def _side(side: Side, cover: Cover) -> Side:
    return replace(side, answer=cover.text(side.answer) if side.answer is not None else None)


def hidden_words(found: Iterable[tuple[str, str]]) -> str:
    """`1 phone, 2 e-mails`; empty where nothing is hidden."""
    kinds = kinds_of(found)
    return ", ".join(f"{n} {WORDS.get(kind, (kind, kind))[n != 1]}" for kind, n in kinds.items())


def log_unmasked(desk: Desk, person: str, item: Item, found: Found) -> None:
    """Write to the log who sees this item as it is, when, and what kinds of data; never the data."""
    detail = {"kinds": kinds_of(found), "lease": _lease(item)}
    desk.store.event(UNMASKED, person, item.id, detail)


def is_unmasked(desk: Desk, person: str, item: Item) -> bool:
    """Whether this person has asked to see this item under the lease that they hold."""
    events = desk.store.events(kind=UNMASKED, ref=item.id, actor=person)
    return any(event.detail.get("lease") == _lease(item) for event in events)


def kinds_of(found: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How much of each kind: what the log may hold."""
    return dict(sorted(Counter(kind for kind, _ in found).items()))


def _lease(item: Item) -> str:
    """A lease by a digest: its token is a secret."""
    return hashlib.sha256(item.token.encode()).hexdigest()[:12]
