"""The rows of a finding: two side by side where there is room, else under one another, with what differs marked."""

from collections.abc import Iterator
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from curation.checks.base import Checkup, DataFinding, FindingEvidence
from rung.symbols import drawn
from rung.text.checks_text import one
from rung.tui.data.data_lines import bracketed, fix_words
from rung.tui.frame import WIDE
from rung.tui.safe_screen import LeavingModal
from rung.tui.screens.page_screen import PageScreen, Paper
from rung.tui.widgets.difference import changed
from rung.tui.widgets.lines import LONGEST, TextPart, TextPassage, shown, wrapped
from workspace.counted import counted

BETWEEN = " │ "
SHARE, FRAME = 95, 8
"""Percent of the terminal that the page takes, and its columns that are no text: border, space, scroll bar, indent."""


def page_of(checkup: Checkup, finding: DataFinding) -> PageScreen:
    """Return the rows of a finding; its words where it has none, or is the table of topics."""
    if finding.evidence and finding.name != "topics":
        return RowsScreen(finding)
    return PageScreen(finding.title, "\n".join(one(checkup, finding.name)))


class SettleScreen(LeavingModal[tuple[str, ...]]):
    """Contradictions one by one: a digit keeps that row's answer. Ends with the rows to keep, also on `Esc`."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("1", "keep(0)", "keep the first answer"),
        Binding("2", "keep(1)", "keep the second answer"),
        Binding("u", "undo", "take the choice of this pair back"),
        Binding("j,down", "move(1)", "next pair"),
        Binding("k,up", "move(-1)", "pair before"),
        Binding("enter,escape,q", "leave", "close; what was chosen is done"),
    ]

    def __init__(self, finding: DataFinding) -> None:
        super().__init__()
        self.pairs = [evidence for evidence in finding.evidence if len(evidence.rows) == len(evidence.texts) == 2]
        self.kept: dict[int, str] = {}
        self.at = 0

    def compose(self) -> ComposeResult:
        """Compose one pair."""
        with Paper(can_focus=False):
            yield TextPassage(id="page")

    def on_mount(self) -> None:
        """Show the first pair."""
        self._draw()

    def action_keep(self, number: int) -> None:
        """Keep this row of the pair, and go on to the next pair without a choice; after the last one close."""
        self.kept[self.at] = self.pairs[self.at].rows[number]
        left = [n for n in range(len(self.pairs)) if n not in self.kept]
        if not left:
            self.action_leave()
            return
        self.at = next((n for n in left if n > self.at), left[0])
        self._draw()

    def action_undo(self) -> None:
        """Leave this pair as it is."""
        self.kept.pop(self.at, None)
        self._draw()

    def action_move(self, step: int) -> None:
        """Show another pair."""
        self.at = max(0, min(self.at + step, len(self.pairs) - 1))
        self._draw()

    def action_leave(self) -> None:
        """Close."""
        self.dismiss(tuple(dict.fromkeys(self.kept.values())))

    def _draw(self) -> None:
        pair = self.pairs[self.at]
        marks = changed(*pair.texts)
        parts = [TextPart(Text(f"Which answer is right?   pair {self.at + 1} of {len(self.pairs)}", style="bold"))]
        for number, (place, text) in enumerate(zip(pair.places, pair.texts, strict=True)):
            sign = "▸" if self.kept.get(self.at) == pair.rows[number] else " "
            parts.append(TextPart(Text(drawn(f"\n{sign} {number + 1}  {shown(place)}"), style="bold")))
            parts.append(TextPart(bracketed(text, marks[number], LONGEST), 5))
        does = f"\n1 or 2 keeps that answer and takes the other row out.   {len(self.kept)} chosen"
        foot = "j/k other pairs   u undo   Enter done   x in Data: both are right"
        self.query_one("#page", TextPassage).show(*parts, TextPart(Text(f"{does}\n{foot}", style="dim")))


class RowsScreen(PageScreen):
    """All evidence that was kept of one finding."""

    def __init__(self, finding: DataFinding) -> None:
        super().__init__(finding.title, "")
        self.finding = finding

    def on_resize(self) -> None:
        """Side by side, or not any more."""
        self.draw()

    def parts(self) -> list[TextPart]:
        """Return the rows, for the present width."""
        width = self.app.size.width
        finding = self.finding
        head = f"{shown(finding.title)}  {finding.rows:,}  {finding.severity}\n{fix_words(finding)}"
        parts = [TextPart(Text(f"{head}\n{shown(finding.reason)}", style="bold"))]
        for number, evidence in enumerate(finding.evidence, 1):
            of = f"{number:,} of {len(finding.evidence):,}"
            ref = f"   {finding.name}:{evidence.key}" if evidence.rows else ""
            parts += _evidence(evidence, f"{of}   {shown(evidence.note)}{ref}", width)
        if finding.rows > len(finding.evidence) and any(evidence.places for evidence in finding.evidence):
            parts.append(TextPart(Text(f"\n{counted(finding.rows, 'row')} in all, {len(finding.evidence):,} shown.")))
        return parts


def _evidence(evidence: FindingEvidence, head: str, width: int) -> Iterator[TextPart]:
    """Yield the measurement, then the rows; with marks if there are two."""
    yield TextPart(Text(f"\n{head}", style="bold"))
    two = len(evidence.places) == 2 and len(evidence.texts) >= 2
    marks = changed(*evidence.texts[:2]) if two else ()
    made = [bracketed(text, marks[n] if two and n < 2 else (), LONGEST) for n, text in enumerate(evidence.texts)]
    places = [shown(place) for place in evidence.places]
    if two and width >= WIDE:
        yield from (TextPart(line, 2) for line in beside(places, made[:2], (width * SHARE // 100 - FRAME - 3) // 2))
        yield from (TextPart(text, 4) for text in made[2:])
        return
    for number in range(max(len(places), len(made))):
        if number < len(places):
            yield TextPart(Text(places[number]), 2)
        if number < len(made):
            yield TextPart(made[number], 4)


def beside(places: list[str], texts: list[Text], room: int) -> Iterator[Text]:
    """Yield the lines of two rows in two columns of `room` cells."""
    columns = [[Text(place), *wrapped(text, room)] for place, text in zip(places, texts, strict=True)]
    for number in range(max(map(len, columns))):
        left, right = (column[number].copy() if number < len(column) else Text() for column in columns)
        left.truncate(room, pad=True)
        yield Text.assemble(left, BETWEEN, right)
