"""The queue behind the Review screen: a row is taken, kept while it is read, and given back; what is late is said."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime

from textual import work
from textual.message import Message

from curation.review import Item
from rung.tui.aside_words import agreed, summary, team_words
from rung.tui.frame import StageScreen
from rung.tui.gap_words import gap_words
from rung.tui.loaded import LONG, SLOW
from rung.tui.sitting import Sitting
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import Settings
from workspace.words import counted

NO_ROWS = "No rows yet. Import a file: rung data import claims.jsonl"
EMPTY = "Nothing to review."
BUSY = "locked"
"""What a database says that another program's change holds up."""
LEASES = 4
"""A row on the screen is kept for as many leases."""


class FetchScreen(StageScreen):
    """Takes rows in workers; how a row is shown is added above this."""

    stage = "Review"
    hides_side = True

    class Shown(Message):
        """An item was leased, or none is left; `words` then say why. `note` is the message of row 23."""

        def __init__(self, item: Item | None, words: str = "", note: str = "", state: str = "empty") -> None:
            super().__init__()
            self.item, self.words, self.note, self.state = item, words, note, state

    class AsideRead(Message):
        """What stands beside an item is known now."""

        def __init__(self, row: str) -> None:
            super().__init__()
            self.row = row

    def __init__(self) -> None:
        super().__init__()
        self.item: Item | None = None
        self.sitting: Sitting | None = None
        self.busy = True
        """Whether a row is being fetched or a decision written."""
        self.awaits = "Fetching the next row …"
        self.since: float | None = None
        """When what is awaited began."""
        self.kept: Callable[[], None] | None = None
        """The key that was pressed before the next row was there."""
        self.state = "item"
        """item, no_rows, empty (nothing left), over (the end of a sitting), failed, conflict."""
        self.said = False
        """Whether the message speaks of the last decision: it stays while the next item comes."""

    def begin(self) -> None:
        """Sit down and take the first row; look at the clock and keep the lease from then on."""
        self.set_interval(self.source.tick, self._say_what_is_awaited)
        self.set_interval(self.source.settings.review.lease_seconds / 3, self._keep_lease)
        self.wait_for("Fetching the next row …")
        self._sit_down()

    def on_unmount(self) -> None:
        """Give the rows back when the screen goes. In a thread of its own: also where the program ends now."""
        if self.sitting is not None:
            threading.Thread(target=self.sitting.close).start()

    # Waiting

    def wait_for(self, words: str) -> None:
        """Keys wait from now on; what is awaited is said after a second."""
        self.busy, self.awaits, self.since = True, words, self.source.moment()

    def _say_what_is_awaited(self) -> None:
        if self.since is not None and self.is_mounted:
            seconds = self.source.moment() - self.since
            if seconds >= SLOW:
                self.tell(self.awaits.replace("…", f"… {seconds:.0f} s") if seconds >= LONG else self.awaits)

    def can(self, action: Callable[[], None]) -> bool:
        """Whether a key acts on the item now. Where the next row is not there yet one key is kept for it, no more:
        nobody decides a second row that they have not seen.
        """
        if self.busy and self.sitting is not None and self.kept is None:
            self.kept = action
            self.tell("kept for the next row")
        return not self.busy and self.item is not None and self.state == "item"

    def _keep_lease(self) -> None:
        sitting, item = self.sitting, self.item
        if sitting is None or item is None or self.state != "item":
            return
        if self.source.moment() - sitting.shown_at < LEASES * sitting.settings.review.lease_seconds:
            self._keep(sitting, item)

    @work(thread=True, exclusive=True, exit_on_error=False, group="keep")
    def _keep(self, sitting: Sitting, item: Item) -> None:
        sitting.keep(item)

    # Fetching

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _sit_down(self) -> None:
        from curation.store import store_exists

        project, settings = self.source.project, self.source.settings
        if project is None or not store_exists(project, settings):
            self.post_message(self.Shown(None, NO_ROWS, state="no_rows"))
            return
        today = self.source.now().replace(hour=0, minute=0, second=0, microsecond=0)
        self.take(lambda: self._seated(project, settings, today).take())

    def _seated(self, project: Project, settings: Settings, today: datetime) -> Sitting:
        if self.sitting is None:
            self.sitting = Sitting(project, settings, self.source.person, self.source.moment, today)
        return self.sitting

    def fetch(self, note: str = "") -> None:
        """Take the next item; the screen stays as it is until it comes."""
        self.wait_for("Fetching the next row …")
        self._fetch(note)

    @work(thread=True, exclusive=True, exit_on_error=False, group="fetch")
    def _fetch(self, note: str) -> None:
        sitting, item = self.sitting, self.item
        if sitting is None:
            self._sit_down()
        else:
            self.take(lambda: sitting.take(item), note)

    def take(self, take: Callable[[], Item | None], note: str = "") -> None:
        """Runs in a thread: the next item, however long another program holds the store."""
        while self.app.is_running:
            try:
                item = take()
                words = "" if item is not None else self._last_words()
                self.post_message(self.Shown(item, words, note))
                return
            except RungError as error:
                if BUSY not in error.found:
                    words = f"{error.message}\n-> {error.hint}" if error.hint else error.message
                    self.post_message(self.Shown(None, words, state="failed"))
                    return

    def _last_words(self) -> str:
        sitting = self.sitting
        assert sitting is not None
        waiting = waits(sitting.waiting)
        if sitting.done:
            return "\n".join([f"That was the last one. {summary(sitting)}", *self.parting(sitting)])
        return "\n".join([EMPTY, *([waiting] if sitting.waiting else []), "", *gap_words(sitting)])

    def parting(self, sitting: Sitting) -> list[str]:
        """What the end of a sitting tells besides one's own rows: agreement, and the team. Runs in a thread."""
        from curation.review.team import team

        people = [share for share in team(sitting.desk, sitting.today) if share.kind == "person"]
        lines = [agreed(sitting), f"Team: {team_words(people)}." if len(people) > 1 else ""]
        if sitting.waiting:
            lines.append(waits(sitting.waiting))
        return [line for line in lines if line]

    @work(thread=True, exit_on_error=False, group="ahead")
    def _fetch_ahead(self, sitting: Sitting, item: Item) -> None:
        if sitting.aside(item):
            self.post_message(self.AsideRead(item.id))
        sitting.fetch_ahead(item)


def waits(count: int) -> str:
    """`1 row waits for someone else.`"""
    return f"{counted(count, 'row')} {'waits' if count == 1 else 'wait'} for someone else."
