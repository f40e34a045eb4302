"""`rung data dedup` and `rung data leakage` in words: what became of the lines, then each kind of pair."""

from collections.abc import Iterator
from pathlib import Path

from curation.likeness.files import LeakCheck
from curation.likeness.leaks.report import Leak
from curation.likeness.semantic import Meaning
from rung.text.checks_text import lines_seen
from workspace.counted import counted
from workspace.json_types import JsonObject

SHOWN = 10
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
    yield f"\n✓ Duplicates      {report['exact'] + report['near']:>7,}  1 kept of {of}"
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
    yield from (f"✗ {_pair(checked, leak)}" for leak in strongest[:SHOWN])
    if len(strongest) > SHOWN:
        yield f"  {len(strongest) - SHOWN:,} more: --json"
    if report.suspects:
        yield f"\n! {counted(len(report.suspects), 'suspect')} to check; a suspect does not count as a leak."
        yield from (f"  {_pair(checked, leak)}  ({leak.evidence.why})" for leak in report.suspects[:SHOWN])
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
    for row, item, score in meaning.pairs[:SHOWN]:
        test, train = (f"{file}:{line}" for file, line in (checked.test.where(item), checked.train.where(row)))
        yield f"  {test} and {train}   {score:.2f}"


def _pair(checked: LeakCheck, leak: Leak) -> str:
    test, train = checked.test.where(leak.test), checked.train.where(leak.train)
    shared = leak.evidence.shared
    quote = f"{shared[:57]}..." if len(shared) > 60 else shared
    places = f"{test[0]}:{test[1]} and {train[0]}:{train[1]}"
    return f"{places}   {leak.kind}, {leak.score:.2f}, {leak.answer} answer   {quote!r}"
