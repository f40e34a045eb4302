"""`v`: items one by one, with the output, the expected answer and the score; losses first."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from evaluation.measurement_report import ItemOutcome
from rung.text.figures import arm_name
from rung.tui.safe_screen import LeavingModal
from rung.tui.screens.page_screen import Paper
from rung.tui.widgets.lines import Entry, MarkedLines, TextPart, TextPassage, shown


class ItemsScreen(LeavingModal[None]):
    """Outcomes of one arm of one report."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,q", "dismiss", "close"),
        Binding("j,down", "move(1)", "move down"),
        Binding("k,up", "move(-1)", "move up"),
    ]

    class Read(Message):
        """The outcomes were read."""

        def __init__(self, outcomes: list[ItemOutcome]) -> None:
            super().__init__()
            self.outcomes = outcomes

    def __init__(self, folder: Path, arm: str | None) -> None:
        super().__init__()
        self.folder, self.arm = folder, arm
        self.outcomes: dict[str, ItemOutcome] = {}

    def compose(self) -> ComposeResult:
        """A list, and the marked item in full."""
        with Paper():
            yield MarkedLines(id="items")
            yield TextPassage(id="item")

    def on_mount(self) -> None:
        """Read the outputs in a thread."""
        self._read()

    @work(thread=True, exclusive=True, exit_on_error=False)
    def _read(self) -> None:
        from evaluation.measurement_report import read_outcomes, read_report
        from evaluation.testset.looks import split_to_show
        from workspace.folder import Project
        from workspace.settings import load_settings

        project = Project(self.folder.parent.parent)
        report = read_report(project, self.folder.name)[1]
        split = split_to_show(project, load_settings(project.settings_file), report.test_sha256)
        found = [o for o in read_outcomes(self.folder / "outputs.jsonl") if o.split == split]
        arm = self.arm or (found[0].arm if found else "")
        self.post_message(self.Read(sorted((o for o in found if o.arm == arm), key=lambda o: (o.score, o.item))))

    @on(Read)
    def _show(self, message: Read) -> None:
        self.outcomes = {str(o.item): o for o in message.outcomes}
        wrong = sum(o.score < 1 for o in message.outcomes)
        name = arm_name(message.outcomes[0].arm) if message.outcomes else "No validation items"
        kind = "validation " if message.outcomes and message.outcomes[0].split == "validation" else ""
        head = Entry(f"{name}: {len(message.outcomes):,} {kind}items, {wrong:,} not right; those first", "", "bold")
        lines = [Entry(_line(outcome), str(outcome.item)) for outcome in message.outcomes]
        self.query_one("#items", MarkedLines).show([head, *lines])
        self._draw()

    def action_move(self, step: int) -> None:
        """Move, and show the item in full."""
        self.query_one("#items", MarkedLines).move(step)
        self._draw()

    def _draw(self) -> None:
        outcome = self.outcomes.get(self.query_one("#items", MarkedLines).marked)
        if outcome is not None:
            text = f"\nitem {outcome.item}\nexpected  {shown(outcome.expected)}\noutput    {shown(outcome.output)}"
            self.query_one("#item", TextPassage).show(TextPart(Text(text)))


def _line(outcome: ItemOutcome) -> str:
    mark = "✓" if outcome.score >= 1 else "✗"
    return f"{mark} {outcome.item:>4}  {_one_line(outcome.expected):<24} {_one_line(outcome.output)}"


def _one_line(text: str) -> str:
    return shown(text.replace("\n", " / "), limit=60)
