"""Running all quality checks, over files as they stream by or over a project's rows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from sqlalchemy import Connection

from curation.checks.base import (
    READING,
    Checkup,
    DataFinding,
    Options,
    QualityCheck,
    Ran,
    SingleRowCheck,
    Subject,
    Survey,
    in_order,
)
from curation.checks.damaged import Empty, Encoding, MalformedLines, OverLong, Truncated, own_context
from curation.checks.dismissals import dismissals, keep_check, marked_in_review, moment_of, sent_by_finding, unsettled
from curation.checks.diversity import Diversity, Spread, Topics
from curation.checks.form import Language, OddForm
from curation.checks.label_noise import LabelNoise
from curation.checks.labels import Balance, Constant, Skew, Spelling
from curation.checks.phrases import ListedWords, Orders, Refusals, Residue
from curation.checks.private import Names, Personal, Secrets
from curation.checks.subjects import (
    FileRows,
    GoneRows,
    Sampler,
    Sides,
    kept_for,
    role_of,
    stored_subject,
)
from curation.checks.twins import Contradictions, Duplicates, Leaks, LeftDuplicates, Suspects
from curation.likeness.duplicates import dedup_prints
from curation.likeness.fingerprints import Collector, use_compiled
from curation.likeness.leaks.find import find_leaks, leaks_between
from curation.mask import names_masked
from curation.rows import Columns, Reject
from curation.rows.reading import Notice
from curation.rows.rowfile import RowFile
from curation.rows.source import Progress
from curation.split.manifest import newest_dataset, read_manifest
from curation.store import Store
from workspace.folder import Project
from workspace.interrupt import is_interrupt
from workspace.settings import Settings

Stage = Callable[[str], None]
Found = tuple[QualityCheck, DataFinding | None]

STOPS = (KeyboardInterrupt, SystemError)


def only_a_stop(error: BaseException) -> None:
    """Raise what is a fault of its own and no stop: only Ctrl-C in compiled code is a SystemError that stops."""
    if isinstance(error, SystemError) and not is_interrupt(error):
        raise error


def checks(options: Options) -> list[QualityCheck]:
    """Return the checks that look at rows one by one or at a sample; other code finds duplicates and leaks."""
    found: list[QualityCheck] = [
        Empty(),
        Secrets(),
        Personal(),
        *([Names(options.names)] if options.names else []),
        OverLong(options),
        Truncated(),
        Residue(),
        Orders(),
        Refusals(),
        Encoding(),
        OddForm(),
        Spelling(),
        LabelNoise(),
        Language(),
        Constant(),
        Balance(),
        Topics(),
        Diversity(),
        Spread(),
        Skew(),
    ]
    return [*found, ListedWords(options.words)] if options.words else found


def titles() -> dict[str, str]:
    """Return the title of each check that sends rows to review, by its name."""
    every: list[QualityCheck | type[QualityCheck]] = [*checks(Options()), Names, ListedWords, Contradictions]
    return {check.name: check.title for check in every if check.action == "queue"}


class _RowPass:
    """One pass of all checks over rows: each check sees each row, then each says what it found.

    `ended` are the checks with their findings; `stopped` is a sentence if they were stopped.
    """

    def __init__(self, options: Options) -> None:
        self.options, self.checks, self.sampler = options, checks(options), Sampler(options.seed)
        self.ended: list[Found] = []
        self.stopped, self.started = "", time.monotonic()

    def see(self, subject: Subject, size: int) -> None:
        """Show one row, of `size` bytes, to every check."""
        self.sampler.add(subject, size)
        for check in self.checks:
            check.see(subject)

    def end(self, stage: Stage) -> None:
        """End every check. Once stopped, only those of single rows end."""
        survey = Survey(self.sampler.seen, self.sampler.rows(), self.options)
        for check in self.checks:
            finding = None
            try:
                if self.stopped and not isinstance(check, SingleRowCheck):
                    raise KeyboardInterrupt
                stage(check.title)
                finding = check.end(survey)
            except STOPS as stop:
                only_a_stop(stop)
                self.stopped = self.stopped or f"Stopped before {check.title.lower()} were looked for."
                check.was_stopped = True
            self.ended.append((check, finding))

    def checkup(self, found: Sequence[Found], **counts: Any) -> Checkup:
        """Return the document of these checks, each with its finding."""
        ran = [
            Ran(name=check.name, title=check.title, rows=None, reason="stopped before it ended")
            if check.was_stopped
            else Ran(name=check.name, title=check.title, rows=finding.rows if finding else 0, reason=check.unseen)
            for check, finding in found
        ]
        whole = [check for check, _ in self.ended if not check.was_stopped]
        return Checkup(
            checks=tuple(ran),
            findings=in_order([finding for _, finding in found if finding]),
            measures={check.name: check.measures for check in whole if check.measures},
            sampled=self.sampler.sampled,
            stopped=self.stopped,
            seconds=round(time.monotonic() - self.started, 3),
            **counts,
        )


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
    leaks are looked for between them. Ctrl-C ends it with what was found so far.
    """
    chosen = options or Options()
    with names_masked(chosen.names), RowFile(paths, fmt, columns=columns, notice=notice, progress=progress) as files:
        return _checkup(files, chosen, ", ".join(map(str, paths)), threshold, stage)


def _checkup(files: RowFile, options: Options, scope: str, threshold: float, stage: Stage) -> Checkup:
    rows, malformed, prints = _RowPass(options), MalformedLines(), Collector()
    learnt = {str(file) for file in _sides(files.files)[0]}
    found: list[Found] = []
    result = None
    try:
        for item in chain.from_iterable(files.read()):
            if isinstance(item, Reject):
                malformed.reject(item)
                continue
            role = role_of(Path(item.file))
            rows.see(Subject(item.example, item.file, item.line, role=role), len(item.raw))
            if item.file in learnt:
                prints.add_rows((item.example,))
    except STOPS as stop:
        only_a_stop(stop)
        rows.stopped = f"Stopped after {rows.sampler.seen + malformed.pile.count:,} lines."
    try:
        if not rows.stopped:
            stage("Duplicates")
            sides = FileRows(files, files.places_in(learnt))
            result = dedup_prints(prints.finish(sides.fetch), sides.fetch, threshold) if prints.count else None
            pairs: tuple[Duplicates | Contradictions, ...] = (Duplicates(), Contradictions())
            found += [(check, check.found(result, sides) if result else None) for check in pairs]
            stage("Leaks")
            found += _file_leaks(files)
    except STOPS as stop:
        only_a_stop(stop)
        rows.stopped = "Stopped while duplicates and leaks were looked for."
    found.insert(0, (malformed, malformed.end_of_file()))
    rows.end(stage)
    exact, near = (result.exact, result.near) if result else (0, 0)
    return rows.checkup(
        [*found, *rows.ended],
        scope=scope,
        files=tuple(map(str, files.files)),
        read=rows.sampler.seen + malformed.pile.count,
        kept=rows.sampler.seen - exact - near,
        exact=exact,
        near=near,
        rejected=malformed.pile.count,
    )


def _sides(files: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Files to learn from, and files to measure on, as their names say; all are the former where no name says train."""
    measured = [file for file in files if role_of(file) in ("test", "validation")]
    learnt = [file for file in files if file not in measured]
    return (learnt, measured) if learnt else (list(files), [])


def _file_leaks(files: RowFile) -> Iterator[Found]:
    """Leaks between files whose names say train (or nothing) and test or validation; nothing if one side lacks."""
    learnt, measured = _sides(files.files)
    if not measured:
        return
    train, tested = (FileRows(files, files.places_in(list(map(str, side)))) for side in (learnt, measured))
    test = tested.subjects(range(len(tested)))
    report = find_leaks(train, [s.example for s in test])
    for check, leaks in ((Leaks(), report.leaks), (Suspects(), report.suspects)):
        yield check, check.found(leaks, train, test)


T = TypeVar("T")
RowsDone = Callable[[int, int], None]
"""Called as `progress(rows done, all rows)` from the thread that does the work."""
AT_ONCE = 500
"""Rows between two of these calls."""


def check_project(
    store: Store,
    project: Project,
    settings: Settings,
    options: Options | None = None,
    stage: Stage = lambda _: None,
    progress: RowsDone = lambda done, of: None,
) -> Checkup:
    """Check all rows that are in (not taken out, not rejected in review). Long are rows that do not fit the model's own
    context, where it lies on this machine, unless `options` names another.

    `stage` hears the title of each check that begins, `progress` how many rows the present one has gone through.
    """
    before, chosen = moment_of(store), options or Options()
    fits, count = own_context(settings)
    chosen = replace(
        chosen,
        context=chosen.context or fits,
        count_tokens=count,
        label_limit=settings.evaluation.label_limit,
        seed=settings.dataset.seed,
    )
    with names_masked(chosen.names), store.read() as connection:
        found = _project_checkup(store, connection, project, settings, chosen, (stage, progress))
    if not found.stopped and not chosen.without:
        keep_check(store, before, found.blocking)
    return found


def _passed(things: Iterable[T], of: int, progress: RowsDone) -> Iterator[T]:
    """Yield these `of` things in their order, and report the progress."""
    for done, thing in enumerate(things):
        if done % AT_ONCE == 0:
            progress(done, max(done, of))
        yield thing
    progress(of, of)


def _project_checkup(
    store: Store,
    connection: Connection,
    project: Project,
    settings: Settings,
    options: Options,
    told: tuple[Stage, RowsDone],
) -> Checkup:
    stage, progress = told
    stage(READING)
    settled = dismissals(store)
    rows, sides, gone = _RowPass(options), Sides(connection, _frozen(project)), GoneRows()
    there = (row for row in store.each(excluded=False) if row.state != "rejected" and row.id not in options.without)
    states = [each for by_state in store.counts().values() for each in by_state.items()]
    count = sum(n for state, n in states if state not in ("excluded", "rejected"))
    for row in _passed(there, count, progress):
        rows.see(stored_subject(row), len(row.payload))
        sides.add(row)
    for row in store.each(excluded=True):
        gone.add(row)
    stage("Duplicates")
    twins, stay = Duplicates(), store.rows(ids=sorted(filter(None, map(kept_for, gone.first))))
    found: list[Found] = [(twins, twins.taken_out(gone, {row.id: row for row in stay}))]
    found += _project_pairs(sides, settings, settled, progress)
    rows.end(stage)
    counts = _counts(store, sides.imported, gone)
    malformed = MalformedLines()
    found.append((malformed, malformed.at_import(counts["rejected"])))
    found += [(check, finding and unsettled(finding, settled)) for check, finding in rows.ended]
    waiting, sent = frozenset(sides.waiting), sent_by_finding(store)
    found = [(check, finding and marked_in_review(finding, waiting, sent)) for check, finding in found]
    files = tuple(source.path for source in store.sources())
    return rows.checkup(found, scope=project.name, files=files, **counts)


def _frozen(project: Project) -> frozenset[str]:
    """Return the rows of the test set that was frozen last."""
    folder = newest_dataset(project)
    rows = read_manifest(folder).rows if folder else []
    return frozenset(str(row.get("id")) for row in rows if row.get("split") == "test")


def _project_pairs(
    sides: Sides, settings: Settings, settled: dict[str, list[frozenset[str]]], progress: RowsDone
) -> list[Found]:
    """Return leaks, contradictions, and duplicates that are left."""
    leaks, contradictions, left = Leaks(), Contradictions(), LeftDuplicates()
    found: list[Found] = []
    learnt = sides.learnt
    if learnt:
        collector = Collector(use_compiled(len(learnt)))
        collector.add_rows(_passed(learnt, len(learnt), progress))
        reviewed = np.frombuffer(sides.reviewed, np.bool_)
        result = dedup_prints(
            collector.finish(learnt.fetch), learnt.fetch, settings.dataset.threshold, reviewed=reviewed
        )
        found += [(left, left.found(result, learnt)), (contradictions, contradictions.found(result, learnt, settled))]
    else:
        found.append((contradictions, None))
    if not ((learnt and sides.measured) or (sides.validated and sides.tested)):
        return found  # nothing to compare: a check that did not look did not find nothing
    measured = sides.measured.subjects(range(len(sides.measured)))
    examples, first = [subject.example for subject in measured], len(sides.validated)
    sure, unsure = leaks_between(learnt, examples[:first], examples[first:])
    found.append((leaks, leaks.found(sure, sides.known, measured, settled)))
    found.append((suspects := Suspects(), suspects.found(unsure, sides.known, measured, settled)))
    return found


def _counts(store: Store, imported: int, gone: GoneRows) -> dict[str, int]:
    """Return the counts of the lines read, by what became of them."""
    sources = [source.counts for source in store.sources()]
    read, rejected, known = (sum(counts.get(name, 0) for counts in sources) for name in ("read", "rejected", "known"))
    exact, near = gone.kinds["exact"], gone.kinds["near"]
    other = read - imported - exact - near - rejected - known
    return {
        "read": read, "kept": imported, "exact": exact, "near": near, "rejected": rejected, "known": known,
        "taken_out": max(other, 0),
    }  # fmt: skip
