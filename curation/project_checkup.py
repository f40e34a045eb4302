"""The quality checks over a project's rows: what was settled stays settled, what was handled is told."""

from __future__ import annotations

import time
from array import array
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

from curation.checkup import HASHES_HELD, Stage, run_statistics
from curation.filerows import HeldRows, Joined
from curation.findings import Checkup, Ran, in_order
from curation.fixes import dismissals, unsettled
from curation.last_check import keep_check
from curation.manifest import newest_dataset, read_manifest
from curation.quality import Check, Finding, Options, Subject, checks
from curation.quality.base import EVIDENCE_KEPT
from curation.quality.malformed import Malformed
from curation.quality.mask import names_masked
from curation.quality.twins import Contradictions, Duplicates, Leaks, LeftDuplicates, Suspects
from curation.rowspool import RowSpool
from curation.sampler import Sampler
from curation.store.ids import number_of
from workspace.folder import Project
from workspace.settings import Settings

if TYPE_CHECKING:
    from curation.dedup import DedupResult
    from curation.leakage import Leak
    from curation.store import Store, StoredRow

T = TypeVar("T")
Progress = Callable[[int, int], None]
"""Called as `progress(rows done, all rows)` from the thread that does the work."""
READING = "Reading the rows"
"""The stage in which every check sees each row by itself."""
AT_ONCE = 500
"""Rows between two of these calls."""
LEARNT = ("pool", "candidates", "train")
DUPLICATE_REASONS = {"exact duplicate": "exact", "near duplicate": "near"}


@dataclass(slots=True)
class _Sides:
    """The rows by what they are for; those of a frozen test set are no longer learnt from. Of the rows that are learnt
    from, which may be very many, none is held.
    """

    tested_before: frozenset[str]
    learnt: RowSpool = field(default_factory=RowSpool)
    reviewed: bytearray = field(default_factory=bytearray)
    validated: list[Subject] = field(default_factory=list)
    tested: list[Subject] = field(default_factory=list)

    def add(self, row: StoredRow, subject: Subject) -> None:
        """One more row."""
        if row.role == "test" or row.id in self.tested_before:
            self.tested.append(subject)
        elif row.role == "validation":
            self.validated.append(subject)
        elif row.role in LEARNT:
            self.learnt.add(subject, row.payload)
            self.reviewed.append(row.is_reviewed and not row.automatic)


@dataclass(slots=True)
class _Gone:
    """The rows that were taken out: duplicates counted by kind, by the row that was kept, and the first of them."""

    kinds: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    first: list[StoredRow] = field(default_factory=list)

    def add(self, row: StoredRow) -> None:
        """One more row."""
        if not (kind := DUPLICATE_REASONS.get(row.excluded or "")):
            return
        self.kinds[kind] += 1
        self.kept[str(row.evidence.get("kept", ""))] += 1
        if len(self.first) < EVIDENCE_KEPT:
            self.first.append(row)


@dataclass(slots=True)
class _Seen:
    """What else is known of the rows that are in: how many were imported; the numbers of those that wait in review,
    by what they wait for.
    """

    imported: int = 0
    waiting: dict[str, array[int]] = field(default_factory=lambda: defaultdict(lambda: array("q")))

    def add(self, row: StoredRow) -> None:
        """One more row."""
        self.imported += row.origin == "import"
        if row.queued and not row.is_reviewed:
            self.waiting[row.queued].append(number_of(row.id))


def check_project(
    store: Store,
    project: Project,
    settings: Settings,
    options: Options | None = None,
    stage: Stage = lambda _: None,
    progress: Progress = lambda done, of: None,
) -> Checkup:
    """Check all rows that are in (not taken out, not rejected in review).

    `stage` hears the title of each check that begins, `progress` how many rows the present one has gone through.
    """
    before = store.revision()
    with names_masked(options.names if options else None):
        found = _checkup(store, project, settings, options or Options(), (stage, progress))
    if not found.stopped:
        keep_check(store, before, len(found.blocking))
    return found


def _passed(things: Iterable[T], of: int, progress: Progress) -> Iterator[T]:
    """These `of` things in their order, and how far that is."""
    for done, thing in enumerate(things):
        if done % AT_ONCE == 0:
            progress(done, max(done, of))
        yield thing
    progress(of, of)


def _checkup(
    store: Store, project: Project, settings: Settings, options: Options, told: tuple[Stage, Progress]
) -> Checkup:
    started = time.monotonic()
    stage, progress = told
    stage(READING)
    settled = dismissals(store)
    chosen = replace(options, label_limit=settings.evaluation.label_limit, seed=settings.dataset.seed)
    run, sampler, sides, seen, gone = checks(chosen), Sampler(chosen.seed), _Sides(_frozen(project)), _Seen(), _Gone()
    for row in _passed(_rows_in(store), _how_many(store), progress):
        subject = subject_of(row)
        sampler.add(subject, len(row.payload))
        for check in run:
            check.see(subject)
        sides.add(row, subject)
        seen.add(row)
    for row in store.each(excluded=True):
        gone.add(row)
    stage("Duplicates")
    pairs = _pairs(sides, settings, settled, gone, progress)
    end = run_statistics(run, sampler, chosen, stage)
    counts = _counts(store, seen, gone)
    handled = _handled(store, counts)
    found = [finding for finding in (f for _, f in (*pairs, *handled)) if finding]
    found += [left for finding in end.findings if (left := unsettled(finding, settled))]
    found = [_waiting(finding, seen) for finding in found]
    names = {finding.name: finding.rows for finding in found}
    ran = [Ran(name=check.name, title=check.title, rows=f.rows if f else 0) for check, f in (*pairs, *handled)]
    ran += [each.model_copy(update={"rows": names.get(each.name, 0)}) for each in end.ran]
    return Checkup(
        scope=project.name,
        files=tuple(source.path for source in store.sources()),
        checks=tuple(ran),
        findings=in_order(found),
        measures=end.measures,
        sampled=sampler.sampled,
        stopped=end.stopped,
        seconds=round(time.monotonic() - started, 3),
        **counts,
    )


def _rows_in(store: Store) -> Iterator[StoredRow]:
    return (row for row in store.each(excluded=False) if row.state != "rejected")


def _how_many(store: Store) -> int:
    """How many rows are in."""
    return sum(
        n for states in store.counts().values() for state, n in states.items() if state not in ("excluded", "rejected")
    )


def _frozen(project: Project) -> frozenset[str]:
    """The rows of the test set that was frozen last."""
    folder = newest_dataset(project)
    rows = read_manifest(folder).rows if folder else []
    return frozenset(str(row.get("id")) for row in rows if row.get("split") == "test")


def subject_of(row: StoredRow) -> Subject:
    """A stored row as the checks see it."""
    file = row.source.rpartition(":")[0] if row.line else row.source
    maker = f"{row.meta.get('strategy') or 'generated'} by {row.meta.get('model') or 'a model'}"
    source = maker if row.origin == "generated" else file
    return Subject(row.example, file, row.line or 0, row.id, row.role, row.origin, source, row.is_reviewed)


def _waiting(finding: Finding, seen: _Seen) -> Finding:
    """A finding whose rows all wait in review already says so."""
    if finding.action != "queue" or not finding.ids:
        return finding
    sent = set(seen.waiting.get(finding.title.lower()[:32], ()))
    all_sent = bool(sent) and all(number_of(name) in sent for name in finding.ids)
    return finding.model_copy(update={"what_to_do": "in review"}) if all_sent else finding


def _pairs(
    sides: _Sides, settings: Settings, settled: dict[str, list[frozenset[str]]], gone: _Gone, progress: Progress
) -> list[tuple[Check, Finding | None]]:
    """Leaks, contradictions and duplicates, those that are left and those that were taken out at import."""
    leaks, contradictions, left, duplicates = Leaks(), Contradictions(), LeftDuplicates(), Duplicates()
    taken_out = duplicates.taken_out(gone.first, gone.kinds.total(), gone.kept)
    found: list[tuple[Check, Finding | None]] = [(duplicates, taken_out)]
    if len(sides.learnt):
        result = _dedup(sides, settings.dataset.threshold, progress)
        found += [(left, left.found(result, sides.learnt))]
        found += [(contradictions, contradictions.found(result, sides.learnt, settled))]
    else:
        found.append((contradictions, None))
    known = Joined(len(sides.learnt), sides.learnt, HeldRows(sides.validated))
    measured = [*sides.validated, *sides.tested]
    if not ((len(sides.learnt) and measured) or (sides.validated and sides.tested)):
        return found  # nothing to compare: a check that did not look did not find nothing
    sure, unsure = _near_measured(sides)
    found.append((leaks, leaks.found(sure, known, measured, settled)))
    found.append((suspects := Suspects(), suspects.found(unsure, known, measured, settled)))
    return found


def _dedup(sides: _Sides, threshold: float, progress: Progress) -> DedupResult:
    import numpy as np

    from curation.dedup import dedup_prints
    from curation.prints import Collector, use_compiled

    count = len(sides.learnt)
    collector = Collector(use_compiled(count), HASHES_HELD)
    for example in _passed(sides.learnt, count, progress):
        collector.add(example)
    reviewed = np.frombuffer(sides.reviewed, np.bool_)
    return dedup_prints(collector.finish(sides.learnt), sides.learnt, threshold, reviewed=reviewed)


def _near_measured(sides: _Sides) -> tuple[Iterator[Leak], Iterator[Leak]]:
    """Leaks and suspects: of learnt rows into validation and test, and of validation rows into test.

    Train numbers count the learnt rows, then the validation rows; test numbers the validation rows, then the test rows.
    """
    from curation.leakage import find_leaks

    validated, tested = ([s.example for s in part] for part in (sides.validated, sides.tested))
    into_both, into_test = find_leaks(sides.learnt, [*validated, *tested]), find_leaks(validated, tested)
    first, then = len(sides.learnt), len(validated)

    def moved(leaks: Sequence[Leak]) -> Iterator[Leak]:
        return (replace(leak, train=leak.train + first, test=leak.test + then) for leak in leaks)

    sure, unsure = chain(into_both.leaks, moved(into_test.leaks)), chain(into_both.suspects, moved(into_test.suspects))
    return sure, unsure


def _counts(store: Store, seen: _Seen, gone: _Gone) -> dict[str, int]:
    """How the lines read add up."""
    sources = [source.counts for source in store.sources()]
    read, rejected, known = (sum(counts.get(name, 0) for counts in sources) for name in ("read", "rejected", "known"))
    exact, near = gone.kinds["exact"], gone.kinds["near"]
    other = read - seen.imported - exact - near - rejected - known
    return {
        "read": read, "kept": seen.imported, "exact": exact, "near": near, "rejected": rejected, "known": known,
        "taken_out": max(other, 0),
    }  # fmt: skip


def _handled(store: Store, counts: dict[str, int]) -> list[tuple[Check, Finding | None]]:
    """Malformed lines of the imports: rejected then, with their reasons."""
    malformed = Malformed()
    if not counts["rejected"]:
        return [(malformed, None)]
    reason = "These lines could not be read at import; they are in the rejects files with their reasons."
    finding = malformed.finding([], rows=counts["rejected"], reason=reason, severity="handled")
    return [(malformed, finding.model_copy(update={"what_to_do": "kept in the rejects file"}))]
