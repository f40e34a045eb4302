"""Gold items: rows with a known decision that are given out again, to see who misses what, and the entry test.

Reviewers get a gold item as it first came. Their answers are kept in the log and never count for the row. Nothing that
a reviewer sees tells it from an ordinary row: not the item, not the answer to their decision, not the counts
(`mixed_in`).
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.likeness import same_answer
from curation.review.queue import draw, rank
from curation.store import Store
from curation.store.records import FINAL, VERDICT_OF, number_of, row_id
from workspace.artefact import now
from workspace.errors import Refusal
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from sqlalchemy.engine import RowMapping

    from curation.store import Store
    from curation.store.records import Reviewer


STATE_OF = {"approve": "approved", "edit": "edited", "reject": "rejected", "skip": "skipped"}


@dataclass(frozen=True, slots=True)
class KnownItem:
    """The right decision on a row, who made it, and how reviewers answered."""

    row: str
    verdict: str
    answer: str | None
    actor: str
    at: str
    answered: int
    missed: int


@dataclass(frozen=True, slots=True)
class KnownAnswer:
    """One person's standing answer to a gold item; `right` is None for "not sure", skip and flag."""

    row: str
    reviewer: str
    verdict: str
    right: bool | None
    decision: int
    at: str


@dataclass(frozen=True, slots=True)
class Known:
    """One reviewer's gold items: how many were answered, and how many of them wrongly."""

    reviewer: str
    answered: int
    right: int
    missed: int


def add_gold(store: Store, names: Sequence[str], *, actor: str) -> list[str]:
    """Make decided rows gold items. Returns those that were none before.

    Raises Refusal, with every row's reason, where one is not decided or was taken out; then none is added.
    """
    from curation.store.gold import gold_rows, write_gold

    chosen = {row.id: row for row in store.rows(ids=list(names))}
    missing = [name for name in names if row_id(number_of(name)) not in chosen]
    faults = [f"{name}: no such row" for name in missing]
    faults += [f"{row.id}: {row.excluded or row.state}" for row in chosen.values() if not _is_settled(row)]
    if faults:
        raise Refusal(
            f"Only decided rows can be gold items: {'; '.join(faults[:5])}"
            + (f"; and {len(faults) - 5:,} more." if len(faults) > 5 else "."),
            "rung review decide ID approve|edit|reject, by someone who knows",
        )
    with store.write(alone=True) as connection:
        there = gold_rows(connection)
        fresh = [row for row in chosen.values() if number_of(row.id) not in there]
        values = [
            {
                "row_id": number_of(row.id),
                "verdict": VERDICT_OF[row.state],
                "payload": row.payload if row.state == "edited" else None,
                "actor": actor,
                "at": now().isoformat(),
            }
            for row in fresh
        ]
        if values:
            write_gold(connection, values)
            store.event("gold", actor, "added", {"rows": [row.id for row in fresh]}, connection=connection)
    return [row.id for row in fresh]


def decided_rows(store: Store, reviewer: str, count: int, seed: int) -> list[str]:
    """Rows whose decision that counts is this person's, `count` of them drawn by seed (0: all)."""
    found = [row for row in store.rows() if row.reviewer == reviewer and _is_settled(row)]
    return [
        found[index].id
        for index in draw(seed, [row.content_hash for row in found], min(count or len(found), len(found)))
    ]


def end_gold(store: Store, names: Sequence[str], *, actor: str) -> list[str]:
    """Gold items that are none any more. What was answered stays counted."""
    from curation.store.gold import close_gold, gold_rows

    numbers = [number_of(name) for name in names]
    with store.write(alone=True) as connection:
        ended = sorted(gold_rows(connection) & set(numbers))
        close_gold(connection, ended)
        if ended:
            detail = {"rows": [row_id(number) for number in ended]}
            store.event("gold", actor, "ended", detail, connection=connection)
    return [row_id(number) for number in ended]


def known_items(store: Store) -> list[KnownItem]:
    """All gold items at present, in order of their rows. For the lead: it tells what is right."""
    from curation.store.gold import gold_items

    with store.read() as connection:
        found = gold_items(connection)
    answers = known_answers(store)
    made = []
    for each in found:
        mine = [answer for answer in answers if answer.row == row_id(each["row_id"]) and answer.right is not None]
        text = Example.from_json(each["payload"]).answer if each["payload"] else None
        made.append(
            KnownItem(
                row=row_id(each["row_id"]),
                verdict=each["verdict"],
                answer=text,
                actor=each["actor"],
                at=each["at"],
                answered=len(mine),
                missed=sum(not answer.right for answer in mine),
            )
        )
    return made


def known_answers(store: Store) -> list[KnownAnswer]:
    """Every standing answer to a gold item, in order."""
    from curation.store.gold import gold_answers

    with store.read() as connection:
        return [as_answer(each) for each in gold_answers(connection) if each["superseded"] is None]


def known_by_person(store: Store) -> list[Known]:
    """How each reviewer did on the gold items that they were given."""
    by_name: dict[str, list[bool]] = {}
    for answer in known_answers(store):
        if answer.right is not None:
            by_name.setdefault(answer.reviewer, []).append(answer.right)
    return [Known(name, len(hits), sum(hits), len(hits) - sum(hits)) for name, hits in sorted(by_name.items())]


def shown_state(verdict: str, *, changed: bool) -> str:
    """The state that a decision on an ordinary row would have come to."""
    if verdict == "edit" and not changed:
        return "approved"
    return STATE_OF.get(verdict, "unsure")


def was_right(expected: str, known: str | None, original: str, verdict: str, text: str | None) -> bool | None:
    """Whether an answer to a gold item is right; None where it is no decision. Rows are JSON texts.

    The right verdict is right, with the same answer where it edits. On a faulty row, seeing the fault is right: to
    reject what was known to be edited, to edit what was known to be rejected.
    """
    if verdict not in FINAL:
        return None
    changed = text is not None and text != original
    if expected == "approve":
        return verdict == "approve" or (verdict == "edit" and (not changed or _same(text, original)))
    if verdict == "approve" or (verdict == "edit" and not changed):
        return False
    return verdict == "reject" or expected == "reject" or _same(text, known)


def _same(one: str | None, other: str | None) -> bool:
    if one is None or other is None:
        return False
    return same_answer(Example.from_json(one).answer, Example.from_json(other).answer)


def _is_settled(row: Any) -> bool:
    return row.excluded is None and row.state in VERDICT_OF and row.decision is not None


def as_answer(each: RowMapping) -> KnownAnswer:
    """Judge one answer to a gold item."""
    right = was_right(
        each["expected"], each["known"], each["original"] or each["now"], each["verdict"], each["payload"]
    )
    return KnownAnswer(row_id(each["row_id"]), each["name"], each["verdict"], right, each["id"], each["at"])


@dataclass(frozen=True, slots=True)
class Mixed:
    """Gold items as ordinary rows in the counts that reviewers see: how many are planned, answered and leased."""

    planned: int = 0
    states: Mapping[str, int] | None = None
    leased: int = 0

    @property
    def decided(self) -> int:
        """Answers that look like decisions."""
        return sum(n for state, n in (self.states or {}).items() if state in ("approved", "edited", "rejected"))

    def of(self, state: str) -> int:
        """How many of them look like rows in this state."""
        answers = self.states or {}
        waiting = self.planned - sum(answers.values()) - self.leased
        return {"pending": waiting, "leased": self.leased}.get(state, answers.get(state, 0))


def mixed_in(connection: Connection, settings: Settings, queued: int, waiting: int, moment: float) -> Mixed:
    """What gold items add to the counts of a queue of `queued` rows, `waiting` of them open.

    The same before and after each is decided. Once no row waits any more, only what was decided is counted.
    """
    from curation.store.gold import gold_answers, gold_counts

    policy = settings.review
    if not policy.gold and not policy.entry:
        return Mixed()
    items, persons, running = gold_counts(connection, moment)
    states: dict[str, int] = {}
    for each in gold_answers(connection):
        if each["superseded"] is None:
            original = each["original"] or each["now"]
            changed = each["payload"] is not None and each["payload"] != original
            state = shown_state(each["verdict"], changed=changed)
            states[state] = states.get(state, 0) + 1
    if not waiting and not running and not states.get("skipped"):
        final = {state: n for state, n in states.items() if state in STATE_OF.values()}
        return Mixed(sum(final.values()), final)
    planned = min(items * persons, round(policy.gold / (1 - policy.gold) * queued))
    return Mixed(max(planned, sum(states.values()) + running), states, running)


def mixed_counts(store: Store, settings: Settings, queued: int, waiting: int) -> Mapping[str, int]:
    """`mixed_in` by state, for a status that counts rows itself."""
    with store.read() as connection:
        mixed = mixed_in(connection, settings, queued, waiting, time.time())
    return {state: mixed.of(state) for state in ("pending", "leased", *STATE_OF.values(), "unsure")}


@dataclass(frozen=True, slots=True)
class EntryTest:
    """A new reviewer's entry test: `rounds` finished, the answers of the present one, and whether one was passed.

    `right` is of the last finished round; `size` gold items make one.
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


def entry_of(connection: Connection, settings: Settings, person: Reviewer) -> EntryTest | None:
    """Return how far a person is in the entry test; None where none is asked of them.

    Asked of reviewers alone (not of adjudicators and leads), and not of those who decided rows before.
    """
    size = settings.review.entry
    if not size or person.kind != "person" or person.role != "reviewer":
        return None
    from curation.store.gold import gold_answers, has_decided

    if has_decided(connection, person):
        return None
    found = [each for each in gold_answers(connection, person.id) if each["superseded"] != "undo"]
    given = [answer for answer in map(as_answer, found) if answer.verdict not in ("skip",)]
    rounds = [given[start : start + size] for start in range(0, len(given) - size + 1, size)]
    hits = [sum(answer.right is True for answer in each) for each in rounds]
    needed = math.ceil(settings.review.entry_right * size - 1e-9)
    present = given[len(rounds) * size :]
    return EntryTest(
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
    """The gold item that comes next for a person, where one is due; None where an ordinary row is.

    Raises Refusal where the entry test cannot be held for want of gold items.
    """
    if person.kind != "person":
        return None
    entry = entry_of(connection, settings, person)
    if entry is not None and not entry.passed:
        return _for_entry(connection, settings, person, moment, holding, entry)
    share = settings.review.gold
    if not share:
        return None
    from curation.store.gold import times_decided

    place = times_decided(connection, person) + len(holding)
    if rank(settings.dataset.seed, f"{person.name}:{place}", "gold") >= share:
        return None
    return _first_known(connection, settings, person, moment, holding, again=False)


def left_over(
    connection: Connection,
    settings: Settings,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    want: int | None,
) -> int | None:
    """A gold item that this person was given and skipped or took back: it comes again, as any row does."""
    if person.kind != "person":
        return None
    from curation.store.gold import open_gold, take_if_free

    open_ = open_gold(connection, person, moment, holding)
    given = [number for number, last in open_.items() if last]
    if want is not None:
        return want if want in given and take_if_free(connection, want, person, moment) else None
    entry = entry_of(connection, settings, person)
    if entry is not None and not entry.passed:
        return None
    return next((number for number in sorted(given) if take_if_free(connection, number, person, moment)), None)


def _for_entry(
    connection: Connection,
    settings: Settings,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    entry: EntryTest,
) -> int | None:
    found = _first_known(connection, settings, person, moment, [*holding, *entry.seen], again=True)
    if found is None and entry.answered + len(holding) < entry.size:
        raise Refusal(
            f"New reviewers decide {entry.size} gold items first, and there are not enough that {person.name} can be "
            "given now.",
            "rung review gold add ID...   (rows decided by someone who knows), or [review] entry = 0",
        )
    return found if entry.answered + len(holding) < entry.size else None


def _first_known(
    connection: Connection,
    settings: Settings,
    person: Reviewer,
    moment: float,
    holding: Sequence[int],
    *,
    again: bool,
) -> int | None:
    """A gold item that the person has not answered, drawn by seed; with `again` the longest answered after those."""
    from curation.store.gold import open_gold, take_if_free

    open_ = open_gold(connection, person, moment, holding, answered=again)
    ranked = sorted(open_, key=lambda number: (open_[number], rank(settings.dataset.seed, f"{person.name}:{number}")))
    due = (number for number in ranked if again or not open_[number])
    return next((number for number in due if take_if_free(connection, number, person, moment)), None)


def entry_words(store: Any, settings: Settings, person: Reviewer) -> str:
    """Return the result of a reviewer's entry test where a round has just ended; else empty."""
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
