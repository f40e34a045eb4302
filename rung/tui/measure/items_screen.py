"""`v`: items one by one, with the output, the expected answer and the score; losses first."""

import asyncio
from pathlib import Path
from typing import ClassVar

from rich.text import Text
from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll

from curation.mask import mask
from curation.split.manifest import load_split
from evaluation.arms.registry import arm_name
from evaluation.looks import split_to_show
from evaluation.measurement_report import ItemOutcome, read_outcomes, read_report
from rung.tui.safe_screen import LeavingModal
from rung.tui.screens.page_screen import Paper
from rung.tui.widgets.lines import PAGES, Entry, MarkedLines, TextPart, TextPassage, shown
from workspace.errors import RungError
from workspace.folder import Project
from workspace.settings import load_settings


class ItemsScreen(LeavingModal[None]):
    """Outcomes of one arm of one report."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,v,q", "dismiss", "close"),
        *PAGES,
    ]

    def __init__(self, folder: Path, arm: str | None) -> None:
        super().__init__()
        self.folder, self.arm = folder, arm
        self.outcomes: dict[str, ItemOutcome] = {}
        self.questions: dict[int, str] = {}

    def compose(self) -> ComposeResult:
        """Compose a list, and below it the marked item in full."""
        with Paper(can_focus=False):
            with VerticalScroll(can_focus=False):
                yield MarkedLines(id="items")
            with VerticalScroll(can_focus=False):
                yield TextPassage(id="item")

    def on_mount(self) -> None:
        """Read the outputs in a thread."""
        self._show()

    def _read(self) -> tuple[list[ItemOutcome], dict[int, str]]:
        """Return the outcomes, and the questions of the split by item."""
        project = Project(self.folder.parent.parent)
        report = read_report(project, self.folder.name)[1]
        split = split_to_show(project, load_settings(project.settings_file), report.test_sha256)
        found = [o for o in read_outcomes(self.folder / "outputs.jsonl") if o.split == split]
        arm = self.arm or (found[0].arm if found else "")
        try:
            rows = load_split(project.datasets / report.dataset, split)
        except RungError:
            rows = []  # the version is gone or changed: the outcomes are still what was measured
        mine = sorted((o for o in found if o.arm == arm), key=lambda o: (o.score, o.item, o.form))
        return mine, {o.item: o.asked(rows) for o in mine if o.row <= len(rows)}

    @work(exclusive=True, exit_on_error=False)
    async def _show(self) -> None:
        found, self.questions = await asyncio.to_thread(self._read)
        self.outcomes = {f"{o.item} {o.form}": o for o in found}
        wrong = sum(o.score < 1 for o in found)
        two = len({o.form for o in found}) > 1
        name = arm_name(found[0].arm) if found else "No validation items"
        kind = "validation " if found and found[0].split == "validation" else ""
        forms = ", each with and without constrained output" if two else ""
        items = len({o.item for o in found})
        head = Entry(f"{name}: {items:,} {kind}items{forms}, {wrong:,} not right; those first", "", "bold")
        lines = [Entry(_line(outcome, two), key) for key, outcome in self.outcomes.items()]
        self.query_one("#items", MarkedLines).show([head, *lines])
        self._draw()

    def action_move(self, step: int) -> None:
        """Move, and show the item in full."""
        self.query_one("#items", MarkedLines).move(step)
        self._draw()

    def action_page(self, step: int) -> None:
        """Move by a page."""
        self.query_one("#items", MarkedLines).page(step)
        self._draw()

    def _draw(self) -> None:
        outcome = self.outcomes.get(self.query_one("#items", MarkedLines).marked)
        if outcome is not None:
            asked = self.questions.get(outcome.item, "")
            pairs = {"question": asked, "expected": outcome.expected, "output": outcome.output}
            texts = [f"{name:<10}{shown(mask(text))}" for name, text in pairs.items() if text or name != "question"]
            self.query_one("#item", TextPassage).show(TextPart(Text("\n".join([f"\nitem {outcome.item}", *texts]))))


FORMS = {"free": "unconstrained", "held": "constrained"}


def _line(outcome: ItemOutcome, two: bool) -> str:
    """`two`: whether the items were answered in both forms."""
    mark = "✓" if outcome.score >= 1 else "✗"
    form = f"{FORMS[outcome.form]:<13}  " if two else ""
    return f"{mark} {outcome.item:>4}  {form}{_one_line(outcome.expected):<24} {_one_line(outcome.output)}"


def _one_line(text: str) -> str:
    return shown(mask(text).replace("\n", " / "), limit=60)
