"""`rung data check`, `dedup` and `leakage` in words: the sentence first, then the findings, last the next command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from curation.checks.base import Checkup, DataFinding
from rung.status.following import after_check
from workspace.counted import counted
from workspace.json_types import JsonObject

if TYPE_CHECKING:
    from curation.likeness.files import LeakCheck
    from curation.likeness.leaks.find import Leak
    from curation.likeness.semantic import Meaning

SYMBOLS = {"blocks": "✗", "look": "!", "handled": "✓"}
SHOWN_BLOCKING = 2
SHOWN_ALL = 200


def lines(checkup: Checkup, command: str, step: str = "", ending: Sequence[str] = ()) -> Iterator[str]:
    """Yield the page. `command` is the check that was run, `step` the project's next command (empty for files)."""
    in_project = bool(step)
    yield verdict(checkup)
    yield counts(checkup)
    if checkup.stopped:
        left = counted(sum(check.rows is None for check in checkup.checks), "check")
        yield f"! {checkup.stopped} {left} did not run. The findings of the others are below."
    if told := sample(checkup):
        yield told
    yield ""
    width = max([20, *(len(finding.title) + 2 for finding in checkup.findings)])
    for finding in checkup.findings:
        todo = _what_to_do(finding, command, in_project)
        symbol = SYMBOLS[finding.severity]
        yield f"{symbol} {finding.title:<{width}}{finding.rows:>5,}  {finding.severity:<7}  {todo}".rstrip()
        if finding.blocks:
            yield from _evidence(finding, SHOWN_BLOCKING)
            if len(finding.evidence) > SHOWN_BLOCKING:
                yield f"    all: {_show(finding, command, in_project)}"
    yield from ending
    if checkup.findings or ending:
        yield ""
    yield f"Next: {after_check(checkup, command, step)}"


def one(checkup: Checkup, name: str) -> Iterator[str]:
    """Yield one finding with all the evidence that was kept, personal data masked."""
    if name == "topics":
        yield from _topics(checkup)
    if not any(f.name == name for f in checkup.findings) and (clean := [c for c in checkup.checks if c.name == name]):
        yield f"✓ {clean[0].title}: nothing found{f' ({clean[0].reason})' if clean[0].reason else ''}."
        return
    finding = checkup.named(name)
    yield f"{SYMBOLS[finding.severity]} {finding.title}  {finding.rows:,}  {finding.severity}"
    yield f"  {finding.reason}"
    for evidence in finding.evidence[:SHOWN_ALL]:
        yield ""
        yield f"  {_places(evidence.places)}   {evidence.note}".rstrip() + (
            f"   {name}:{evidence.key}" if evidence.rows else ""
        )
        for text in evidence.texts:
            yield f"    {text}"
    whole = not any(evidence.places for evidence in finding.evidence)
    if finding.rows > len(finding.evidence) > 0 and not whole:
        yield f"\n  {counted(finding.rows, 'row')} in all, {len(finding.evidence):,} shown."


def _topics(checkup: Checkup) -> Iterator[str]:
    """Yield the topics as a table: how many rows each has, its words, an example."""
    topics = checkup.measures.get("topics", {}).get("topics", [])
    if topics:
        yield f"{'Rows':>6}{'Test':>6}  Topic, and a row of it"
    for topic in topics:
        yield f"{topic['train']:>6,}{topic['test']:>6,}  {topic['words']}"
        yield f"{'':>14}{topic['example']}"
    if topics:
        yield ""


def counts(checkup: Checkup) -> str:
    """Return `2,640 lines: 2,243 kept, 385 duplicates removed (214 exact, 171 near), 12 unreadable`."""
    seen = lines_seen(checkup.read, checkup.kept, checkup.exact, checkup.near, checkup.rejected, checkup.known)
    return seen + (f", {checkup.taken_out:,} taken out" if checkup.taken_out else "")


def lines_seen(read: int, kept: int, exact: int, near: int, rejected: int, known: int = 0) -> str:
    """Return what became of the lines that were read; counts of 0 are left out, except of those kept."""
    parts = [f"{kept:,} kept"]
    if same := exact + near:
        parts.append(f"{counted(same, 'duplicate')} removed ({exact:,} exact, {near:,} near)")
    if known:
        parts.append(f"{known:,} already in the project")
    if rejected:
        parts.append(f"{rejected:,} unreadable")
    return f"{counted(read, 'line')}: {', '.join(parts)}"


def sample(checkup: Checkup) -> str:
    """Return on how many rows the statistical checks ran, if not on all."""
    if checkup.sampled is None:
        return ""
    return f"Classes, topics, labels and forms were checked on a random sample of {checkup.sampled:,} rows."


def verdict(checkup: Checkup) -> str:
    """Return what blocks, or that nothing does, and how many checks found nothing."""
    said = blocking_words(checkup)
    if not (checkup.read or checkup.kept):
        return said
    if checkup.blocking or checkup.stopped:
        return f"{said} {counted(checkup.clean, 'check')} found nothing."
    rows = sum(f.rows for f in checkup.findings if f.severity == "look" and any(e.places for e in f.evidence))
    look = f", {counted(rows, 'row')} to look at if you like" if rows else ""
    return f"{said} {counted(len(checkup.checks), 'check')}{look}."


def blocking_words(checkup: Checkup) -> str:
    """Return the sentence of a page's headline: what blocks the dataset, or that nothing does."""
    if not (checkup.read or checkup.kept):
        return "No rows: nothing was checked."
    if blocking := len(checkup.blocking):
        return f"{counted(blocking, 'finding')} {'blocks' if blocking == 1 else 'block'} the dataset."
    if checkup.stopped:
        return "Nothing that blocks the dataset was found so far."
    return "Nothing blocks the dataset."


def _evidence(finding: DataFinding, most: int) -> Iterator[str]:
    for evidence in finding.evidence[:most]:
        yield f"    {_places(evidence.places)}   {evidence.note}"


def _places(places: tuple[str, ...]) -> str:
    return " and ".join(place for place in places if place)


def _what_to_do(finding: DataFinding, command: str, in_project: bool) -> str:
    if finding.what_to_do:
        return finding.what_to_do
    if in_project and finding.blocks and finding.action:
        rows = f"  ({counted(len(finding.ids), 'row')})" if len(finding.ids) != finding.rows else ""
        return f"rung data fix {finding.name}{rows}"
    return _show(finding, command, in_project)


def _show(finding: DataFinding, command: str, in_project: bool) -> str:
    """Return the command that shows a finding; of a check of files only what is to be added to it."""
    return f"{command} --show {finding.name}" if in_project else f"add --show {finding.name}"


SHOWN_PAIRS = 10
"""Pairs of a kind that are shown; `--json` has all."""
BOTH_STAY = {
    "contradictions": ("Contradictions", "one question, different answers; both stay"),
    "minimal_pairs": ("Minimal pairs", "near questions, different answers; both stay"),
    "short_near": ("Short near", "short questions with nearly the same letters; both stay"),
}


def dedup_lines(report: JsonObject, *, listed: bool) -> Iterator[str]:
    """Yield what was removed, and the pairs of which both rows stay; `listed` if a file holds those."""
    yield lines_seen(report["read"], report["kept"], report["exact"], report["near"], report.get("rejected", 0))
    if report["template"]:
        yield f"Ignored in the comparison, because most rows share it: {report['template']}"
    of = "the cluster" if report["clusters"] == 1 else f"each of {report['clusters']:,} clusters"
    kept = f"1 kept of {of}" if report["clusters"] else "none found"
    yield f"\n✓ Duplicates      {report['exact'] + report['near']:>7,}  {kept}"
    for key, (name, text) in BOTH_STAY.items():
        if report[key]:
            yield f"! {name:<15} {report[key]:>7,}  {text}"
    if not listed and any(report[key] for key in BOTH_STAY):
        yield "  To list them: --pairs FILE"


def leak_lines(checked: LeakCheck, clean: Path | None) -> Iterator[str]:
    """Yield the strongest leak of each test item, suspects and paraphrases; `clean` is the file without leaks."""
    report = checked.report
    of = f"{counted(report.test, 'test item')} in {counted(report.train, 'train row')}"
    verb = "leaks" if report.leaked_test == 1 else "leak"
    yield f"No leak of {of}." if not report.leaks else f"{report.leaked_test:,} of {of} {verb}."
    strongest = list(report.strongest().values())
    yield from (f"✗ {_pair(checked, leak)}" for leak in strongest[:SHOWN_PAIRS])
    if len(strongest) > SHOWN_PAIRS:
        yield f"  {len(strongest) - SHOWN_PAIRS:,} more: --json"
    if report.suspects:
        yield f"\n! {counted(len(report.suspects), 'suspect')} to check; a suspect does not count as a leak."
        yield from (f"  {_pair(checked, leak)}  ({leak.evidence.why})" for leak in report.suspects[:SHOWN_PAIRS])
    if checked.meaning is not None:
        yield from _paraphrases(checked, checked.meaning)
    if clean is not None and checked.removed is not None:
        yield f"\n{counted(report.train - checked.removed, 'clean row')} in {clean}; {checked.removed:,} left out."


def _paraphrases(checked: LeakCheck, meaning: Meaning) -> Iterator[str]:
    """Yield the number of paraphrases, how often that judgement is right, and the first of them."""
    sample, right = meaning.as_json()["sample"], "The precision of this model is not known."
    if sample:
        right = (
            f"On a labelled sample at {sample['threshold']:g}: {sample['precision']:.0%} of the pairs were right,"
            f" {sample['recall']:.0%} of the paraphrases were found."
        )
    told = f"same meaning, other words, by {meaning.model}; please check them"
    yield f"\n! {'Paraphrases':<15} {len(meaning.pairs):>7,}  {told}"
    yield f"  Cosine {meaning.threshold:g} or more. {right}"
    for row, item, score in meaning.pairs[:SHOWN_PAIRS]:
        test, train = (f"{file}:{line}" for file, line in (checked.test.where(item), checked.train.where(row)))
        yield f"  {test} and {train}   {score:.2f}"


def _pair(checked: LeakCheck, leak: Leak) -> str:
    test, train = checked.test.where(leak.test), checked.train.where(leak.train)
    shared = leak.evidence.shared
    quote = f"{shared[:57]}..." if len(shared) > 60 else shared
    places = f"{test[0]}:{test[1]} and {train[0]}:{train[1]}"
    return f"{places}   {leak.kind}, {leak.score:.2f}, {leak.answer} answer   {quote!r}"
