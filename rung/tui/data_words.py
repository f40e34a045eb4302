"""What the Data screen says: its empty state, a line a finding, the evidence of the marked one."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from curation.findings import Checkup
from curation.quality.base import Evidence, Finding
from rung.cli.check_words import SYMBOLS
from rung.tui.text import shown
from rung.tui.widgets.marked import Entry

READING = "Reading the rows"
"""As `curation.project_checkup` calls the pass in which every check sees each row by itself."""
EMPTY = "No rows yet. Import a file: rung data import claims.jsonl"
FORMATS = "(chat, ShareGPT, Alpaca, CSV, Parquet: recognised and shown before anything is kept)"


def empty_lines() -> Iterator[Entry]:
    """Where no row is in."""
    yield from (Entry(), Entry(EMPTY), Entry(FORMATS), Entry(), Entry("Next: import a file.   Enter", "", "bold"))


def next_line(checkup: Checkup) -> str:
    """What is next: the finding that blocks, else the review."""
    blocking = next((finding for finding in checkup.findings if finding.blocks), None)
    if blocking is None:
        return "Next: review (4)."
    if blocking.action:
        return f"Next: f {'takes them out of train' if blocking.action == 'exclude' else 'sends them to review'}."
    return "Next: look at the rows that block.   Enter"


def finding_line(finding: Finding) -> str:
    """Symbol, title, rows, state, what to do."""
    todo = {"exclude": "f takes out", "queue": "f sends to review"}.get(finding.action or "", "Enter shows them")
    if finding.severity == "handled":
        todo = "kept with reasons"
    return f"{SYMBOLS[finding.severity]} {finding.title:<22}{finding.rows:>6,}  {finding.severity:<7}  {todo}"


def evidence_text(finding: Finding) -> Text:
    """The first piece of evidence: what was measured, and the rows with what only one of them has in brackets."""
    if not finding.evidence:
        return Text(f"\n{shown(finding.reason)}")
    first: Evidence = finding.evidence[0]
    head = f"\n1 of {len(finding.evidence):,}   {shown(first.note)}\n"
    return Text(head + "\n".join(f"  {place}\n    {shown(text, limit=300)}" for place, text in _pairs(first)))


def _pairs(evidence: Evidence) -> list[tuple[str, str]]:
    places = [*evidence.places, *[""] * len(evidence.texts)]
    return list(zip(places, evidence.texts, strict=False))


def rows_words(done: int, of: int, seconds: float) -> str:
    """`  1,204,000 of 2,640,000 rows  46%  about 12 s left`, after a check's title."""
    left = seconds / done * (of - done) if 0 < done < of else 0.0
    return f"  {done:,} of {of:,} rows  {done / max(of, 1):.0%}" + (f"  about {left:.0f} s left" if left >= 1 else "")
