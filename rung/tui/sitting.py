"""One sitting of a reviewer: the item on the screen, the next one fetched ahead, what was done. No widgets.

Every method but the constructor talks to the store and runs in a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from curation.review import Decided, Item, Ruling, decide, known_reviewer, next_item, open_desk, undo
from curation.review.leases import give_up, keep_draft
from curation.store.ids import number_of
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings


@dataclass
class Sitting:
    """A desk, a person, and the rows of this sitting. `moment` counts seconds."""

    project: Project
    settings: Settings
    person: str
    moment: Callable[[], float]
    done: list[Decided] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    waiting: int = 0

    def __post_init__(self) -> None:
        self.desk = open_desk(self.project, self.settings)
        self.started = self.moment()
        self.shown_at = self.started
        self.ahead: Item | None = None
        self.lock = threading.Lock()

    def take(self, current: Item | None = None) -> Item | None:
        """The next item: the one fetched ahead, else a fresh lease; None where nothing is left for this person."""
        with self.lock:
            item, self.ahead = self.ahead, None
            if item is None:
                turn = next_item(self.desk, self.person, holding=[current.id] if current else [])
                item, self.waiting = turn.item, turn.waiting
            self.shown_at = self.moment()
            return item

    def fetch_ahead(self, current: Item) -> None:
        """Lease the item after this one, while this one is read."""
        with self.lock:
            if self.ahead is None:
                found = next_item(self.desk, self.person, holding=[current.id]).item
                self.ahead = found if found and found.id != current.id else None

    def decide(
        self, item: Item, verdict: str, *, text: str | None = None, reason: str = "", remark: str = ""
    ) -> Decided:
        """Write one decision. Raises Refusal where the lease is over; an edit is kept as a draft then."""
        seconds = round(self.moment() - self.shown_at, 1)
        ruling = Ruling(verdict, text=text, reason=reason, remark=remark, seconds=seconds)
        made = decide(self.desk, item.id, item.token, self.person, ruling)
        self.done.append(made)
        self.counts[verdict] = self.counts.get(verdict, 0) + 1
        return made

    def undo(self) -> Decided | None:
        """Take back the newest decision of this sitting that stands; None where there is none."""
        while self.done:
            last = self.done.pop()
            try:
                return undo(self.desk, last.id, self.person)
            except RungError:
                continue
        return None

    def again(self, row: str) -> Item | None:
        """Lease a certain row again, after an undo."""
        return next_item(self.desk, self.person, want=row).item

    def keep_draft(self, item: Item, payload: str) -> None:
        """Keep half an edit, so that a kill at any moment loses nothing."""
        person = known_reviewer(self.desk.store, self.person)
        with self.desk.store.write() as connection:
            keep_draft(connection, number_of(item.id), person.id, payload)

    def leave(self, *items: Item | None) -> None:
        """Give rows back, so that others may have them at once."""
        person = known_reviewer(self.desk.store, self.person)
        for item in (*items, self.ahead):
            if item is not None:
                give_up(self.desk, person, number_of(item.id))
        self.ahead = None

    @property
    def minutes(self) -> float:
        """Minutes since the first item."""
        return (self.moment() - self.started) / 60

    @property
    def an_hour(self) -> int | None:
        """Rows an hour of this sitting; None in its first minute, which says nothing yet."""
        return round(len(self.done) / self.minutes * 60) if self.done and self.minutes >= 1 else None
