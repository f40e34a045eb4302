"""Findings of the Data screen as lines, and the rows of one: two side by side where there is room, with what differs
marked.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from curation.checks.base import Checkup, DataFinding, FindingEvidence
from curation.checks.dismissals import IN_REVIEW
from rung.symbols import drawn
from rung.text.checks_text import SYMBOLS, one
from rung.tui.frame import WIDE
from rung.tui.safe_screen import LeavingModal
from rung.tui.screens.page_screen import PageScreen, Paper
from rung.tui.widgets.lines import LONGEST, Entry, Span, TextPart, TextPassage, changed, shown, wrapped
from workspace.counted import counted

EMPTY = "No rows yet. Import a file: rung data import claims.jsonl"
SHOWN = 300
"""Characters of a row's text beside a finding."""
MASKED = ("pii", "secrets", "names")
"""Findings whose rows are shown with masks."""
FORMATS = "(chat, ShareGPT, Alpaca, CSV, Parquet: detected by their keys; u undoes an import)"


def empty_lines() -> Iterator[Entry]:
    """Yield the lines of a project without rows."""
    yield from (Entry(), Entry(EMPTY), Entry(FORMATS), Entry(), Entry("Next: import a file.   Enter", "", "bold"))


def to_fix(checkup: Checkup) -> DataFinding | None:
    """Return the first finding that blocks and whose rows are not in review yet."""
    return next((found for found in checkup.findings if found.blocks and found.what_to_do != IN_REVIEW), None)


def finding_lines(findings: Sequence[DataFinding]) -> Iterator[Entry]:
    """Yield a head, and for each finding its symbol, title, rows, state, and what to do."""
    width = max([15, *(len(finding.title) for finding in findings)])
    yield Entry(f"  {'Finding':<{width}}{'Rows':>6}  State    What to do")
    for finding in findings:
        figures = f"{finding.title:<{width}}{finding.rows:>6,}  {finding.severity:<7}"
        yield Entry(f"{SYMBOLS[finding.severity]} {figures}  {todo(finding)}", finding.name)


def todo(finding: DataFinding) -> str:
    """Return the action, short enough for 80 columns: the key of the fix or of the review; else what was done."""
    if finding.severity == "handled":
        return finding.what_to_do or "kept with reasons"
    if finding.what_to_do == IN_REVIEW:
        return IN_REVIEW
    if finding.blocks and finding.action:
        if finding.name == "contradictions":
            return "Enter settles"
        return "f: to review" if finding.action == "queue" else f"f: {counted(len(finding.ids), 'row')} out"
    return f"Enter{', masked' if finding.name in MASKED else ''}"


def fix_words(finding: DataFinding) -> str:
    """Describe the fix with its key and its command; if there is none, say that a person decides."""
    if finding.severity == "handled":
        return finding.what_to_do or "kept with reasons"
    does = fix_key(finding)
    return f"{does}, u undoes it: rung data fix {finding.name}" if does else "no automatic fix: look at the rows"


def fix_key(finding: DataFinding) -> str:
    """`f takes out 37 rows`; empty if there is no fix. The list's own figure counts test items where rows leak."""
    if finding.action == "exclude":
        return f"f takes out {counted(len(finding.ids), 'row')}"
    if finding.action == "queue":
        return f"f sends {'both ' if finding.name == 'contradictions' else ''}to review"
    return ""


def evidence_text(finding: DataFinding) -> Text:
    """Return the first piece of evidence: the measurement, and the rows with their differences in brackets."""
    if not finding.evidence:
        return Text(f"\n{shown(finding.reason)}")
    first = finding.evidence[0]
    text = Text(f"\n1 of {len(finding.evidence):,}   {shown(first.note)}\n")
    made = _rows(first, SHOWN)
    for place, row in zip_longest(first.places[: len(made)], made, fillvalue=""):
        text = Text.assemble(text, f"  {place}\n    ", row, "\n")
    return text.append("  [ ] marks what only one row has") if any(row.spans for row in made) else text


def _rows(evidence: FindingEvidence, most: int) -> list[Text]:
    """Return the beginning of each row; of two rows with what only one has in brackets."""
    marks = changed(*evidence.texts[:2]) if _are_two(evidence) else ((), ())
    return [bracketed(text, marks[n] if n < 2 else (), most) for n, text in enumerate(evidence.texts)]


def _are_two(evidence: FindingEvidence) -> bool:
    return len(evidence.places) == 2 and len(evidence.texts) >= 2


def bracketed(text: str, spans: Sequence[Span], most: int = SHOWN) -> Text:
    """Return the beginning of row text as text, with these places in brackets and reversed."""
    made, at = Text(), 0
    for start, end in spans:
        if start < most:
            made.append(shown(text[at:start]))
            made.append(f"[{shown(text[start:end].strip(), limit=most)}]", style="reverse")
            made.append(" " if text[start:end].endswith(" ") else "")
            at = end
    return made.append(shown(text[at:], limit=max(most - at, 1)))


def rows_words(done: int, of: int, seconds: float) -> str:
    """`  1,204,000 of 2,640,000 rows  46%  about 12 s left`, after a check's title."""
    left = seconds / done * (of - done) if 0 < done < of else 0.0
    return f"  {done:,} of {of:,} rows  {done / max(of, 1):.0%}" + (f"  about {left:.0f} s left" if left >= 1 else "")


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
    made, places = _rows(evidence, LONGEST), [shown(place) for place in evidence.places]
    if _are_two(evidence) and width >= WIDE:
        yield from (TextPart(line, 2) for line in beside(places, made[:2], (width * SHARE // 100 - FRAME - 3) // 2))
        yield from (TextPart(text, 4) for text in made[2:])
        return
    for place, row in zip_longest(places, made):
        if place is not None:
            yield TextPart(Text(place), 2)
        if row is not None:
            yield TextPart(row, 4)


def beside(places: list[str], texts: list[Text], room: int) -> Iterator[Text]:
    """Yield the lines of two rows in two columns of `room` cells."""
    columns = [[Text(place), *wrapped(text, room)] for place, text in zip(places, texts, strict=True)]
    for number in range(max(map(len, columns))):
        left, right = (column[number].copy() if number < len(column) else Text() for column in columns)
        left.truncate(room, pad=True)
        yield Text.assemble(left, BETWEEN, right)
