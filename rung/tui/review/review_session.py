"""A reviewer's session: the item on the screen, the next one fetched ahead, what was decided. No widgets.

Every method of the session but its constructor talks to the store and runs in a thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from curation.example import edited_text
from curation.mask import mask
from curation.review import Decided, Desk, ReviewItem, Ruling, decide, known_reviewer, next_item, open_desk, undo
from curation.review.agreement import Agreement
from curation.review.decisions import DecisionInForce, contest, decided_by_another
from curation.review.item import (
    Found,
    OtherDecision,
    Veil,
    answers_in_use,
    hidden_words,
    log_unmasked,
    veiled,
    veiled_near,
)
from curation.review.leases import give_up, renew
from curation.review.people import team
from curation.review.progress import agreement
from curation.review.similar import AnswerRepair, NearestDecided, SimilarRow, last_repair, repaired, similar_rows
from curation.store.decision_log import keep_draft
from curation.store.records import DECIDED, Share, number_of
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings

KEPT = 2
"""Masked items that are kept besides a new one."""


@dataclass(frozen=True, slots=True)
class Aside:
    """Panel beside an item: the nearest decided rows, and the decisions of all."""

    near: tuple[OtherDecision, ...] = ()
    team: tuple[Share, ...] = ()
    masked: tuple[OtherDecision, ...] = ()
    """`near` with masks."""
    found: Found = frozenset()
    """Texts that the masks of `masked` hide."""


@dataclass(frozen=True, slots=True)
class SessionDecision:
    """One decision of this session."""

    decided: Decided
    verdict: str


@dataclass
class RepairSeries:
    """`left` shrinks as rows are shown; `taken` counts those that took the repair."""

    repair: AnswerRepair
    left: list[SimilarRow]
    found: int
    shown: int = 0
    taken: int = 0

    @classmethod
    def after_last_edit(cls, desk: Desk, person: str) -> RepairSeries | None:
        """Return the rows with the fault that this person's newest edit repaired; None if they edited nothing."""
        reviewer = known_reviewer(desk.store, person)
        repair = last_repair(desk, reviewer)
        if repair is None:
            return None
        rows = similar_rows(desk, reviewer, repair)
        return cls(repair, rows, len(rows))

    def next(self) -> SimilarRow | None:
        """Return the next row, the nearest first."""
        if not self.left:
            return None
        self.shown += 1
        return self.left.pop(0)

    def proposal(self, answer: str) -> str | None:
        """Return the repaired answer; None if the repair does not fit."""
        return repaired(self.repair, answer)


@dataclass
class ReviewSession:
    """A desk, a person, and the rows of this session. `moment` counts seconds; the day began at `today`."""

    project: Project
    settings: Settings
    person: str
    moment: Callable[[], float]
    today: datetime
    done: list[SessionDecision] = field(default_factory=list)
    waiting: int = 0
    series: RepairSeries | None = None
    """The same repair on similar rows, while it lasts."""

    def __post_init__(self) -> None:
        self.desk = open_desk(self.project, self.settings)
        self.nearest = NearestDecided(self.desk)
        self.started = self.moment()
        self.shown_at = self.started
        self.ahead: ReviewItem | None = None
        self.was = 0
        """Number of rows that were settled when the next one was fetched."""
        self.asides: dict[str, Aside] = {}
        self.veils: dict[str, Veil] = {}
        self.given: ReviewItem | None = None
        """The row that was handed out last."""
        self.labels: tuple[str, ...] | None = None
        """Answers in use, where they are labels, the most frequent first; None until the first item."""
        self.closed = False
        self.lock = threading.RLock()

    # Rows

    def take(self, current: ReviewItem | None = None) -> ReviewItem | None:
        """Return the next item: the one fetched ahead, else a fresh lease; None if nothing is left for this person."""
        with self.lock:
            item = self._similar() if self.series else None
            if item is None and self.ahead is not None:
                item, self.ahead = replace(self.ahead, decided=self.ahead.decided + self.settled - self.was), None
            if item is None:
                turn = next_item(self.desk, self.person, holding=[current.id] if current else [])
                item, self.waiting = turn.item, turn.waiting
            return self._give(item)

    def _give(self, item: ReviewItem | None) -> ReviewItem | None:
        """Remember what is handed out; where nobody sits here any more the row goes back at once."""
        if item is not None:
            self.veil(item)
            if self.labels is None:
                self.labels = tuple(each for each in answers_in_use(self.desk.store) if mask(each) == each)
        self.shown_at, self.given = self.moment(), item
        if self.closed:
            self.leave(item)
        return item

    def veil(self, item: ReviewItem) -> Veil:
        """Return the item with masks, made once in the fetching thread. The last few items are kept."""
        known = self.veils.get(item.id)
        if known is None or known.of.row is not item.row or known.of.draft is not item.draft:
            known = veiled(item)
            self.veils = {**dict(list(self.veils.items())[-KEPT:]), item.id: known}
        return known

    def unmask(self, item: ReviewItem, found: Found) -> None:
        """Write to the log that this person sees the item as it is."""
        log_unmasked(self.desk, self.person, item, found)

    def fetch_ahead(self, current: ReviewItem) -> None:
        """Lease the item after this one and load its context while this one is read, unless it was left meanwhile."""
        with self.lock:
            is_read = self.given is not None and self.given.id == current.id and not self.closed
            if is_read and self.ahead is None and self.series is None:
                found = next_item(self.desk, self.person, holding=[current.id]).item
                self.ahead = found if found and found.id != current.id else None
                self.was = self.settled
            ahead = self.ahead
        if ahead is not None:
            self.veil(ahead)
            self.asides = {name: aside for name, aside in self.asides.items() if name == current.id}
            self.aside(ahead)

    def aside(self, item: ReviewItem) -> bool:
        """Load the context of an item; return whether it differs from what was known."""
        before = self.asides.get(item.id)
        near = self.nearest.near(item)
        self.asides[item.id] = Aside(near, tuple(team(self.desk, self.today)), *veiled_near(near))
        return self.asides[item.id] != before

    def again(self, row: str) -> ReviewItem | None:
        """Lease a certain row again, after an undo or a lease that ended."""
        with self.lock:
            return self._give(next_item(self.desk, self.person, want=row).item)

    def keep(self, item: ReviewItem) -> None:
        """Lengthen the leases of the row that somebody is reading and of the next one."""
        person = known_reviewer(self.desk.store, self.person)
        for each in (item, self.ahead):
            if each is not None:
                renew(self.desk, person, number_of(each.id), each.token)

    def leave(self, *items: ReviewItem | None) -> None:
        """Give rows back, so that others may have them at once."""
        with self.lock:
            person = known_reviewer(self.desk.store, self.person)
            for item in (*items, self.ahead):
                if item is not None:
                    give_up(self.desk, person, number_of(item.id))
            self.ahead = self.given = None

    def close(self) -> None:
        """End the session: all rows are returned."""
        self.closed = True
        with contextlib.suppress(RungError), self.lock:  # a lease that cannot be ended now ends by itself
            self.leave(self.given)

    # Decisions

    def decide(
        self, item: ReviewItem, verdict: str, *, text: str | None = None, reason: str = "", remark: str = ""
    ) -> Decided:
        """Write one decision. Raises Refusal if the lease is over; an edit is kept as a draft then."""
        seconds = round(self.moment() - self.shown_at, 1)
        ruling = Ruling(verdict, text=text, reason=reason, remark=remark, seconds=seconds)
        made = decide(self.desk, item.id, item.token, self.person, ruling)
        self.done.append(SessionDecision(made, verdict))
        return made

    def is_new(self, text: str | None) -> bool:
        """True if answers are labels and this one is not in use: a typo, or a class of one row."""
        return bool(self.labels) and text is not None and text not in (self.labels or ())

    def undo(self) -> Decided | None:
        """Undo the newest decision of this session that still counts; None if there is none."""
        while self.done:
            last = self.done.pop().decided
            try:
                return undo(self.desk, last.id, self.person)
            except RungError:
                continue  # it does not stand any more: somebody sent the row back
        return None

    def keep_draft(self, item: ReviewItem, payload: str) -> None:
        """Keep half an edit, so that a kill at any moment loses nothing, and the row with it."""
        person = known_reviewer(self.desk.store, self.person)
        with self.desk.store.write() as connection:
            keep_draft(connection, number_of(item.id), person.id, payload)
        self.keep(item)

    def decided_by(self, item: ReviewItem) -> DecisionInForce | None:
        """Return who decided a row while it was open here; None if nobody did."""
        return decided_by_another(self.desk, known_reviewer(self.desk.store, self.person), item.id, item.token)

    def contest(self, item: ReviewItem, verdict: str, text: str | None, reason: str) -> None:
        """Send this decision and the one that came before it to a third person."""
        person = known_reviewer(self.desk.store, self.person)
        contest(self.desk, person, item.id, item.token, Ruling(verdict, text=text, reason=reason))

    # The same repair

    def begin_series(self, current: ReviewItem | None) -> RepairSeries | None:
        """Look for rows with the fault of the last edit; None if there is no edit. Nothing changes by it."""
        series = RepairSeries.after_last_edit(self.desk, self.person)
        if series is not None and series.left:
            with self.lock:
                self.leave(current)
                self.series = series
        return series

    def end_series(self, current: ReviewItem | None) -> None:
        """Back to the queue."""
        self.leave(current)
        self.series = None

    def _similar(self) -> ReviewItem | None:
        """Return the next row of the series that this person can have and that the repair still fits."""
        assert self.series is not None
        while row := self.series.next():
            item = next_item(self.desk, self.person, want=row.row).item
            if item is not None and self.series.proposal(edited_text(item.row)) is not None:
                return item
            self.leave(item)
        self.series = None
        return None

    # Figures

    @property
    def settled(self) -> int:
        """Rows that this session has decided for good."""
        return sum(made.decided.state in DECIDED for made in self.done)

    @property
    def counts(self) -> Mapping[str, int]:
        """Map each verdict to the number of decisions of this session that count."""
        return Counter(made.verdict for made in self.done)

    @property
    def minutes(self) -> float:
        """Minutes since the first item."""
        return (self.moment() - self.started) / 60

    @property
    def an_hour(self) -> int | None:
        """Rows an hour of this session; None in its first minute, which says nothing yet."""
        return round(len(self.done) / self.minutes * 60) if self.done and self.minutes >= 1 else None

    def agreement(self) -> Agreement:
        """Return the agreement of everyone where two people saw the same row."""
        return agreement(self.desk.store)


@dataclass
class ItemView:
    """An item as a person sees it now: masked, or as it is once they asked for that."""

    item: ReviewItem
    session: ReviewSession | None
    unmasked: bool = False
    """True if this item is shown unmasked; the next one is masked again."""
    typed: str = ""
    """The edit that was typed last while the item is on the screen."""

    @property
    def face(self) -> ReviewItem:
        """The item as it is shown."""
        item = self.item  # masks are made once; how far the review is is newer
        return item if self.unmasked else replace(self._veil.item, decided=item.decided, total=item.total)

    @property
    def _veil(self) -> Veil:
        return self.session.veil(self.item) if self.session else veiled(self.item)

    def cover(self, text: str) -> str:
        """Return a text of this item that is stored in no row, as it is shown."""
        return text if self.unmasked else mask(text)

    @property
    def aside(self) -> Aside | None:
        """Return the panel beside the item as shown; None until it is known."""
        known = self.session.asides.get(self.item.id) if self.session else None
        return replace(known, near=known.masked) if known is not None and not self.unmasked else known

    @property
    def found(self) -> Found:
        """Return all masked texts of the item and beside it."""
        if self.session is None:
            return frozenset()
        aside = self.session.asides.get(self.item.id)
        return self._veil.found | (aside.found if aside is not None and not self.item.blind else frozenset())

    @property
    def hidden_note(self) -> str:
        """Return `Hidden: 1 phone. p shows them; this is recorded in the log`; empty if nothing is masked."""
        words = hidden_words(self.found)
        if not words:
            return ""
        return (
            f"Shown: {words}. p hides them"
            if self.unmasked
            else f"Hidden: {words}. p shows them; this is recorded in the log"
        )

    @property
    def masked_in_edit(self) -> bool:
        """True if an edit would show what is masked now."""
        return not self.unmasked and self.session is not None and self._veil.in_edit

    @property
    def repaired(self) -> str | None:
        """Return the answer after the present series' repair; None outside a series or if it does not fit."""
        series = self.session.series if self.session else None
        return series.proposal(edited_text(self.item.row) or "") if series else None

    @property
    def start_text(self) -> str:
        """Return the initial text of an edit: what was typed, an earlier draft, the repaired answer, or the answer."""
        if self.typed:
            return self.typed
        if self.item.draft is not None:
            return edited_text(self.item.draft)
        return self.repaired or edited_text(self.item.row) or ""
