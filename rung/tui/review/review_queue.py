"""The review queue behind the screen: threads take rows, keep and return them, write decisions, and post what happened.

A database that another program holds is asked again until it answers; a decision is never dropped.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from textual.message import Message

from curation.review import Decided, ReviewItem
from curation.review.decisions import DecisionInForce
from curation.review.item import Found
from curation.review.people import team
from curation.store import store_exists
from rung.text.message_text import VERBS
from rung.tui.review.item_text import agreed, gap_words, summary, team_words
from rung.tui.review.review_session import RepairSeries, ReviewSession
from rung.tui.source import ScreenSource
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

NO_ROWS = "No rows yet. Import a file: rung data import claims.jsonl"
EMPTY = "Nothing to review."
BUSY = "locked"
"""What a database says that another program's change holds up."""


class RowShown(Message):
    """An item was leased, or none is left; `words` then say why. `note` is the message of row 23."""

    def __init__(self, item: ReviewItem | None, words: str = "", note: str = "", state: str = "empty") -> None:
        super().__init__()
        self.item, self.words, self.note, self.state = item, words, note, state


class AsideRead(Message):
    """What is drawn beside an item is known now."""

    def __init__(self, row: str) -> None:
        super().__init__()
        self.row = row


class RowUnmasked(Message):
    """The log has it, or it could not be written: `problem`. `then`: what asked for the item as it is."""

    def __init__(self, row: str, then: Callable[[], None] | None, problem: str = "") -> None:
        super().__init__()
        self.row, self.then, self.problem = row, then, problem


@dataclass(frozen=True, slots=True)
class Try:
    """A decision on its way."""

    item: ReviewItem
    verdict: str
    text: str | None = None
    reason: str = ""
    remark: str = ""


class RowDecided(Message):
    """A decision was written, or refused; `other` is who decided the row meanwhile."""

    def __init__(
        self, tried: Try, made: Decided | None, error: RungError | None, other: DecisionInForce | None
    ) -> None:
        super().__init__()
        self.tried, self.made, self.error, self.other = tried, made, error, other


class SeriesFound(Message):
    """Rows were looked for that the last repair fits; None where there is no repair."""

    def __init__(self, series: RepairSeries | None) -> None:
        super().__init__()
        self.series = series


class SessionOver(Message):
    """The session is over: its summary."""

    def __init__(self, words: str) -> None:
        super().__init__()
        self.words = words


class ReviewQueue:
    """Work on the queue for one screen. Its methods run in threads; `post` hands the result to the screen."""

    def __init__(self, source: ScreenSource, post: Callable[[Message], object], is_running: Callable[[], bool]) -> None:
        self.source, self.post, self.is_running = source, post, is_running
        self.session: ReviewSession | None = None

    # Rows

    def begin(self) -> None:
        """Open the session and take the first row."""
        project, settings = self.source.project, self.source.settings
        if project is None or not store_exists(project, settings):
            self.post(RowShown(None, NO_ROWS, state="no_rows"))
            return
        today = self.source.now().replace(hour=0, minute=0, second=0, microsecond=0)
        self.take(lambda: self._opened(project, settings, today).take())

    def _opened(self, project: Project, settings: Settings, today: datetime) -> ReviewSession:
        if self.session is None:
            self.session = ReviewSession(project, settings, self.source.person, self.source.moment, today)
        return self.session

    def close(self) -> None:
        """Return the rows. In a thread of its own: also where the program ends now."""
        if self.session is not None:
            threading.Thread(target=self.session.close).start()

    def fetch(self, item: ReviewItem | None, note: str) -> None:
        """Take the next item after this one."""
        session = self.session
        if session is None:
            self.begin()
        else:
            self.take(lambda: session.take(item), note)

    def take(self, take: Callable[[], ReviewItem | None], note: str = "") -> None:
        """Take an item, however long another program holds the store."""
        while self.is_running():
            try:
                item = take()
                words = "" if item is not None else self._last_words()
                self.post(RowShown(item, words, note))
                return
            except RungError as error:
                if BUSY not in error.found:
                    words = f"{error.message}\n-> {error.hint}" if error.hint else error.message
                    self.post(RowShown(None, words, state="failed"))
                    return

    def _last_words(self) -> str:
        session = self.session
        assert session is not None
        if session.done:
            return "\n".join([f"That was the last one. {summary(session)}", *_parting(session)])
        waiting = [_waits(session.waiting)] if session.waiting else []
        return "\n".join([EMPTY, *waiting, "", *gap_words(session)])

    def fetch_ahead(self, session: ReviewSession, item: ReviewItem) -> None:
        """Read what is drawn beside this item, and take the one after it."""
        if session.aside(item):
            self.post(AsideRead(item.id))
        session.fetch_ahead(item)

    def leave_as_it_is(self, session: ReviewSession, item: ReviewItem | None) -> None:
        """In a series: the row stays in the queue, the next one comes."""
        session.leave(item)
        self.take(session.take, "left in the queue")

    def log_unmasked(
        self, session: ReviewSession, item: ReviewItem, found: Found, then: Callable[[], None] | None
    ) -> None:
        """Write to the log who looks, before anything is shown."""
        try:
            session.unmask(item, found)
            self.post(RowUnmasked(item.id, then))
        except RungError as error:
            self.post(RowUnmasked(item.id, then, error.message))

    # Decisions

    def decide(self, session: ReviewSession, tried: Try) -> None:
        """Write a decision and take the next row; while the store is locked the decision is kept and tried again."""
        while self.is_running():
            try:
                made = session.decide(
                    tried.item, tried.verdict, text=tried.text, reason=tried.reason, remark=tried.remark
                )
                self.post(RowDecided(tried, made, None, None))
                also = "   b same for similar" if tried.verdict == "edit" and session.series is None else ""
                said = f"{VERBS[tried.verdict]} {made.id}   u undo{also}"
                self.take(lambda: session.take(tried.item), made.note or said)
                return
            except RungError as error:
                if BUSY in error.found:
                    continue
                other = session.decided_by(tried.item) if isinstance(error, Refusal) else None
                self.post(RowDecided(tried, None, error, other))
                return

    def take_again(self, session: ReviewSession, item: ReviewItem, problem: str) -> None:
        """After a lease that ended: the row again if nobody has it, else the next one."""
        self.take(lambda: session.again(item.id) or session.take(item), problem)

    def contest(self, session: ReviewSession, tried: Try) -> None:
        """Send this decision and the one that came before it to a third person."""
        try:
            session.contest(tried.item, tried.verdict, tried.text, tried.reason)
            note = f"{tried.item.id} goes to a third person, with both"
        except RungError as error:
            note = error.message
        self.take(lambda: session.take(tried.item), note)

    def undo(self, session: ReviewSession, item: ReviewItem | None) -> None:
        """Take the last decision of this session back and show that row again."""
        taken = session.undo()
        if taken is None:
            self.take(lambda: session.again(item.id) if item else session.take(), "nothing to undo")
            return
        session.leave(item)
        self.take(lambda: session.again(taken.id), f"{taken.id} is open again")

    # The same repair, the end

    def find_series(self, session: ReviewSession, item: ReviewItem | None) -> None:
        """Look for open rows with the fault of the last edit; nothing changes by it."""
        try:
            self.post(SeriesFound(session.begin_series(item)))
        except RungError as error:
            self.take(lambda: item, error.message)

    def end_series(self, session: ReviewSession, item: ReviewItem | None) -> None:
        """Back to the queue."""
        taken = session.series.taken if session.series else 0
        session.end_series(item)
        self.take(session.take, f"{counted(taken, 'row')} took the same repair; back in the queue")

    def end(self, session: ReviewSession, item: ReviewItem) -> None:
        """Return the rows and sum the session up."""
        session.leave(item)
        left = f"{item.total - item.decided:,} of {item.total:,} rows are left."
        self.post(SessionOver("\n".join([summary(session), *_parting(session), left])))


def _parting(session: ReviewSession) -> list[str]:
    """What the end of a session tells besides one's own rows: agreement, and the team."""
    people = [share for share in team(session.desk, session.today) if share.kind == "person"]
    lines = [agreed(session), f"Team: {team_words(people)}." if len(people) > 1 else ""]
    if session.waiting:
        lines.append(_waits(session.waiting))
    return [line for line in lines if line]


def _waits(count: int) -> str:
    return f"{counted(count, 'row')} {'waits' if count == 1 else 'wait'} for someone else."
