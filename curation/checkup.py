"""Running all quality checks, over files as they stream by or over a project's rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.filerows import Copies, FileRows, Form, HeldRows, Notice, role_of, subject_of
from curation.findings import Checkup, Ran, in_order
from curation.formats import Columns, Reject, Row
from curation.formats.source import Progress, files_of
from curation.quality import Check, Finding, Options, Subject, Survey, checks
from curation.quality.base import RowCheck
from curation.quality.malformed import Malformed
from curation.quality.mask import names_masked
from curation.quality.twins import Contradictions, Duplicates, Leaks, Suspects
from curation.sampler import Sampler
from workspace.interrupt import is_interrupt

if TYPE_CHECKING:
    from curation.dedup import DedupResult

Stage = Callable[[str], None]


HASHES_HELD = 1 << 22
"""Hashes of rows, of 4 bytes each, that are held; those of more rows lie in a temporary file."""


class Stopped(Exception):
    """Raised by a `stage` or `progress` that was told to stop; like Ctrl-C it ends a check, and what is done stays."""


STOPS = (KeyboardInterrupt, Stopped, SystemError)


def only_a_stop(error: BaseException) -> None:
    """Raise what is a fault of its own and no stop: only Ctrl-C in compiled code is a SystemError that stops."""
    if isinstance(error, SystemError) and not is_interrupt(error):
        raise error


def check_files(
    paths: Sequence[Path],
    fmt: str = "auto",
    *,
    columns: Columns | None = None,
    options: Options | None = None,
    threshold: float = 0.8,
    progress: Progress | None = None,
    notice: Notice | None = None,
    stage: Stage = lambda _: None,
) -> Checkup:
    """Check files: one pass for the rows, then the pairs.

    Held are a sample of 20,000 rows, a fingerprint of each row and the findings; where names say train and test,
    leaks are looked for between them. Ctrl-C, or Stopped from a callback, ends it with what was found so far.
    """
    chosen = options or Options()
    files = [file for path in paths for file in files_of(path)]
    with names_masked(chosen.names):
        reading = _Reading(chosen, {str(file) for file in _sides(files)[0]})
        form = (fmt, columns, Copies())
        stopped = reading.take(FileRows(files, *form).all(progress, notice))
        return _checkup(paths, files, form, reading, stopped, chosen, threshold, stage)


def _checkup(
    paths: Sequence[Path],
    files: Sequence[Path],
    form: Form,
    reading: _Reading,
    stopped: str,
    chosen: Options,
    threshold: float,
    stage: Stage,
) -> Checkup:
    """What the reading says, and the pairs."""
    sampler, malformed = reading.sampler, reading.malformed
    rows = sampler.rows()
    held: FileRows | HeldRows = FileRows(_sides(files)[0], *form)
    if len(rows) == sampler.seen:
        held = HeldRows([subject for subject in rows if subject.file in reading.learnt])
    found: list[tuple[Check, Finding | None]] = [(malformed, malformed.end_of_file())]
    result = None
    try:
        if not stopped:
            stage("Duplicates")
            result = _dedup(reading.prints, held, threshold)
            found += _pairs(result, held)
            stage("Leaks")
            found += _file_leaks(files, form)
    except STOPS as stop:
        only_a_stop(stop)
        stopped = "Stopped while duplicates and leaks were looked for."
    told = run_statistics(reading.run, sampler, chosen, stage, stopped)
    exact, near = (result.exact, result.near) if result else (0, 0)
    return Checkup(
        scope=", ".join(map(str, paths)),
        files=tuple(map(str, files)),
        read=sampler.seen + malformed.pile.count,
        kept=sampler.seen - exact - near,
        exact=exact,
        near=near,
        rejected=malformed.pile.count,
        sampled=sampler.sampled,
        stopped=told.stopped,
        checks=(*(_ran(check, finding) for check, finding in found), *told.ran),
        findings=in_order([finding for finding in (*(f for _, f in found), *told.findings) if finding]),
        measures=told.measures,
        seconds=round(time.monotonic() - reading.started, 3),
    )


class _Reading:
    """The one pass over the rows: what the checks saw, the sample, the fingerprints of rows to learn from."""

    def __init__(self, options: Options, learnt: set[str]) -> None:
        from curation.prints import Collector

        self.learnt, self.started = learnt, time.monotonic()
        self.run, self.malformed, self.sampler = checks(options), Malformed(), Sampler(options.seed)
        self.prints = Collector(memory=HASHES_HELD)

    def take(self, items: Iterator[Row | Reject]) -> str:
        """Every row and reject; a sentence where it was stopped, empty where it was not."""
        try:
            for item in items:
                if isinstance(item, Reject):
                    self.malformed.reject(item)
                else:
                    self._row(subject_of(item), len(item.raw))
        except STOPS as stop:
            only_a_stop(stop)
            return f"Stopped after {self.sampler.seen + self.malformed.pile.count:,} lines."
        return ""

    def _row(self, subject: Subject, size: int) -> None:
        self.sampler.add(subject, size)
        for check in self.run:
            check.see(subject)
        if subject.file in self.learnt:
            self.prints.add(subject.example)


def _dedup(prints: Any, held: FileRows | HeldRows, threshold: float) -> DedupResult | None:
    from curation.dedup import dedup_prints

    return dedup_prints(prints.finish(held), held, threshold) if prints.count else None


def _pairs(result: DedupResult | None, held: FileRows | HeldRows) -> Iterator[tuple[Check, Finding | None]]:
    duplicates, contradictions = Duplicates(), Contradictions()
    yield duplicates, duplicates.found(result, held) if result else None
    yield contradictions, contradictions.found(result, held) if result else None


def _sides(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files to learn from, and files to measure on, as their names say; all are the former where no name says train."""
    measured = [file for file in files if role_of(file) in ("test", "validation")]
    learnt = [file for file in files if file not in measured]
    return (learnt, measured) if learnt else (list(files), [])


def _file_leaks(files: Sequence[Path], form: Form) -> Iterator[tuple[Check, Finding | None]]:
    """Leaks between files whose names say train (or nothing) and test or validation; nothing where one side lacks."""
    learnt, measured = _sides(files)
    if not measured:
        return
    from curation.leakage import find_leaks

    test = [subject_of(row) for row in FileRows(measured, *form).all() if isinstance(row, Row)]
    train = FileRows(learnt, *form)
    report = find_leaks(train, [s.example for s in test])
    for check, leaks in ((Leaks(), report.leaks), (Suspects(), report.suspects)):
        yield check, check.found(leaks, train, test)


@dataclass
class Statistics:
    """What the checks said at the end; `stopped` where they were stopped, and what was not looked at then."""

    findings: list[Finding] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    measures: dict[str, Any] = field(default_factory=dict)
    stopped: str = ""


def run_statistics(
    run: Sequence[Check], sampler: Sampler, options: Options, stage: Stage, stopped: str = ""
) -> Statistics:
    """End every check: its finding, its line, its measures. Once stopped, only those that look at single rows end."""
    survey = Survey(sampler.seen, sampler.rows(), options)
    told = Statistics(stopped=stopped)
    for check in run:
        finding = None
        try:
            if told.stopped and not isinstance(check, RowCheck):
                raise Stopped
            stage(check.title)
            finding = check.end(survey)
        except STOPS as stop:
            only_a_stop(stop)
            told.stopped = told.stopped or f"Stopped before {check.title.lower()} were looked for."
            told.ran.append(Ran(name=check.name, title=check.title, rows=None, reason="stopped before it ended"))
            continue
        if finding:
            told.findings.append(finding)
        told.ran.append(_ran(check, finding))
        if check.measures:
            told.measures[check.name] = check.measures
    return told


def _ran(check: Check, finding: Finding | None) -> Ran:
    return Ran(name=check.name, title=check.title, rows=finding.rows if finding else 0, reason=check.unseen)
