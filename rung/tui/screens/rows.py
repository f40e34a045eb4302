"""The rows of a finding: two side by side where there is room, else under one another, with what differs marked."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text
from textual.app import ComposeResult

from curation.findings import Checkup
from curation.quality.base import Evidence, Finding
from rung.report.check_words import one
from rung.tui.data_words import bracketed, fix_words
from rung.tui.frame import WIDE
from rung.tui.screens.page import PageScreen, Paper
from rung.tui.text import LONGEST, shown
from rung.tui.widgets.difference import changed
from rung.tui.widgets.passage import Part, Passage
from rung.tui.wrapped import line_spans
from workspace.words import counted

BETWEEN = " │ "
SHARE, FRAME = 95, 8
"""Percent of the terminal that the page takes, and its columns that are no text: border, space, scroll bar, indent."""


def page_of(checkup: Checkup, finding: Finding) -> PageScreen:
    """The rows of a finding; its words where it has none, or is the table of topics."""
    if finding.evidence and finding.name != "topics":
        return RowsScreen(finding)
    return PageScreen(finding.title, "\n".join(one(checkup, finding.name)))


class RowsScreen(PageScreen):
    """All evidence that was kept of one finding."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding.title, "")
        self.finding = finding

    def compose(self) -> ComposeResult:
        """The rows, for the present width."""
        with Paper():
            yield Passage(*self._parts(), id="page")

    def on_resize(self) -> None:
        """Side by side, or not any more."""
        self.query_one("#page", Passage).show(*self._parts())

    def _parts(self) -> list[Part]:
        width = self.app.size.width
        finding = self.finding
        head = f"{shown(finding.title)}  {finding.rows:,}  {finding.severity}\n{fix_words(finding)}"
        parts = [Part(Text(f"{head}\n{shown(finding.reason)}", style="bold"))]
        for number, evidence in enumerate(finding.evidence, 1):
            of = f"{number:,} of {len(finding.evidence):,}"
            ref = f"   {finding.name}:{evidence.key}" if evidence.rows else ""
            parts += _evidence(evidence, f"{of}   {shown(evidence.note)}{ref}", width)
        if finding.rows > len(finding.evidence) and any(evidence.places for evidence in finding.evidence):
            parts.append(Part(Text(f"\n{counted(finding.rows, 'row')} in all, {len(finding.evidence):,} shown.")))
        return parts


def _evidence(evidence: Evidence, head: str, width: int) -> Iterator[Part]:
    """What was measured, then the rows; marks where there are two of them."""
    yield Part(Text(f"\n{head}", style="bold"))
    two = len(evidence.places) == 2 and len(evidence.texts) >= 2
    marks = changed(*evidence.texts[:2]) if two else ()
    made = [bracketed(text, marks[n] if two and n < 2 else (), LONGEST) for n, text in enumerate(evidence.texts)]
    places = [shown(place) for place in evidence.places]
    if two and width >= WIDE:
        yield from (Part(line, 2) for line in beside(places, made[:2], (width * SHARE // 100 - FRAME - 3) // 2))
        yield from (Part(text, 4) for text in made[2:])
        return
    for number in range(max(len(places), len(made))):
        if number < len(places):
            yield Part(Text(places[number]), 2)
        if number < len(made):
            yield Part(made[number], 4)


def beside(places: list[str], texts: list[Text], room: int) -> Iterator[Text]:
    """Two rows in two columns of `room` cells, line by line."""
    columns = [
        [Text(place), *(text[start:end] for start, end in line_spans(text.plain, room))]
        for place, text in zip(places, texts, strict=True)
    ]
    for number in range(max(map(len, columns))):
        left, right = (column[number].copy() if number < len(column) else Text() for column in columns)
        left.truncate(room, pad=True)
        yield Text.assemble(left, BETWEEN, right)
