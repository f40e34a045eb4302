"""One row as a reviewer sees it: text, origin, what to look at, the guideline; personal data and keys masked.

An item is shown masked until somebody asks to see it as it is, which the log records.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.engine import RowMapping

from curation.documents import used_words
from curation.example import Example, edited_text
from curation.mask import covered, cut_apart, spots_in
from curation.review.guideline import reasons_in
from curation.review.people import Desk
from curation.store import Link, Store, StoredRow
from curation.store.decision_log import draft_of, sent_for, standing_votes
from curation.store.reading import by_numbers, first_payloads, read_links, record, row_with_all
from curation.store.records import FINAL, Guideline, Reviewer, Vote, number_of
from curation.store.reviewers import all_reviewers, current_guideline
from curation.store.waiting_rows import waiting

MOST = 6
"""Near rows shown beside an item."""
QUEUED_AS_USUAL = ("", "policy", "sample", "candidate", "generated", "unanswered", "contradictions")
"""Queue reasons that a reviewer need not know, or sees as another finding."""


@dataclass(frozen=True, slots=True)
class OtherDecision:
    """Another decision, or a near row with its `question`: `answer` None if it was rejected."""

    row: str
    reviewer: str
    verdict: str
    answer: str | None
    kind: str = ""
    similarity: float | None = None
    question: str = ""


@dataclass(frozen=True, slots=True)
class ReviewItem:
    """A leased row. `draft` is this reviewer's own unsaved edit; `sides` are shown where two people disagree.

    `blind`: others' decisions on this row and on near ones are hidden.
    """

    id: str
    token: str
    until: str
    messages: tuple[Mapping[str, Any], ...]
    row: Mapping[str, Any]
    role: str
    origin: str
    queued: str
    source: str
    guideline: Guideline | None
    findings: tuple[Mapping[str, Any], ...]
    reasons: tuple[str, ...]
    answer: str | None
    draft: Mapping[str, Any] | None = None
    blind: bool = False
    sides: tuple[OtherDecision, ...] = ()
    near: tuple[OtherDecision, ...] = ()
    decided: int = 0
    total: int = 0
    meta: Mapping[str, Any] = field(default_factory=dict)

    @property
    def passage(self) -> list[tuple[str, bool]]:
        """The passage that the row was drafted from, in pieces, each with whether the answer uses its words."""
        return used_words(str(self.meta.get("passage_text", "")), self.answer or "")

    def to_json(self) -> dict[str, Any]:
        """Return the document of `rung review next --json`."""
        return asdict(self)


def show_item(desk: Desk, person: Reviewer, number: int) -> ReviewItem:
    """Return the item as this person may see it."""
    guideline = current_guideline(desk.store, desk.project)
    with desk.store.read() as connection:
        raw = row_with_all(connection, number)
        stored = record(raw)
        blind = raw["needed"] > 1 and not raw["flagged"]
        kept = draft_of(connection, number, person.id)
        total, left = waiting(connection)
        votes = standing_votes(connection, number, raw["since"])
        usual = blind or stored.queued in QUEUED_AS_USUAL[:-1]
        sent = [] if usual else [*sent_for(connection, number), stored.queued]
        links = read_links(connection, [stored.id])
        others = by_numbers(connection, [number_of(name) for link in links for name in (link.row, link.other)])
    near = _near(stored, links, others, blind)
    example = stored.example
    return ReviewItem(
        id=stored.id,
        token=raw["lease_token"] or "",
        until=datetime.fromtimestamp(raw["lease_until"] or 0, UTC).isoformat(timespec="seconds"),
        messages=example.messages,
        row=example.row,
        role=stored.role,
        origin=stored.origin,
        queued=stored.queued,
        source=stored.source,
        guideline=guideline,
        findings=(*_so_far(raw, votes, person, blind), *_findings(stored, near, blind, sent)),
        reasons=reasons_in(guideline.text if guideline else "") or desk.settings.review.reasons,
        answer=example.answer,
        draft=json.loads(kept) if kept else None,
        blind=blind,
        sides=tuple(_sides(stored, votes, all_reviewers(desk.store))) if raw["flagged"] else (),
        near=near,
        decided=total - left,
        total=total,
        meta=stored.meta,
    )


def _near(
    stored: StoredRow, links: Sequence[Link], others: Sequence[StoredRow], blind: bool
) -> tuple[OtherDecision, ...]:
    """Near rows that are still in; where the item is blind, as they came and without anyone's decision."""
    found: dict[str, Link] = {}
    for link in links:
        found.setdefault(link.other if link.row == stored.id else link.row, link)
    sides = []
    for other in others:
        if other.id not in found or other.excluded is not None:
            continue
        link = found[other.id]
        example = other.original if blind else other.example
        state = "" if blind else other.state
        who = "" if blind else other.reviewer
        sides.append(OtherDecision(other.id, who, state, example.answer, link.kind, link.similarity, example.question))
    return tuple(sorted(sides, key=lambda side: (-(side.similarity or 0), side.row))[:MOST])


def _findings(
    stored: StoredRow, near: Sequence[OtherDecision], blind: bool, sent: Sequence[str]
) -> tuple[Mapping[str, Any], ...]:
    found: list[Mapping[str, Any]] = []
    if stored.queued == "unanswered":
        found.append({"kind": "unanswered", "text": "This row has no answer yet: write one."})
    mine = stored.original.answer if blind else stored.example.answer
    for side in near:
        if side.answer == mine:
            continue
        what = "The same question" if side.kind == "contradiction" else "A near row"
        who = f" ({side.reviewer})" if side.reviewer else ""
        text = f"{what} has another answer: {cut_apart(side.answer or '', 120)}{who}"
        found.append({"kind": side.kind, "text": text, "row": side.row, "similarity": side.similarity})
    if why := [each for each in dict.fromkeys(sent) if each not in QUEUED_AS_USUAL]:
        found.append({"kind": "sent", "text": f"Sent to review for: {', '.join(why)}"})
    found += [each for each in stored.meta.get("findings", []) if isinstance(each, Mapping)]
    return tuple(found)


def _so_far(raw: RowMapping, votes: Sequence[Vote], person: Reviewer, blind: bool) -> Iterator[Mapping[str, Any]]:
    """Yield findings on earlier decisions: this person was not sure, or an edit waits for a second person."""
    if any(vote.reviewer == person.id and vote.verdict in ("unsure", "flag") for vote in votes):
        text = "You were not sure of this row. Nobody else reviews here: it is yours to decide."
        yield {"kind": "later", "text": text}
    is_edited = raw["original"] and raw["payload"] != raw["original"] and any(vote.verdict == "edit" for vote in votes)
    if is_edited and not blind and not raw["flagged"]:
        draft = cut_apart(Example.from_json(raw["original"]).answer or "", 200)
        yield {"kind": "second", "text": f"Edited: it counts when a second person agrees. The draft was: {draft}"}


def _sides(stored: StoredRow, votes: Sequence[Vote], people: Sequence[Reviewer]) -> Iterator[OtherDecision]:
    names = {person.id: person.name for person in people}
    for vote in votes:
        if vote.verdict in FINAL:
            answer = Example.from_json(vote.payload).answer if vote.payload else stored.original.answer
            yield OtherDecision(stored.id, names[vote.reviewer], vote.verdict, answer)


ROWS_READ = 2_000
"""Rows that are read at most."""
MOST_LABELS, LONGEST_LABEL, OFTEN = 24, 60, 4
"""Labels at most, characters of one, and rows that an answer has on average where answers are labels."""
LABEL_KEYS = "123456789dhiqtz"
"""The key of each label, in the terminal and the browser: digits, then letters that mean nothing else there."""
LEAST_OFTEN, SHARE = 2, 0.9
"""Rows that have a label at least, for a slip of one edit is none; share of the rows that labels answer."""


def answers_in_use(store: Store) -> tuple[str, ...]:
    """Return the different answers of the first rows, the most frequent first; empty if they are no labels."""
    with store.read() as connection:
        found = [Example.from_json(payload).answer for payload in first_payloads(connection, ROWS_READ)]
    every = Counter(answer for answer in found if answer)
    counts = Counter({answer: rows for answer, rows in every.items() if rows >= LEAST_OFTEN})
    most = counts.total() >= max(SHARE * every.total(), OFTEN * len(counts))
    short = all(len(answer) <= LONGEST_LABEL and "\n" not in answer for answer in counts)
    labels = 2 <= len(counts) <= MOST_LABELS and most and short
    return tuple(answer for answer, _ in counts.most_common()) if labels else ()


UNMASKED = "unmasked"
"""The kind of the event."""
SHOWN = ("messages", "prompt", "chosen", "rejected", "text")
"""Keys of a row that a reviewer is shown; the others are in `--json` alone, masked and not counted."""
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

    of: ReviewItem
    item: ReviewItem
    found: Found
    in_edit: bool
    """True if the text that an edit begins with, or is compared to, holds some of it."""
    unseen: Found
    """Personal data in parts that `--json` alone shows: other keys, drafts, questions of near rows."""


@dataclass
class Cover:
    """Masks texts and remembers what it hid."""

    found: set[tuple[str, str]] = field(default_factory=set)
    known: dict[str, str] = field(default_factory=dict)
    """Text -> masked: an item names its texts several times, and they may be long."""

    def text(self, text: str) -> str:
        """Return the text, masked."""
        if text not in self.known:
            spots = spots_in(text)
            self.found |= {(spot.kind, text[spot.start : spot.end]) for spot in spots}
            self.known[text] = covered(text, spots)
        return self.known[text]

    def value(self, value: Any, name: str = "") -> Any:
        """Return every text inside, masked. `name`: the key of an argument, which may say what its digits are."""
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
        """Return the mask of digits by the name of their argument, `[KIND]`; None if they are nothing private."""
        spots = spots_in(f"{name}: {digits}")
        whole = [spot for spot in spots if spot.start == len(name) + 2 and spot.end - spot.start == len(digits)]
        if not whole:
            return None
        self.found.add((whole[0].kind, digits))
        return f"[{whole[0].kind}]"


def veiled(item: ReviewItem) -> Veil:
    """Return the item as it is shown at first."""
    cover = Cover()
    for edited in (item.row, item.draft):
        cover.text(edited_text(edited) if edited is not None else "")
    in_edit = bool(cover.found)
    unseen = Cover()
    row = {key: (cover if key in SHOWN else unseen).value(value, key) for key, value in item.row.items()}
    shown = replace(
        item,
        row=row,
        messages=tuple(cover.value(item.messages)),
        answer=cover.text(item.answer) if item.answer is not None else None,
        draft=cover.value(item.draft),
        sides=tuple(_side(side, cover, unseen) for side in item.sides),
        near=tuple(_side(side, cover, unseen) for side in item.near),
        findings=tuple(cover.value(each) for each in item.findings),
        meta={
            key: (cover if key == "passage_text" else unseen).value(value, key)  # a draft's passage is shown
            for key, value in item.meta.items()
        },
    )
    return Veil(item, shown, frozenset(cover.found), in_edit, frozenset(unseen.found))


def veiled_near(rows: Sequence[OtherDecision]) -> tuple[tuple[OtherDecision, ...], Found]:
    """Return the nearest decided rows, masked, and what is hidden in them."""
    cover = Cover()
    return tuple(_side(row, cover, cover) for row in rows), frozenset(cover.found)


def _side(side: OtherDecision, cover: Cover, asked: Cover) -> OtherDecision:
    answer = cover.text(side.answer) if side.answer is not None else None
    return replace(side, answer=answer, question=asked.text(side.question))


def hidden_words(found: Iterable[tuple[str, str]]) -> str:
    """`1 phone, 2 e-mails`; empty if nothing is hidden."""
    kinds = kinds_of(found)
    return ", ".join(f"{n} {WORDS.get(kind, (kind, kind))[n != 1]}" for kind, n in kinds.items())


def log_unmasked(desk: Desk, person: str, item: ReviewItem, found: Found) -> None:
    """Write to the log who sees this item as it is, when, and what kinds of data; never the data."""
    detail = {"kinds": kinds_of(found), "lease": _lease(item)}
    desk.store.event(UNMASKED, person, item.id, detail)


def is_unmasked(desk: Desk, person: str, item: ReviewItem) -> bool:
    """True if this person has asked to see this item unmasked under their lease."""
    events = desk.store.events(kind=UNMASKED, ref=item.id, actor=person)
    return any(event.detail.get("lease") == _lease(item) for event in events)


def kinds_of(found: Iterable[tuple[str, str]]) -> dict[str, int]:
    """Return the number of each kind: all that the log may hold."""
    return dict(sorted(Counter(kind for kind, _ in found).items()))


def _lease(item: ReviewItem) -> str:
    """Return a lease by a digest: its token is a secret."""
    return hashlib.sha256(item.token.encode()).hexdigest()[:12]
