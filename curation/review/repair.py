"""The same repair on similar rows: what an edit changed, which open rows have that fault, and what they would become.

Nothing here changes a row. Each proposal is shown to a person, who takes it as an ordinary edit or leaves it.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.similarity.words import words
from curation.store.ids import row_id

if TYPE_CHECKING:
    from curation.review.desk import Desk
    from curation.review.people import Reviewer

LONGEST = 2_000
"""Words (and the spaces between them) of a text whose parts are compared; a longer one is a repair as a whole."""


@dataclass(frozen=True, slots=True)
class Change:
    """Words that an edit took away, and what it put in their place; `old` is never empty."""

    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Repair:
    """One edit. Without `changes` it replaced the whole answer, and fits only rows with the same answer."""

    row: str
    question: str
    before: str
    after: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class SimilarRow:
    """An open row that the repair fits; `overlap` 0..1, the words that its question shares with the repaired row's."""

    row: str
    question: str
    answer: str
    repaired: str
    overlap: float


def edited_text(row: Mapping[str, Any]) -> str:
    """The text of a row that an edit changes: the last answer, the better one of a pair, or the text."""
    example = Example(row)
    return example.answer or "" if example.messages else str(row.get("text", ""))


def repair_of(row: str, question: str, before: str, after: str) -> Repair | None:
    """What an edit changed; None where it changed nothing."""
    if before.strip() == after.strip() or not before.strip():
        return None
    old, new = _parts(before.strip()), _parts(after.strip())
    changes: list[Change] = []
    if len(old) <= LONGEST and len(new) <= LONGEST:
        changes = _changes(old, new)
    kept = len([part for part in old if not part.isspace()]) - sum(_solid(change.old) for change in changes)
    return Repair(row, question, before.strip(), after.strip(), tuple(changes) if kept > 0 else ())


def repaired(repair: Repair, answer: str) -> str | None:
    """The answer after the same repair; None where the repair does not fit, or changes nothing."""
    if answer.strip() == repair.before:
        return repair.after
    parts = _parts(answer.strip())
    for change in repair.changes:
        changed = _replaced(parts, change)
        if changed is None:
            return None
        parts = changed
    made = "".join(parts)
    return made if repair.changes and made != answer.strip() and made.strip() else None


def last_repair(desk: Desk, person: Reviewer) -> Repair | None:
    """The newest edit of a person that stands; None where they have edited nothing."""
    from sqlalchemy import exists, select

    from curation.store.tables import decisions, later, rows

    asked = (
        select(decisions.c.row_id, decisions.c.payload, rows.c.original, rows.c.payload.label("now"))
        .join(rows, rows.c.id == decisions.c.row_id)
        .where(decisions.c.reviewer_id == person.id, decisions.c.verdict == "edit", decisions.c.payload.is_not(None))
        .where(~exists().where(later.c.supersedes == decisions.c.id), decisions.c.id > rows.c.since)
        .order_by(decisions.c.id.desc())
        .limit(1)
    )
    with desk.store.read() as connection:
        found = connection.execute(asked).mappings().first()
    if found is None:
        return None
    before, after = json.loads(found["original"] or found["now"]), json.loads(found["payload"])
    return repair_of(row_id(found["row_id"]), Example(before).question, edited_text(before), edited_text(after))


def similar_rows(desk: Desk, person: Reviewer, repair: Repair, *, most: int = 200) -> list[SimilarRow]:
    """Open rows that this person may take and that the repair fits: those whose question is nearest come first.

    Rows that somebody else holds, or that this person decided already, are left out.
    """
    from sqlalchemy import select

    from curation.review.due import free_rows, given_to, open_rows, sees_flagged
    from curation.store.reading import leased_now
    from curation.store.tables import rows

    mine = frozenset(words(repair.question))
    fits = [rows.c.payload.contains(piece, autoescape=True) for piece in _pieces(repair)]
    held = select(rows.c.id).where(open_rows(), rows.c.lease_owner == person.id, leased_now(desk.clock()))
    found = []
    with desk.store.read() as connection:
        free = free_rows(flagged=sees_flagged(connection, person))
        asked = [each.add_columns(rows.c.payload).where(*fits) for each in (free, held)]
        given = given_to(person, desk.clock(), [])
        for number, payload in [pair for each in asked for pair in connection.execute(each, given).tuples()]:
            row = json.loads(payload)
            answer = edited_text(row)
            made = repaired(repair, answer)
            if made is not None and row_id(number) != repair.row:
                question = Example(row).question
                found.append(SimilarRow(row_id(number), question, answer, made, shared(mine, words(question))))
    return sorted(found, key=lambda each: (-each.overlap, each.row))[:most]


def shared(mine: frozenset[str], others: Sequence[str]) -> float:
    """Jaccard similarity of two sets of words."""
    other = set(others)
    return len(mine & other) / len(mine | other) if mine or other else 0.0


def _parts(text: str) -> list[str]:
    return re.findall(r"\s+|\S+", text)


def _solid(parts: Sequence[str]) -> int:
    return sum(not part.isspace() for part in parts)


def _changes(old: list[str], new: list[str]) -> list[Change]:
    """Changed runs of words, joined across the single spaces between them; each names at least one old word."""
    runs: list[list[int]] = []
    for kind, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            continue
        if runs and all(part.isspace() for part in old[runs[-1][1] : a]):
            runs[-1][1], runs[-1][3] = b, d
        else:
            runs.append([a, b, c, d])
    return [_anchored(old, new, *run) for run in runs]


def _anchored(old: list[str], new: list[str], a: int, b: int, c: int, d: int) -> Change:
    """A run widened by the word before it (at the start: after it) while it names no old word."""
    while not _solid(old[a:b]):
        if a > 0:
            a, c = a - 1, c - 1
        else:
            b, d = b + 1, d + 1
    return Change(tuple(old[a:b]), tuple(new[c:d]))


def _replaced(parts: list[str], change: Change) -> list[str] | None:
    """`parts` with every run of the old words replaced; None where there is none, or it is repaired already."""
    made: list[str] = []
    at = hits = 0
    while at < len(parts):
        if _stands(parts, at, change.new) and len(change.new) > len(change.old):
            made += change.new
            at += len(change.new)
        elif _stands(parts, at, change.old):
            made += change.new
            at, hits = at + len(change.old), hits + 1
        else:
            made.append(parts[at])
            at += 1
    return made if hits else None


def _stands(parts: Sequence[str], at: int, run: Sequence[str]) -> bool:
    """Whether these words stand at this place; any space is as good as another."""
    there = parts[at : at + len(run)]
    return len(there) == len(run) > 0 and all(
        a == b or (a.isspace() and b.isspace()) for a, b in zip(there, run, strict=True)
    )


def _pieces(repair: Repair) -> list[str]:
    """Words that the stored text of a fitting row must hold: the longest old one of each change, as JSON writes it."""
    olds = [change.old for change in repair.changes] or [tuple(_parts(repair.before))]
    return [json.dumps(max(old, key=len), ensure_ascii=False)[1:-1] for old in olds]
