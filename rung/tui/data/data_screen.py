"""Data: what happens to the marked finding? Blocking first, then to look at, then what was handled."""

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input, Static

from curation.checks.base import READING, Checkup, DataFinding
from curation.checks.fixes import CONTRADICTIONS, fixable, in_review
from curation.rows import Columns
from curation.rows.preview import FilePreview, preview
from curation.rows.source import files_of
from curation.split.manifest import newest_dataset
from curation.store import open_store, store_exists
from curation.store.ingest import columns_before
from rung.text.checks_text import counts, sample, verdict
from rung.tui.async_list import RUNNING, LoadedLines, LoadedScreen
from rung.tui.data.import_screen import EXAMPLE, ImportScreen, arguments, completed, file_of, names_like
from rung.tui.data.row_work import BEGAN, DatedCheck, checked
from rung.tui.data.rows_screen import (
    SettleScreen,
    empty_lines,
    evidence_text,
    finding_lines,
    fix_key,
    page_of,
    rows_words,
    to_fix,
)
from rung.tui.job import JobEnded
from rung.tui.screens.page_screen import PageScreen
from rung.tui.widgets.lines import Entry, MarkedLines, shown
from rung.tui.worker_process import Word
from workspace.counted import counted
from workspace.errors import RungError
from workspace.folder import Project

ASKING = {"import": "show it", "filter": "filter", "dismiss": "dismiss"}
"""Action of Enter in the field."""
NO_ROWS = (("Enter", "import"), ("u", "undo"), ("[ ]", "stage"))
"""The keys where there is nothing to fix."""
POOL = "pool"
"""Default use of rows."""
LINES = 12
"""Ended checks that have room on a small screen."""


class DataScreen(LoadedScreen):
    """The findings of every check, with the evidence of the marked one."""

    stage = "Data"
    awaits = "Checking every row"
    keys = (
        ("Enter", "rows"),
        ("f", "fix"),
        ("u", "undo"),
        ("x", "not a finding"),
        ("i", "import"),
    )
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "rows", "the rows of the finding, side by side"),
        Binding("f", "fix", "apply the fix"),
        Binding("u", "undo", "undo the last fix, dismissal or import"),
        Binding("x", "no_finding", "dismiss as a false alarm, with a reason"),
        Binding("i", "import", "import a file: its first rows are shown before"),
        Binding("tab", "complete", "in the field: go on with the file name", show=False, priority=True),
        Binding("slash", "filter", "filter the findings", key_display="/"),
        Binding("r", "again", "check again"),
    ]

    words = ""
    asks = ""
    line = ""
    """The import that was asked for last and did not go well: `i` offers it again."""
    heard: tuple[str, ...] = ()
    """Titles of the checks that began, in order; the last one runs."""
    far = ""
    """Number of rows that the running check has read, in words."""
    began = 0.0
    pending = ""
    """The finding whose fix was asked for while the list was checked again."""
    forced = False
    """True to check everything again although nothing has changed."""

    class Heard(Message):
        """Progress of the checks: one begins, or the number of rows done."""

        def __init__(self, word: Word) -> None:
            super().__init__()
            self.word = word

    def keys_now(self) -> Sequence[tuple[str, str]]:
        """Return the keys: before the first result there is nothing to fix or show; in the field letters are text."""
        if isinstance(self.focused, Input):
            tab = [("Tab", "complete")] if self.asks == "import" else []
            return (("Enter", ASKING[self.asks]), *tab, ("Esc", "cancel"))
        if self.data is None:
            return RUNNING if self.started else NO_ROWS
        return self.keys

    def compose_stage(self) -> Iterator[Widget]:
        """Yield the list, the evidence, and a field that is only there when something is asked."""
        yield MarkedLines(id="lines")
        yield Static(id="evidence")
        yield Input(id="field", compact=True, select_on_focus=False)

    def on_mount(self) -> None:
        """Hide the field until it is needed."""
        self.query_one("#field").display = False
        self.command = "rung data check"

    def load(self, project: Project) -> LoadedLines:
        """Run every check on the project's rows; where nothing has changed, what the last ones found."""
        settings = self.source.settings
        if not store_exists(project, settings):
            return LoadedLines(list(empty_lines()), "rung data import FILE")
        with open_store(project, settings) as store:
            if not store.counts():
                return LoadedLines(list(empty_lines()), "rung data import FILE")
            frozen = newest_dataset(project)
            now = (store.revision(), self.source.settings_read, frozen.name if frozen else "")
        done: DatedCheck | None = self.app.checked  # type: ignore[attr-defined]
        if done is None or done.project != now or self.forced:
            checkup = self.beside(checked, project, settings, heard=lambda word: self.post_message(self.Heard(word)))
            done = DatedCheck(now, self.source.clock(), checkup)
            self.app.checked = done  # type: ignore[attr-defined]
        seconds = f"checked {done.clock}, {done.checkup.seconds:.0f} s"
        goes_on = not to_fix(done.checkup)
        return LoadedLines(list(self._entries(done.checkup)), "rung data check", seconds, done.checkup, goes_on=goes_on)

    def next_words(self) -> str:
        """Return the next stage if nothing is left to fix; here Enter shows rows."""
        return super().next_words().removesuffix("   Enter")

    def reload(self) -> None:
        """Check again from the first one, where anything has changed since the last."""
        self.heard, self.far = (), ""
        super().reload()

    @on(Heard)
    def _hear(self, message: Heard) -> None:
        said, *what = message.word
        if said == BEGAN:
            self.heard, self.far, self.began = (*self.heard, *what), "", self.source.moment()
        else:
            done, of = what
            self.far = rows_words(done, of, self.source.moment() - self.began)

    def say_awaited(self, words: str) -> None:
        """Show a line per finished check, then the running one."""
        if self.data is not None:
            self.tell(f"{words}   x stops" + (f"   then: fix {self.pending}" if self.pending else ""))
            return
        *ended, runs = self.heard or (READING,)
        lines = [Entry(f"✓ {title}", style="dim") for title in ended[-LINES:]]
        self.lines.show([Entry(), Entry(words, "", "bold"), Entry(), *lines, Entry(f"… {runs}{self.far}")])
        self.next = "Next: wait, or x stops; nothing is lost."

    def show_loaded(self, message: LoadedScreen.Done) -> None:
        """Show the loaded lines, with the evidence of the first finding."""
        self.forced = False
        super().show_loaded(message)
        blocking = to_fix(self.data) if self.data is not None else None
        if blocking is not None and self.finding is not None:
            self.lines.marked = blocking.name  # the Next line speaks of it
        self._show_evidence()
        self._fix_pending()

    def _entries(self, checkup: Checkup) -> Iterator[Entry]:
        yield Entry()
        yield Entry(verdict(checkup), "", "bold")
        yield Entry(counts(checkup))
        if told := sample(checkup):
            yield Entry(told, style="dim")
        yield Entry()
        found = [finding for finding in checkup.findings if self.words.lower() in finding.title.lower()]
        yield from finding_lines(found) if checkup.findings else (Entry("Nothing found."),)
        if blocking := to_fix(checkup):
            does = "Enter settles them one by one" if blocking.name == CONTRADICTIONS else "look at the rows that block"
            yield Entry(f"Next: {' or '.join(filter(None, (fix_key(blocking), does)))}.", "", "bold")

    @property
    def finding(self) -> DataFinding | None:
        """The marked finding."""
        checkup: Checkup | None = self.data
        return next((f for f in checkup.findings if f.name == self.marked), None) if checkup else None

    def cursor_moved(self) -> None:
        """Show the evidence of the finding under the cursor."""
        self._show_evidence()

    def _show_evidence(self) -> None:
        finding = self.finding
        text = Text()
        if finding is not None:
            self.command = (
                f"rung data fix {finding.name}" if finding.action else f"rung data check --show {finding.name}"
            )
            text = evidence_text(finding)
        self.query_one("#evidence", Static).update(text)

    def why_ref(self, key: str) -> str:
        """Leaks and the review have a gate; other findings say why themselves."""
        return {"leaks": "leakage"}.get(key, "")

    def action_why(self) -> None:
        """Show how it was measured."""
        if self.finding is not None:
            self.app.push_screen(PageScreen(self.finding.title, self.finding.reason))

    def action_rows(self) -> None:
        """Show all the evidence that was kept."""
        if self.data is not None and self.finding is not None:
            if self.finding.name == CONTRADICTIONS and self.finding.pairs and not in_review(self.finding):
                if self.job is not None:  # what was settled last is being done: this list is from before
                    self.tell(f"rung {' '.join(self.job.arguments[:2])} is running …")
                    return
                self.app.push_screen(SettleScreen(self.finding), self._settle)
            else:
                self.app.push_screen(page_of(self.data, self.finding))
        elif self.data is None and not self.started:
            self.action_import()
        elif self.data is None:
            self.tell("the checks are running; x stops them")

    def _settle(self, keep: tuple[str, ...] | None) -> None:
        if keep:
            self.start_job("data", "fix", CONTRADICTIONS, *(word for row in keep for word in ("--keep", row)))

    def action_fix(self) -> None:
        """Apply the fix of the marked finding; `u` takes it back."""
        finding = self.finding
        if finding is None:
            return
        if not finding.action or finding.severity == "handled":
            self.tell(f"{finding.title}: no automatic fix, look at the rows")
        elif self.started or self.job is not None:
            self.pending = finding.name
            self.tell(f"{finding.title}: will be fixed when the check ends")
        else:
            self.start_job("data", "fix", finding.name)

    def _fix_pending(self) -> None:
        """Do what `f` asked for while the list was old, of what the new list holds."""
        name, self.pending = self.pending, ""
        if name and self.data is not None and name in fixable(self.data):
            self.start_job("data", "fix", name)
        elif name:
            self.tell(f"{name}: nothing left to fix")

    def action_undo(self) -> None:
        """Take the last fix, dismissal or import back."""
        self.start_job("data", "undo")

    def action_again(self) -> None:
        """Check again, whether anything has changed or not."""
        self.forced = True
        self.reload()

    def action_no_finding(self) -> None:
        """Ask for the reason; while a command or the checks run, stop them, and what waits for them."""
        self.pending = ""
        if self.job is not None:
            self.job.stop()
            self.tell("stopping …")
        elif self.started:
            self._leave()
        elif self.finding is not None:
            self._ask("dismiss", "why is this a false alarm?")

    def _leave(self) -> None:
        """Stop the checks: what they found before stays, or which of them had ended is said."""
        self.workers.cancel_group(self, "load")
        self.started = 0.0
        if self.data is None:
            ended = sum(title != READING for title in self.heard[:-1])
            done = f"{counted(ended, 'check')} finished; findings need all of them."
            self.show_lines([Entry(), Entry(f"Stopped. {done}"), Entry(), Entry("Next: r checks again.", "", "bold")])
        self.tell(self.stopped)

    def action_import(self) -> None:
        """Ask for the file."""
        self._ask("import", EXAMPLE, self.line)

    def action_complete(self) -> None:
        """Go on with the file name in the field."""
        field = self.query_one("#field", Input)
        if self.asks == "import" and self.source.project is not None:
            names = names_like(field.value, self.source.project.root)
            field.value = completed(field.value, names)
            self.tell("   ".join(map(shown, names)) if len(names) != 1 else "")
            field.cursor_position = len(field.value)

    def action_filter(self) -> None:
        """Ask for a part of the title."""
        if self.data is not None:
            self._ask("filter", "part of a finding")

    def _ask(self, what: str, words: str, value: str = "") -> None:
        self.asks = what
        field = self.query_one("#field", Input)
        field.value, field.placeholder, field.display = value, words, True
        field.focus()
        field.cursor_position = len(value)
        self.call_after_refresh(self.refresh_frame)

    def action_back(self) -> None:
        """Out of the field first."""
        field = self.query_one("#field", Input)
        if field.display:
            self._put_away()
        else:
            super().action_back()

    def _put_away(self) -> None:
        self.query_one("#field").display = False
        self.set_focus(None)
        self.call_after_refresh(self.refresh_frame)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow an action; in the text field, letters are text."""
        typing = isinstance(self.focused, Input)
        if action == "complete":
            return typing and self.asks == "import"
        if typing and action != "back":
            return False
        return super().check_action(action, parameters)

    @on(Input.Submitted, "#field")
    def _asked(self, event: Input.Submitted) -> None:
        self._put_away()
        value = event.value.strip()
        if self.asks == "filter":
            self.words = value
            self.show_lines(list(self._entries(self.data)))
            self._show_evidence()
        elif value and self.asks == "import":
            self.line = value
            self._import(file_of(value))
        elif value and self.finding is not None:
            self.start_job("data", "dismiss", self.finding.name, "--by", self.source.person, "--reason", value)

    def _import(self, file: str) -> None:
        """Show the beginning of a file first. A folder is asked about: everything below it would be taken."""
        place = self.source.project.root / file if self.source.project else Path(file)
        if not place.is_dir():
            self._preview(file, place)
            return
        try:
            files = files_of(place)
        except RungError as error:
            self.tell(error.message)
            return
        words = [*arguments(file, POOL, Columns()), "--recursive"]
        self.ask_once(f"Import {counted(len(files), 'file')} below {file}?", lambda: self.start_job(*words))

    @work(exclusive=True, exit_on_error=False, group="preview")
    async def _preview(self, file: str, place: Path) -> None:
        """Show the beginning of a file, to choose columns and role, and import it.

        The command says what is wrong with a file that cannot be read.
        """

        def chosen(choice: tuple[Columns, str] | None) -> None:
            if choice is not None:
                columns, role = choice
                self.start_job(*arguments(file, role, columns))

        try:
            found = await asyncio.to_thread(preview, place)
            columns = await asyncio.to_thread(self._columns_before, found) or found.guessed()
        except RungError:
            chosen((Columns(), POOL))
        else:
            self.app.push_screen(ImportScreen(found, columns), chosen)

    def _columns_before(self, found: FilePreview) -> Columns | None:
        project, settings = self.source.project, self.source.settings
        if project is None or not store_exists(project, settings):
            return None
        with open_store(project, settings) as store:
            columns = columns_before(store, found.columns)
        return columns if columns.named else None

    def job_ended(self, ended: JobEnded) -> None:
        """Check again after every change; an import that did not go well is offered again."""
        if ended.arguments[:2] == ("data", "import") and not ended.trouble:
            self.line = ""
        self.reload()
