"""Which known item a person is given and when, and the entry test."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.review.gold import _answer, _answers
from curation.sampling import rank
from curation.store.ids import number_of
from workspace.errors import Refusal
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from curation.review.people import Reviewer


@dataclass(frozen=True, slots=True)
class Entry:
    """A new reviewer's entry test: `rounds` finished, the answers of the present one, and whether one was passed.

    `right` is of the last finished round; `size` known items make one.
    """

    size: int
    needed: int
    rounds: int
    answered: int
    right: int | None
    passed: bool
    seen: frozenset[int] = frozenset()

    def words(self) -> str:
        """Where a round has ended: how it went. Empty while one is under way."""
        if not self.rounds or self.answered:
            return ""
        if self.passed:
            return f"Entry test passed: {self.right} of {self.size} right."
        return f"Entry test: {self.right} of {self.size} right, {self.needed} are needed. You may try again."


def entry_of(connection: Connection, settings: Settings, person: Reviewer) -> Entry | None:
    """How the entry test of a person stands; None where none is asked of them.

    Asked of reviewers alone (not of adjudicators and leads), and not of those who decided rows before.
    """
    from sqlalchemy import select

    from curation.review.settling import to_known_item
    from curation.store.tables import decisions

    size = settings.review.entry
    if not size or person.kind != "person" or person.role != "reviewer":
        return None
    before = select(decisions.c.id).where(decisions.c.reviewer_id == person.id, ~to_known_item())
    if connection.execute(before.limit(1)).first() is not None:
        return None
    found = [each for each in connection.execute(_answers(person.id)).mappings() if each["superseded"] != "undo"]
    given = [answer for answer in map(_answer, found) if answer.verdict not in ("skip",)]
    rounds = [given[start : start + size] for start in range(0, len(given) - size + 1, size)]
    hits = [sum(answer.right is True for answer in each) for each in rounds]
    needed = math.ceil(settings.review.entry_right * size - 1e-9)
    present = given[len(rounds) * size :]
    return Entry(
        size=size,
        needed=needed,
        rounds=len(rounds),
        answered=len(present),
        right=next((each for each in hits if each >= needed), hits[-1] if hits else None),
        passed=any(each >= needed for each in hits),
        seen=frozenset(number_of(answer.row) for answer in present),
    )


def choose_known(
    connection: Connection, settings: Settings, person: Reviewer, moment: float, holding: Sequence[int]
) -> int | None:
    """The known item that comes next for a person, where one is due; None where an ordinary row is.

    Raises Refusal where the entry test cannot be held for want of known items.
    """
    if person.kind != "person":
        return None
    entry = entry_of(connection, settings, person)
    if entry is not None and not entry.passed:
        return _for_entry(connection, settings, person, moment, holding, entry)
    share = settings.review.gold
    if (
        not share
        or rank(settings.dataset.seed, f"{person.name}:{_place(connection, person, holding)}", "gold") >= share
    ):
        return None
    return _first_free(connection, settings, person, moment, holding, again=False)


def left_over(
    connection: Connection,
    settings: Settings,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    want: int | None,
) -> int | None:
    """A known item that this person was given and skipped or took back: it comes again, as any row does."""
    if person.kind != "person":
        return None
    open_ = _eligible(connection, person, moment, holding)
    given = [number for number, last in open_.items() if last]
    if want is not None:
        return want if want in given and _locked(connection, want, person, moment) else None
    entry = entry_of(connection, settings, person)
    if entry is not None and not entry.passed:
        return None
    return next((number for number in sorted(given) if _locked(connection, number, person, moment)), None)


def _for_entry(
    connection: Connection,
    settings: Settings,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    entry: Entry,
) -> int | None:
    found = _first_free(connection, settings, person, moment, [*holding, *entry.seen], again=True)
    if found is None and entry.answered + len(holding) < entry.size:
        raise Refusal(
            f"New reviewers decide {entry.size} known items first, and there are not enough that {person.name} can be "
            "given now.",
            "rung review gold add ID...   (rows decided by someone who knows), or [review] entry = 0",
        )
    return found if entry.answered + len(holding) < entry.size else None


def _first_free(
    connection: Connection,
    settings: Settings,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    *,
    again: bool,
) -> int | None:
    """A known item that the person has not answered, drawn by seed; with `again` the longest answered after those."""
    open_ = _eligible(connection, person, moment, holding, answered=again)
    ranked = sorted(open_, key=lambda number: (open_[number], rank(settings.dataset.seed, f"{person.name}:{number}")))
    due = (number for number in ranked if again or not open_[number])
    return next((number for number in due if _locked(connection, number, person, moment)), None)


def _eligible(
    connection: Connection, person: Reviewer, moment: float, holding: Sequence[int], *, answered: bool = False
) -> dict[int, int]:
    """Known items that a person may be given: row -> their last entry on it (0 for none).

    Not those on which they decided themselves what is right, not those held by others; without `answered` not those
    that they decided already.
    """
    from sqlalchemy import and_, exists, select

    from curation.review.settling import known_now, to_known_item
    from curation.store.tables import decisions, later, rows

    mine = and_(decisions.c.row_id == rows.c.id, decisions.c.reviewer_id == person.id)
    asked = select(rows.c.id).where(
        known_now(rows.c.id),
        rows.c.change_id.is_(None),
        rows.c.id.not_in(holding),
        _not_held(person, moment),
        ~exists().where(mine, ~to_known_item()),
    )
    numbers = connection.execute(asked).scalars().all()
    entries = select(decisions.c.row_id, decisions.c.id, decisions.c.verdict, later.c.id).where(
        decisions.c.reviewer_id == person.id, decisions.c.row_id.in_(numbers)
    )
    entries = entries.select_from(decisions).outerjoin(later, later.c.supersedes == decisions.c.id)
    last: dict[int, int] = dict.fromkeys(numbers, 0)
    done: set[int] = set()
    for row, number, verdict, superseded in connection.execute(entries.order_by(decisions.c.id)).tuples():
        last[row] = number
        if superseded is None and verdict not in ("undo", "skip"):
            done.add(row)
    return {number: entry for number, entry in last.items() if answered or number not in done}


def _not_held(person: Reviewer, moment: float) -> Any:
    """SQL: nobody else holds the row."""
    from sqlalchemy import not_, or_

    from curation.store.reading import leased_now
    from curation.store.tables import rows

    return or_(rows.c.lease_until.is_(None), rows.c.lease_owner == person.id, not_(leased_now(moment)))


def _locked(connection: Connection, number: int, person: Reviewer, moment: float) -> bool:
    """Take the row for this transaction; False where someone else has it, or is about to."""
    from sqlalchemy import select

    from curation.store.tables import rows

    asked = select(rows.c.id).where(rows.c.id == number, _not_held(person, moment))
    return connection.execute(asked.with_for_update(skip_locked=True)).first() is not None


def _place(connection: Connection, person: Reviewer, holding: Sequence[int]) -> int:
    """How many rows this person has decided: the draw for the next one depends on it alone."""
    from sqlalchemy import exists, func, select

    from curation.store.tables import decisions, later

    taken_back = exists().where(later.c.supersedes == decisions.c.id, later.c.verdict == "undo")
    asked = select(func.count()).where(decisions.c.reviewer_id == person.id, decisions.c.verdict != "undo", ~taken_back)
    return int(connection.execute(asked).scalar() or 0) + len(holding)


def entry_words(store: Any, settings: Settings, person: Reviewer) -> str:
    """What a reviewer is told of their entry test where a round has just ended; else nothing."""
    if not settings.review.entry:
        return ""
    with store.read() as connection:
        entry = entry_of(connection, settings, person)
    return entry.words() if entry is not None else ""


def must_have_entered(store: Any, settings: Settings, person: Reviewer) -> None:
    """Raises Refusal where a person has not passed the entry test that is asked of them."""
    if not settings.review.entry:
        return
    with store.read() as connection:
        entry = entry_of(connection, settings, person)
    if entry is not None and not entry.passed:
        raise Refusal(
            f"{person.name} has not passed the entry test of {entry.size} items yet.",
            f"rung review next --reviewer {person.name}",
        )
