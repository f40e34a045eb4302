"""One sitting of a reviewer: the item on the screen, the next one fetched ahead, what was done. No widgets.

Every method but the constructor talks to the store and runs in a thread.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from curation.agreement import Agreement
from curation.review import Decided, Item, Ruling, decide, known_reviewer, next_item, open_desk, undo
from curation.review.leases import give_up, keep_draft, renew
from curation.review.masked import Found, Veil, log_unmasked, veiled, veiled_near
from curation.review.nearest import DECIDED, Nearest, NearRow
from curation.review.repair import edited_text
from curation.review.standing import Standing, contest, decided_by_another
from curation.review.team import Share, team
from curation.store.ids import number_of
from rung.tui.series import Series
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings

KEPT = 2
"""Masked items that are kept besides a new one."""


@dataclass(frozen=True, slots=True)
class Aside:
    """What stands beside an item: the nearest decided rows, and what everyone has decided."""

    near: tuple[NearRow, ...] = ()
    team: tuple[Share, ...] = ()
    masked: tuple[NearRow, ...] = ()
    """`near` with masks."""
    found: Found = frozenset()
    """What they hide."""


@dataclass(frozen=True, slots=True)
class Made:
    """One decision of this sitting."""

    decided: Decided
    verdict: str


@dataclass
class Sitting:
    """A desk, a person, and the rows of this sitting. `moment` counts seconds; the day began at `today`."""

    project: Project
    settings: Settings
    person: str
    moment: Callable[[], float]
    today: datetime
    done: list[Made] = field(default_factory=list)
    waiting: int = 0
    series: Series | None = None
    """The same repair on similar rows, while it lasts."""

    def __post_init__(self) -> None:
        self.desk = open_desk(self.project, self.settings)
        self.nearest = Nearest(self.desk)
        self.started = self.moment()
        self.shown_at = self.started
        self.ahead: Item | None = None
        self.was = 0
        """How many rows were settled when the one ahead was fetched."""
        self.asides: dict[str, Aside] = {}
        self.veils: dict[str, Veil] = {}
        self.given: Item | None = None
        """The row that was handed out last."""
        self.closed = False
        self.lock = threading.RLock()

    # Rows

    def take(self, current: Item | None = None) -> Item | None:
        """The next item: the one fetched ahead, else a fresh lease; None where nothing is left for this person."""
        with self.lock:
            item = self._similar() if self.series else None
            if item is None and self.ahead is not None:
                item, self.ahead = replace(self.ahead, decided=self.ahead.decided + self.settled - self.was), None
            if item is None:
                turn = next_item(self.desk, self.person, holding=[current.id] if current else [])
                item, self.waiting = turn.item, turn.waiting
            return self._give(item)

    def _give(self, item: Item | None) -> Item | None:
        """Remember what is handed out; where nobody sits here any more the row goes back at once."""
        if item is not None:
            self.veil(item)
        self.shown_at, self.given = self.moment(), item
        if self.closed:
            self.leave(item)
        return item

    def veil(self, item: Item) -> Veil:
        """The item with masks: made once, in the thread that fetched it. Those of the last few items are kept."""
        known = self.veils.get(item.id)
        if known is None or known.of.row is not item.row or known.of.draft is not item.draft:
            known = veiled(item)
            self.veils = {**dict(list(self.veils.items())[-KEPT:]), item.id: known}
        return known

    def unmask(self, item: Item, found: Found) -> None:
        """Write to the log that this person sees the item as it is."""
        log_unmasked(self.desk, self.person, item, found)

    def fetch_ahead(self, current: Item) -> None:
        """Lease the item after this one, and read what stands beside it, while this one is read."""
        with self.lock:
            if self.ahead is None and self.series is None and not self.closed:
                found = next_item(self.desk, self.person, holding=[current.id]).item
                self.ahead = found if found and found.id != current.id else None
                self.was = self.settled
            ahead = self.ahead
        if ahead is not None:
            self.veil(ahead)
            self.asides = {name: aside for name, aside in self.asides.items() if name == current.id}
            self.aside(ahead)

    def aside(self, item: Item) -> bool:
        """Read what stands beside an item now; whether it is other than what was known."""
        before = self.asides.get(item.id)
        near = self.nearest.near(item)
        self.asides[item.id] = Aside(near, tuple(team(self.desk, self.today)), *veiled_near(near))
        return self.asides[item.id] != before

    def again(self, row: str) -> Item | None:
        """Lease a certain row again, after an undo or a lease that ended."""
        with self.lock:
            return self._give(next_item(self.desk, self.person, want=row).item)

    def keep(self, item: Item) -> None:
        """Lengthen the leases of the row that somebody is reading and of the next one."""
        person = known_reviewer(self.desk.store, self.person)
        for each in (item, self.ahead):
            if each is not None:
                renew(self.desk, person, number_of(each.id), each.token)

    def leave(self, *items: Item | None) -> None:
        """Give rows back, so that others may have them at once."""
        with self.lock:
            person = known_reviewer(self.desk.store, self.person)
            for item in (*items, self.ahead):
                if item is not None:
                    give_up(self.desk, person, number_of(item.id))
            self.ahead = None

    def close(self) -> None:
        """Nobody sits here any more: all rows go back."""
        self.closed = True
        with contextlib.suppress(RungError), self.lock:  # a lease that cannot be ended now ends by itself
            self.leave(self.given)

    # Decisions

    def decide(
        self, item: Item, verdict: str, *, text: str | None = None, reason: str = "", remark: str = ""
    ) -> Decided:
        """Write one decision. Raises Refusal where the lease is over; an edit is kept as a draft then."""
        seconds = round(self.moment() - self.shown_at, 1)
        ruling = Ruling(verdict, text=text, reason=reason, remark=remark, seconds=seconds)
        made = decide(self.desk, item.id, item.token, self.person, ruling)
        self.done.append(Made(made, verdict))
        return made

    def undo(self) -> Decided | None:
        """Take back the newest decision of this sitting that stands; None where there is none."""
        while self.done:
            last = self.done.pop().decided
            try:
                return undo(self.desk, last.id, self.person)
            except RungError:
                continue  # it does not stand any more: somebody sent the row back
        return None

    def keep_draft(self, item: Item, payload: str) -> None:
        """Keep half an edit, so that a kill at any moment loses nothing, and the row with it."""
        person = known_reviewer(self.desk.store, self.person)
        with self.desk.store.write() as connection:
            keep_draft(connection, number_of(item.id), person.id, payload)
        self.keep(item)

    def decided_by(self, item: Item) -> Standing | None:
        """Who decided a row while it was open here; None where nobody did."""
        return decided_by_another(self.desk, known_reviewer(self.desk.store, self.person), item.id)

    def contest(self, item: Item, verdict: str, text: str | None, reason: str) -> None:
        """Send this decision and the one that came before it to a third person."""
        person = known_reviewer(self.desk.store, self.person)
        contest(self.desk, person, item.id, Ruling(verdict, text=text, reason=reason))

    # The same repair

    def begin_series(self, current: Item | None) -> Series | None:
        """Look for rows with the fault of the last edit; None where there is no edit. Nothing changes by it."""
        series = Series.after_last_edit(self.desk, self.person)
        if series is not None and series.left:
            with self.lock:
                self.leave(current)
                self.series = series
        return series

    def end_series(self, current: Item | None) -> None:
        """Back to the queue."""
        self.leave(current)
        self.series = None

    def _similar(self) -> Item | None:
        """The next row of the series that this person can have and that the repair still fits."""
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
        """Rows that this sitting has decided for good."""
        return sum(made.decided.state in DECIDED for made in self.done)

    @property
    def counts(self) -> Mapping[str, int]:
        """Verdict -> how many of this sitting stand."""
        return Counter(made.verdict for made in self.done)

    @property
    def minutes(self) -> float:
        """Minutes since the first item."""
        return (self.moment() - self.started) / 60

    @property
    def an_hour(self) -> int | None:
        """Rows an hour of this sitting; None in its first minute, which says nothing yet."""
        return round(len(self.done) / self.minutes * 60) if self.done and self.minutes >= 1 else None

    def agreement(self) -> Agreement:
        """How far everyone agrees where two people saw the same row."""
        from curation.review.progress import agreement

        return agreement(self.desk.store)
