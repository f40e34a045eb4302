"""Text of the Data screen: its empty state, a line per finding, the evidence of the selected one."""

from collections.abc import Iterator, Sequence

from rich.text import Text

from curation.checks.base import Checkup, DataFinding, FindingEvidence
from curation.checks.dismissals import IN_REVIEW
from rung.text.checks_text import SYMBOLS
from rung.tui.widgets.difference import Span, changed
from rung.tui.widgets.lines import Entry, shown
from workspace.counted import counted

READING = "Reading the rows"
"""The name in `curation.checks.run` of the pass in which every check sees each row."""
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
    first: FindingEvidence = finding.evidence[0]
    text = Text(f"\n1 of {len(finding.evidence):,}   {shown(first.note)}\n")
    two = len(first.places) == 2 and len(first.texts) >= 2
    marks: Sequence[Sequence[Span]] = changed(*first.texts[:2]) if two else ()
    for number, (place, said) in enumerate(_pairs(first)):
        text.append(f"  {place}\n    ")
        text.append_text(bracketed(said, marks[number] if number < len(marks) else ()))
        text.append("\n")
    return text.append("  [ ] marks what only one row has") if any(marks) else text


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


def _pairs(evidence: FindingEvidence) -> list[tuple[str, str]]:
    places = [*evidence.places, *[""] * len(evidence.texts)]
    return list(zip(places, evidence.texts, strict=False))


def rows_words(done: int, of: int, seconds: float) -> str:
    """`  1,204,000 of 2,640,000 rows  46%  about 12 s left`, after a check's title."""
    left = seconds / done * (of - done) if 0 < done < of else 0.0
    return f"  {done:,} of {of:,} rows  {done / max(of, 1):.0%}" + (f"  about {left:.0f} s left" if left >= 1 else "")
