"""The review queue behind the screen: takes rows, writes decisions, returns rows. Everything here runs in threads.

A database that another program holds is asked again until it answers; a decision is never dropped.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

from curation.generate.reply_log import find_gaps
from curation.review import Decided, ReviewItem
from curation.review.decisions import DecisionInForce
from curation.review.people import team
from curation.store import store_exists
from rung.text.drafts_text import gap_lines
from rung.text.message_text import VERBS
from rung.text.review_text import failed_text
from rung.tui.review.item_text import agreed, summary, team_words
from rung.tui.review.review_session import ReviewSession
from rung.tui.source import ScreenSource
from workspace.counted import counted
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import Settings

NO_ROWS = "No rows yet. Import a file: rung data import claims.jsonl"
EMPTY = "Nothing to review."
NO_REPAIR = "edit a row first (e); b then finds rows with the same error"
BUSY = "locked"
"""Message of a database that another program's change locks."""


@dataclass(frozen=True, slots=True)
class Taken:
    """An item that was leased, or why there is none: `words`. `note` is the message of row 23."""

    item: ReviewItem | None
    words: str = ""
    note: str = ""
    state: str = "empty"
    """State without an item: no_rows, empty (nothing is left), over (the end of a session) or failed."""


@dataclass(frozen=True, slots=True)
class Try:
    """A decision on its way."""

    item: ReviewItem
    verdict: str
    text: str | None = None
    reason: str = ""
    remark: str = ""


@dataclass(frozen=True, slots=True)
class TriedDecision:
    """A decision that was written (`made`), or refused; `other` is who decided the row meanwhile."""

    made: Decided | None = None
    error: RungError | None = None
    other: DecisionInForce | None = None


class ReviewQueue:
    """Work on the queue for one screen. What takes an item returns None if the program ends meanwhile."""

    def __init__(self, source: ScreenSource, is_running: Callable[[], bool]) -> None:
        self.source, self.is_running = source, is_running
        self.session: ReviewSession | None = None

    # Rows

    def fetch(self, item: ReviewItem | None = None, note: str = "") -> Taken | None:
        """Take the next item after this one; the first time open the session."""
        project, settings = self.source.project, self.source.settings
        if project is None or not store_exists(project, settings):
            return Taken(None, NO_ROWS, state="no_rows")
        return self.take(lambda: self._opened(project, settings).take(item), note)

    def _opened(self, project: Project, settings: Settings) -> ReviewSession:
        if self.session is None:
            today = self.source.now().replace(hour=0, minute=0, second=0, microsecond=0)
            self.session = ReviewSession(project, settings, self.source.person, self.source.moment, today)
        return self.session

    def close(self) -> None:
        """Give the rows back, in a thread of its own, even if the program ends now."""
        if self.session is not None:
            threading.Thread(target=self.session.close).start()

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

    def _last_words(self) -> str:
        session = self.session
        assert session is not None
        if session.done:
            return "\n".join([f"That was the last one. {summary(session)}", *_parting(session)])
        waiting = [_waits(session.waiting)] if session.waiting else []
        gaps = find_gaps(session.desk.store, session.project, session.settings)
        return "\n".join([EMPTY, *waiting, "", *gap_lines(gaps, session.settings.model)])

    def leave_as_it_is(self, session: ReviewSession, item: ReviewItem | None) -> Taken | None:
        """Leave the row in the queue and take the next one of the series."""
        session.leave(item)
        return self.take(session.take, "left in the queue")

    # Decisions

    def decide(self, session: ReviewSession, tried: Try) -> TriedDecision | None:
        """Write a decision; while the store is locked it is kept and tried again. None if the program ends."""
        while self.is_running():
            try:
                return TriedDecision(
                    session.decide(tried.item, tried.verdict, text=tried.text, reason=tried.reason, remark=tried.remark)
                )
            except RungError as error:
                if BUSY not in error.found:
                    other = session.decided_by(tried.item) if isinstance(error, Refusal) else None
                    return TriedDecision(error=error, other=other)
        return None

    def after(self, session: ReviewSession, tried: Try, made: Decided) -> Taken | None:
        """Return the next item after a decision, and what became of that."""
        also = "   b same for similar" if tried.verdict == "edit" and session.series is None else ""
        said = f"{VERBS[tried.verdict]} {made.id}   u undo{also}"
        return self.take(lambda: session.take(tried.item), failed_text(made.failed, made.role) or said)

    def take_again(self, session: ReviewSession, item: ReviewItem, problem: str) -> Taken | None:
        """Take the row again after its lease ended, if nobody has it, else the next one."""
        return self.take(lambda: session.again(item.id) or session.take(item), problem)

    def contest(self, session: ReviewSession, tried: Try) -> Taken | None:
        """Send this decision and the one that came before it to a third person."""
        try:
            session.contest(tried.item, tried.verdict, tried.text, tried.reason)
            note = f"{tried.item.id} goes to a third person, with both"
        except RungError as error:
            note = error.message
        return self.take(lambda: session.take(tried.item), note)

    def undo(self, session: ReviewSession, item: ReviewItem | None) -> Taken | None:
        """Take the last decision of this session back and show that row again."""
        taken = session.undo()
        if taken is None:
            return self.take(lambda: session.again(item.id) if item else session.take(), "nothing to undo")
        session.leave(item)
        return self.take(lambda: session.again(taken.id), f"{taken.id} is open again")

    # The same repair, the end

    def find_series(self, session: ReviewSession, item: ReviewItem) -> Taken | None:
        """Return the first open row with the fault of the last edit; where there is none this one, and why."""
        try:
            series = session.begin_series(item)
        except RungError as error:
            return Taken(item, note=error.message)
        if series is None or not series.found:
            return Taken(item, note=NO_REPAIR if series is None else "no open row has the error of your last edit")
        has = "row has" if series.found == 1 else "rows have"
        return self.take(lambda: session.take(item), f"{series.found} {has} the same error: one by one")

    def end_series(self, session: ReviewSession, item: ReviewItem | None) -> Taken | None:
        """Back to the queue."""
        taken = session.series.taken if session.series else 0
        session.end_series(item)
        return self.take(session.take, f"{counted(taken, 'row')} took the same repair; back in the queue")

    def end(self, session: ReviewSession, item: ReviewItem) -> Taken:
        """Return the rows and sum the session up."""
        session.leave(item)
        left = f"{item.total - item.decided:,} of {item.total:,} rows are left."
        words = "\n".join([summary(session), *_parting(session), left])
        return Taken(None, words, "your rows are back in the queue", "over")


def _parting(session: ReviewSession) -> list[str]:
    """Return the team's part of the session summary: agreement and progress."""
    people = [share for share in team(session.desk, session.today) if share.kind == "person"]
    lines = [agreed(session), f"Team: {team_words(people)}." if len(people) > 1 else ""]
    if session.waiting:
        lines.append(_waits(session.waiting))
    return [line for line in lines if line]


def _waits(count: int) -> str:
    return f"{counted(count, 'row')} {'waits' if count == 1 else 'wait'} for someone else."
