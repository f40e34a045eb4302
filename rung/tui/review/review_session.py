"""A reviewer's session without widgets: takes rows, one of them ahead, writes decisions, gives rows back.

Its methods run in threads. A database that another program holds is asked again until it answers; a decision is never
dropped.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from curation.example import edited_text
from curation.generate.reply_log import find_gaps
from curation.mask import mask
from curation.review import Decided, Desk, ReviewItem, Ruling, decide, known_reviewer, next_item, open_desk, undo
from curation.review.item import Found, OtherDecision, Veil, answers_in_use, log_unmasked, veiled, veiled_near
from curation.review.leases import give_up, renew
from curation.review.people import team
from curation.review.progress import agreement
from curation.review.rows import AnswerRepair, NearestDecided, last_repair, repaired, similar_rows
from curation.review.service import DecisionInForce, contest, decided_by_another
from curation.store import store_exists
from curation.store.decision_log import keep_draft
from curation.store.records import DECIDED, Reviewer, Share, number_of
from rung.text.drafts_text import gap_lines
from rung.text.message_text import VERBS
from rung.text.review_text import agreement_words, failed_text
from rung.tui.source import ScreenSource
from rung.tui.widgets.lines import shown
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import Project

KEPT = 2
"""Masked items that are kept besides a new one."""
NO_ROWS = "No rows yet. Import a file: rung data import claims.jsonl"
EMPTY = "Nothing to review."
NO_REPAIR = "edit a row first (e); b then finds rows with the same error"
BUSY = "locked"
"""Message of a database that another program's change locks."""


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
class Taken:
    """An item that was leased, or why there is none: `words`. `note` is the message of row 23."""

    item: ReviewItem | None
    words: str = ""
    note: str = ""
    state: str = "empty"
    """State without an item: no_rows, empty (nothing is left), over (the end of a session) or failed."""


@dataclass(frozen=True, slots=True)
class TriedDecision:
    """A decision that was written (`made`), or refused; `other` is who decided the row meanwhile."""

    made: Decided | None = None
    error: RungError | None = None
    other: DecisionInForce | None = None


@dataclass
class RepairSeries:
    """The same repair on similar rows. `left` shrinks as rows are shown; `taken` counts those that took the repair."""

    repair: AnswerRepair
    left: list[str]
    found: int
    taken: int = 0


class ReviewSession:
    """One person's rows and decisions. What takes an item returns None if the program ends meanwhile."""

    def __init__(self, source: ScreenSource, is_running: Callable[[], bool]) -> None:
        self.source, self.is_running, self.person = source, is_running, source.person
        self.is_open = self.closed = False
        """`is_open` once the store was opened: what reads the desk is called after that."""
        self.done: list[tuple[str, Decided]] = []
        """The decisions of this session, each with its verdict."""
        self.waiting = 0
        self.series: RepairSeries | None = None
        self.ahead: ReviewItem | None = None
        self.was = 0
        """Number of rows that were settled when the next one was fetched."""
        self.asides: dict[str, Aside] = {}
        self.veils: dict[str, Veil] = {}
        self.given: ReviewItem | None = None
        """The row that was handed out last."""
        self.labels: tuple[str, ...] | None = None
        """Answers in use, where they are labels, the most frequent first; None until the first item."""
        self.lock = threading.RLock()

    def _open(self, project: Project) -> None:
        if not self.is_open:
            self.desk: Desk = open_desk(project, self.source.settings)
            self.nearest = NearestDecided(self.desk)
            self.today = self.source.now().replace(hour=0, minute=0, second=0, microsecond=0)
            self.started = self.shown_at = self.source.moment()
            self.is_open = True

    @property
    def reviewer(self) -> Reviewer:
        """The person, as the store knows them now."""
        return known_reviewer(self.desk.store, self.person)

    # Rows

    def fetch(self, item: ReviewItem | None) -> Taken | None:
        """Take the next item after this one; the first time open the store."""
        project = self.source.project
        if project is None or not store_exists(project, self.source.settings):
            return Taken(None, NO_ROWS, state="no_rows")

        def opened() -> ReviewItem | None:
            self._open(project)
            return self.next(item)

        return self.take(opened)

    def take(self, take: Callable[[], ReviewItem | None], note: str = "") -> Taken | None:
        """Take an item, however long another program holds the store."""
        while self.is_running():
            try:
                item = take()
                return Taken(item, "" if item is not None else self._last_words(), note)
            except RungError as error:
                if BUSY not in error.found:
                    words = f"{error.message}\n-> {error.hint}" if error.hint else error.message
                    return Taken(None, words, state="failed")
        return None

    def next(self, current: ReviewItem | None = None) -> ReviewItem | None:
        """Return the next item: the one fetched ahead, else a fresh lease; None if nothing is left for this person."""
        with self.lock:
            item = self._similar()
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
        self.shown_at, self.given = self.source.moment(), item
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
        for each in (item, self.ahead):
            if each is not None:
                renew(self.desk, self.reviewer, number_of(each.id), each.token)

    def leave(self, *items: ReviewItem | None) -> None:
        """Give rows back, so that others may have them at once."""
        with self.lock:
            for item in (*items, self.ahead):
                if item is not None:
                    give_up(self.desk, self.reviewer, number_of(item.id))
            self.ahead = self.given = None

    def close(self) -> None:
        """End the session: all rows are given back, in a thread of its own, even if the program ends now."""
        self.closed = True
        if self.is_open:
            threading.Thread(target=self._give_back).start()

    def _give_back(self) -> None:
        with contextlib.suppress(RungError), self.lock:  # a lease that cannot be ended now ends by itself
            self.leave(self.given)

    # Decisions

    def decide(self, item: ReviewItem, ruling: Ruling) -> TriedDecision | None:
        """Write a decision; while the store is locked it is kept and tried again. None if the program ends.

        Where the lease is over an edit is kept as a draft.
        """
        ruling = replace(ruling, seconds=round(self.source.moment() - self.shown_at, 1))
        while self.is_running():
            try:
                made = decide(self.desk, item.id, item.token, self.person, ruling)
                self.done.append((ruling.verdict, made))
                return TriedDecision(made)
            except RungError as error:
                if BUSY not in error.found:
                    held = self.desk, self.reviewer, item.id, item.token
                    other = decided_by_another(*held) if isinstance(error, Refusal) else None
                    return TriedDecision(error=error, other=other)
        return None

    def after(self, item: ReviewItem, verdict: str, made: Decided) -> Taken | None:
        """Return the next item after a decision, and what became of that."""
        also = "   b same for similar" if verdict == "edit" and self.series is None else ""
        said = f"{VERBS[verdict]} {made.id}   u undo{also}"
        return self.take(lambda: self.next(item), failed_text(made.failed, made.role) or said)

    def take_again(self, item: ReviewItem, problem: str) -> Taken | None:
        """Take the row again after its lease ended, if nobody has it, else the next one."""
        return self.take(lambda: self.again(item.id) or self.next(item), problem)

    def contest(self, item: ReviewItem, ruling: Ruling) -> Taken | None:
        """Send this decision and the one that came before it to a third person."""
        try:
            contest(self.desk, self.reviewer, item.id, item.token, ruling)
            note = f"{item.id} goes to a third person, with both"
        except RungError as error:
            note = error.message
        return self.take(lambda: self.next(item), note)

    def undo(self, item: ReviewItem | None) -> Taken | None:
        """Take the last decision of this session that still counts back and show that row again."""
        while self.done and self.is_running():
            name = self.done[-1][1].id
            try:
                undo(self.desk, name, self.person)
            except RungError as error:
                if BUSY not in error.found:
                    self.done.pop()  # it does not count any more: somebody sent the row back
                continue
            self.done.pop()
            self.leave(item)
            return self.take(partial(self.again, name), f"{name} is open again")
        return self.take(lambda: self.again(item.id) if item else self.next(), "nothing to undo")

    def keep_draft(self, item: ReviewItem, payload: str) -> None:
        """Keep half an edit, so that a kill at any moment loses nothing, and the row with it."""
        with self.desk.store.write() as connection:
            keep_draft(connection, number_of(item.id), self.reviewer.id, payload)
        self.keep(item)

    def is_new(self, text: str) -> bool:
        """True if answers are labels and this one is not in use: a typo, or a class of one row."""
        return bool(self.labels) and text not in (self.labels or ())

    # The same repair

    def begin_series(self, item: ReviewItem) -> Taken | None:
        """Return the first open row with the fault of the last edit; where there is none this one, and why."""
        try:
            repair = last_repair(self.desk, self.reviewer)
            rows = similar_rows(self.desk, self.reviewer, repair) if repair else []
        except RungError as error:
            return Taken(item, note=error.message)
        if repair is None or not rows:
            return Taken(item, note="no open row has the error of your last edit" if repair else NO_REPAIR)
        with self.lock:
            self.leave(item)
            self.series = RepairSeries(repair, rows, len(rows))
        has = "row has" if len(rows) == 1 else "rows have"
        return self.take(lambda: self.next(item), f"{len(rows)} {has} the same error: one by one")

    def leave_as_it_is(self, item: ReviewItem | None) -> Taken | None:
        """Leave the row in the queue and take the next one of the series."""
        self.leave(item)
        return self.take(self.next, "left in the queue")

    def end_series(self, item: ReviewItem | None) -> Taken | None:
        """Back to the queue."""
        taken = self.series.taken if self.series else 0
        self.leave(item)
        self.series = None
        return self.take(self.next, f"{counted(taken, 'row')} took the same repair; back in the queue")

    def proposal(self, item: ReviewItem) -> str | None:
        """Return the answer after the series' repair; None outside a series or if it does not fit."""
        return repaired(self.series.repair, edited_text(item.row)) if self.series else None

    def _similar(self) -> ReviewItem | None:
        """Return the next row of the series that this person can have and that the repair still fits."""
        while self.series and self.series.left:
            item = next_item(self.desk, self.person, want=self.series.left.pop(0)).item
            if item is not None and self.proposal(item) is not None:
                return item
            self.leave(item)
        self.series = None
        return None

    # Figures, the end

    @property
    def settled(self) -> int:
        """Rows that this session has decided for good."""
        return sum(made.state in DECIDED for _, made in self.done)

    @property
    def minutes(self) -> float:
        """Minutes since the first item."""
        return (self.source.moment() - self.started) / 60

    @property
    def an_hour(self) -> int | None:
        """Rows an hour of this session; None in its first minute, which says nothing yet."""
        return round(len(self.done) / self.minutes * 60) if self.done and self.minutes >= 1 else None

    def end(self, item: ReviewItem) -> Taken:
        """Return the rows and sum the session up."""
        self.leave(item)
        left = f"{item.total - item.decided:,} of {item.total:,} rows are left."
        words = "\n".join([self._summary(), *self._parting(), left])
        return Taken(None, words, "your rows are back in the queue", "over")

    def _last_words(self) -> str:
        if self.done:
            return "\n".join([f"That was the last one. {self._summary()}", *self._parting()])
        gaps = find_gaps(self.desk.store, self.desk.project, self.desk.settings)
        return "\n".join([EMPTY, *self._waits(), "", *gap_lines(gaps, self.desk.settings.model)])

    def _summary(self) -> str:
        counts = Counter(verdict for verdict, _ in self.done)
        parts = ", ".join(f"{n} {VERBS.get(verdict, verdict)}" for verdict, n in counts.items())
        pace = f", {self.an_hour} an hour" if self.an_hour else ""
        rows = counted(len({made.id for _, made in self.done}), "row")
        return f"{rows} in {self.minutes:.0f} min{pace}: {parts}."

    def _parting(self) -> list[str]:
        """Return the agreement where two people saw the same rows, everyone's rows, and what waits."""
        found = agreement(self.desk.store)
        names = ", ".join(name for name in found.reviewers if name != self.person)
        agreed = [f"Agreement with {names}: {agreement_words(found)}."] if found.units else []
        people = [share for share in team(self.desk, self.today) if share.kind == "person"]
        rows = (
            f"{shown(each.name)} {each.decided:,}" + (f" ({each.today} today)" if each.today else "") for each in people
        )
        return [*agreed, *([f"Team: {', '.join(rows)}."] if len(people) > 1 else []), *self._waits()]

    def _waits(self) -> list[str]:
        many = f"{counted(self.waiting, 'row')} {'waits' if self.waiting == 1 else 'wait'} for someone else."
        return [many] if self.waiting else []
