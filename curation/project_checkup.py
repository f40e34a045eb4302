"""The quality checks over a project's rows: what was settled stays settled, what was handled is told."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

from curation.checkup import Stage, run_statistics
from curation.filerows import HeldRows
from curation.findings import Checkup, Ran, in_order
from curation.fixes import dismissals, unsettled
from curation.manifest import newest_dataset, read_manifest
from curation.quality import Check, Finding, Options, Subject, checks
from curation.quality.malformed import Malformed
from curation.quality.mask import names_masked
from curation.quality.twins import Contradictions, Duplicates, Leaks, LeftDuplicates, Suspects
from curation.sampler import Sampler
from workspace.folder import Project
from workspace.settings import Settings

if TYPE_CHECKING:
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


@dataclass(frozen=True, slots=True)
class _Sides:
    """The rows by what they are for; those of a frozen test set are no longer learnt from."""

    learnt: list[Subject]
    reviewed: list[bool]
    validated: list[Subject]
    tested: list[Subject]


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
    with names_masked(options.names if options else None):
        return _checkup(store, project, settings, options or Options(), (stage, progress))


class _Passed(Sequence[T]):
    """Things in order; whoever goes through them tells how far it is."""

    def __init__(self, things: Sequence[T], progress: Progress) -> None:
        self.things, self.progress = things, progress

    def __getitem__(self, index: Any) -> Any:
        return self.things[index]

    def __len__(self) -> int:
        return len(self.things)

    def __iter__(self) -> Iterator[T]:
        for done, thing in enumerate(self.things):
            if done % AT_ONCE == 0:
                self.progress(done, len(self.things))
            yield thing
        self.progress(len(self.things), len(self.things))


def _checkup(
    store: Store, project: Project, settings: Settings, options: Options, told: tuple[Stage, Progress]
) -> Checkup:
    started = time.monotonic()
    stage, progress = told
    stage(READING)
    rows = _Passed([row for row in store.rows(excluded=False) if row.state != "rejected"], progress)
    gone = store.rows(excluded=True)
    settled = dismissals(store)
    chosen = replace(options, label_limit=settings.evaluation.label_limit, seed=settings.dataset.seed)
    run, sampler = checks(chosen), Sampler(chosen.seed)
    for row in rows:
        subject = subject_of(row)
        sampler.add(subject)
        for check in run:
            check.see(subject)
    stage("Duplicates")
    pairs = _pairs(_sides(project, rows.things), settings, settled, gone, progress)
    end = run_statistics(run, sampler, chosen, stage)
    counts = _counts(store, rows.things, gone)
    handled = _handled(store, counts)
    found = [finding for finding in (f for _, f in (*pairs, *handled)) if finding]
    found += [left for finding in end.findings if (left := unsettled(finding, settled))]
    found = [_waiting(finding, rows.things) for finding in found]
    names = {finding.name: finding.rows for finding in found}
    ran = [Ran(name=check.name, title=check.title, rows=f.rows if f else 0) for check, f in (*pairs, *handled)]
    ran += [each.model_copy(update={"rows": names.get(each.name, 0)}) for each in end.ran]
    return Checkup(
        scope=project.name,
        files=tuple(source.path for source in store.sources()),
        checks=tuple(ran),
        findings=in_order(found),
        measures=end.measures,
        stopped=end.stopped,
        seconds=round(time.monotonic() - started, 3),
        **counts,
    )


def subject_of(row: StoredRow) -> Subject:
    """A stored row as the checks see it."""
    file = row.source.rpartition(":")[0] if row.line else row.source
    maker = f"{row.meta.get('strategy') or 'generated'} by {row.meta.get('model') or 'a model'}"
    source = maker if row.origin == "generated" else file
    return Subject(row.example, file, row.line or 0, row.id, row.role, row.origin, source, row.is_reviewed)


def _waiting(finding: Finding, rows: Sequence[StoredRow]) -> Finding:
    """A finding whose rows all wait in review already says so."""
    if finding.action != "queue" or not finding.ids:
        return finding
    sent = {row.id for row in rows if row.queued == finding.title.lower()[:32] and not row.is_reviewed}
    return finding.model_copy(update={"what_to_do": "in review"}) if sent.issuperset(finding.ids) else finding


def _sides(project: Project, rows: Sequence[StoredRow]) -> _Sides:
    frozen = newest_dataset(project)
    tested = {str(r.get("id")) for r in read_manifest(frozen).rows if r.get("split") == "test"} if frozen else set()
    test = [row for row in rows if row.role == "test" or row.id in tested]
    taken = {row.id for row in test}
    validation = [row for row in rows if row.role == "validation" and row.id not in taken]
    learnt = [row for row in rows if row.role in LEARNT and row.id not in taken]
    reviewed = [row.is_reviewed and not row.automatic for row in learnt]
    return _Sides(_subjects(learnt), reviewed, _subjects(validation), _subjects(test))


def _subjects(rows: Sequence[StoredRow]) -> list[Subject]:
    return [subject_of(row) for row in rows]


def _pairs(
    sides: _Sides,
    settings: Settings,
    settled: dict[str, list[frozenset[str]]],
    gone: Sequence[StoredRow],
    progress: Progress,
) -> list[tuple[Check, Finding | None]]:
    """Leaks, contradictions and duplicates, those that are left and those that were taken out at import."""
    from curation.dedup import dedup

    leaks, contradictions, left, duplicates = Leaks(), Contradictions(), LeftDuplicates(), Duplicates()
    found: list[tuple[Check, Finding | None]] = [(duplicates, duplicates.taken_out(gone))]
    if sides.learnt:
        learnt = _Passed([subject.example for subject in sides.learnt], progress)
        result = dedup(learnt, settings.dataset.threshold, reviewed=sides.reviewed)
        at = HeldRows(sides.learnt).subjects
        found += [(left, left.found(result, at)), (contradictions, contradictions.found(result, at, settled))]
    else:
        found.append((contradictions, None))
    known, measured = dict(enumerate([*sides.learnt, *sides.validated])), [*sides.validated, *sides.tested]
    if not ((sides.learnt and measured) or (sides.validated and sides.tested)):
        return found  # nothing to compare: a check that did not look did not find nothing
    sure, unsure = _near_measured(sides)
    found.append((leaks, leaks.found(sure, known, measured, settled)))
    found.append((suspects := Suspects(), suspects.found(unsure, known, measured, settled)))
    return found


def _near_measured(sides: _Sides) -> tuple[list[Leak], list[Leak]]:
    """Leaks and suspects: of learnt rows into validation and test, and of validation rows into test.

    Train numbers count the learnt rows, then the validation rows; test numbers the validation rows, then the test rows.
    """
    from curation.leakage import find_leaks

    learnt, validated, tested = ([s.example for s in part] for part in (sides.learnt, sides.validated, sides.tested))
    into_both, into_test = find_leaks(learnt, [*validated, *tested]), find_leaks(validated, tested)
    first, then = len(learnt), len(validated)

    def moved(leaks: Sequence[Leak]) -> list[Leak]:
        return [replace(leak, train=leak.train + first, test=leak.test + then) for leak in leaks]

    return [*into_both.leaks, *moved(into_test.leaks)], [*into_both.suspects, *moved(into_test.suspects)]


def _counts(store: Store, rows: Sequence[StoredRow], gone: Sequence[StoredRow]) -> dict[str, int]:
    """How the lines read add up."""
    sources = [source.counts for source in store.sources()]
    by_kind = {"exact": 0, "near": 0}
    for row in gone:
        if kind := DUPLICATE_REASONS.get(row.excluded or ""):
            by_kind[kind] += 1
    read, rejected, known = (sum(counts.get(name, 0) for counts in sources) for name in ("read", "rejected", "known"))
    imported = sum(row.origin == "import" for row in rows)
    other = read - imported - sum(by_kind.values()) - rejected - known
    return {"read": read, "kept": imported, **by_kind, "rejected": rejected, "known": known, "taken_out": max(other, 0)}


def _handled(store: Store, counts: dict[str, int]) -> list[tuple[Check, Finding | None]]:
    """Malformed lines of the imports: rejected then, with their reasons."""
    malformed = Malformed()
    if not counts["rejected"]:
        return [(malformed, None)]
    reason = "These lines could not be read at import; they are in the rejects files with their reasons."
    finding = malformed.finding([], rows=counts["rejected"], reason=reason, severity="handled")
    return [(malformed, finding.model_copy(update={"what_to_do": "kept in the rejects file"}))]
