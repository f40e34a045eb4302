"""Facts for the stages, read once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from advisor.answer_file import answers_at, load_answers
from advisor.decision import Decision
from curation.checks.base import LastCheck
from curation.split.manifest import Manifest, changed_splits, newest_dataset, read_manifest
from curation.store import open_store, store_exists
from evaluation.measured_answers import with_judged
from evaluation.measurement_report import Report, newest_report
from evaluation.verdict.rule import Verdict, newest_verdict
from training.release.releases import Release, current_release
from training.runs import RunRecord, newest_run, read_runs
from workspace.artefact import read_artefact
from workspace.errors import RungError
from workspace.files import is_unchanged, sha256_file
from workspace.folder import Project, by_number
from workspace.settings import Settings, load_settings

if TYPE_CHECKING:
    from curation.review.progress import SampleProgress
    from curation.store import Store

NOT_READ = LastCheck(is_old=False)
WAITING = ("pending", "leased", "skipped", "unsure")
Value = TypeVar("Value")
Counts = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stored:
    counts: Counts = field(default_factory=dict)
    """Rows by role and state."""
    lines_read: int = 0
    unreadable: int = 0
    """Lines that an import could not read; they are in its rejects file."""
    reviewers: tuple[str, ...] = ()
    check: LastCheck = NOT_READ
    """The last check of the rows, and whether they changed since."""
    failed: tuple[SampleProgress, ...] = ()
    """Samples of the review with more errors than they allow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts(_Stored):
    """Facts about a project folder. Parts that could not be read are None, and `problems` says why."""

    project: Project
    settings: Settings
    answers: Mapping[str, object] = field(default_factory=dict)
    not_asked: frozenset[str] = frozenset()
    decision: Decision | None = None
    decision_is_old: bool = False
    dataset: Manifest | None = None
    baseline: Report | None = None
    dataset_sha256: str = ""
    """Hash of the newest version's manifest, by which every command names it; empty if nothing is frozen."""
    changed: tuple[str, ...] = ()
    """Files of the newest version that are not as they were frozen."""
    other_outputs: tuple[str, ...] = ()
    """Reports of which a file is not the one that was measured."""
    unmeasured: str = ""
    """Arms that the project could measure and the baseline has not, in words."""
    plan: Path | None = None
    run: RunRecord | None = None
    finished: RunRecord | None = None
    measured: Report | None = None
    verdict: Verdict | None = None
    release: Path | None = None
    released: Release | None = None
    """The release in use: the last one, unless a person went back."""
    store_fault: str = ""
    """Reason why the store could not be read; then its counts are unknown, not 0."""
    problems: tuple[str, ...] = ()

    @property
    def goal(self) -> float | None:
        """The goal that the answers name."""
        goal = self.answers.get("goal_score")
        return float(goal) if isinstance(goal, int | float) else None

    def rows(self, *states: str) -> int:
        """Return rows in these states, over all roles."""
        return sum(n for table in self.counts.values() for state, n in table.items() if state in states)

    @property
    def test_sha256(self) -> str:
        """SHA-256 of the newest frozen test split, empty if there is none."""
        test = self.dataset.splits.get("test") if self.dataset else None
        return test.sha256 if test else ""


def read_facts(project: Project, *, with_store: bool = True) -> Facts:
    """Read the folder; with `with_store` the database too. A part that cannot be read becomes a problem, not an end."""
    problems: list[str] = []

    def part(read: Callable[[], Value], instead: Value) -> Value:
        try:
            return read()
        except RungError as error:
            problems.append(f"{error.message} -> {error.hint}" if error.hint else error.message)
            return instead

    settings = part(lambda: load_settings(project.settings_file), Settings())
    folder = part(lambda: newest_dataset(project), None)
    dataset = part(lambda: read_manifest(folder) if folder else None, None)
    sha256 = dataset.splits["test"].sha256 if dataset and "test" in dataset.splits else None
    nobody: tuple[Mapping[str, object], frozenset[str]] = ({}, frozenset())
    answers, not_asked = part(lambda: _answers(project), nobody)
    no_decision: tuple[Decision | None, bool] = (None, False)
    decision, is_old = part(lambda: _decision(project, settings), no_decision)
    before = len(problems)
    stored = part(lambda: _store(project, settings) if with_store else _Stored(), _Stored())
    store_fault = problems[-1] if len(problems) > before else ""
    released = part(lambda: current_release(project), None)
    baseline = part(lambda: _second(newest_report(project, "baseline", test_sha256=sha256)), None)
    measured = part(lambda: _second(newest_report(project, "run", test_sha256=sha256)), None)

    def other(*files: Path) -> list[str]:
        """Return names of those that are not the ones of the log."""
        if not with_store or not store_exists(project, settings):
            return []
        from curation.store.vouching import unlike_log

        none: list[Path] = []
        return [path.name for path in part(lambda: unlike_log(project, settings, *files), none)]

    return Facts(
        project=project,
        settings=settings,
        answers=answers,
        not_asked=not_asked,
        decision=decision,
        decision_is_old=is_old,
        **{each.name: getattr(stored, each.name) for each in fields(stored)},
        dataset=dataset,
        dataset_sha256=sha256_file(folder / "manifest.json") if folder and dataset else "",
        changed=tuple([*changed_splits(folder, dataset), *other(folder / "manifest.json")])
        if folder and dataset
        else (),
        baseline=baseline,
        other_outputs=tuple(
            report.id
            for report in (baseline, measured)
            if report
            and (
                not is_unchanged(project.evaluations / report.id / "outputs.jsonl", report.outputs_sha256)
                or other(*(project.evaluations / report.id / f"{name}.json" for name in ("report", "verdict")))
            )
        ),
        unmeasured=part(lambda: _unmeasured(project, dataset, baseline), ""),
        plan=max(project.plans.glob("P-*.toml"), key=by_number, default=None),
        run=part(lambda: next(reversed(read_runs(project)), None), None),
        finished=part(lambda: newest_run(project), None),
        measured=measured,
        verdict=part(lambda: _second(newest_verdict(project)), None),
        release=released[0] if released else None,
        released=_second(released),
        store_fault=store_fault,
        problems=tuple(dict.fromkeys(problems)),
    )


def _answers(project: Project) -> tuple[Mapping[str, object], frozenset[str]]:
    if not project.answers_file.is_file():
        return {}, frozenset()
    answers = load_answers(project.answers_file)
    said = answers.model_dump(exclude_none=True, exclude={"answered"})
    return {**dict.fromkeys(answers.answered, "unknown"), **said}, answers.measured()


def _decision(project: Project, settings: Settings) -> tuple[Decision | None, bool]:
    """Return the decision, and whether the answers or their measured values have changed since."""
    if not project.decision_file.is_file():
        return None, False
    decision = read_artefact(project.decision_file, Decision)
    made_from = decision.made_from.get("answers.toml")
    is_old = bool(made_from) and project.answers_file.is_file() and sha256_file(project.answers_file) != made_from
    answers = answers_at(project.answers_file)
    return decision, is_old or with_judged(project, settings, answers) is not answers


def _second(found: tuple[Path, Value] | None) -> Value | None:
    return found[1] if found else None


def _unmeasured(project: Project, dataset: Manifest | None, baseline: Report | None) -> str:
    if not dataset or not baseline:
        return ""
    from evaluation.outcomes import unmeasured_words

    return unmeasured_words(project, dataset, baseline)


def _store(project: Project, settings: Settings) -> _Stored:
    if not store_exists(project, settings):
        return _Stored()
    from curation.checks.dismissals import last_check
    from curation.review.queue import refresh_queue

    with open_store(project, settings) as store:
        refresh_queue(store, settings)
        sources = store.sources()
        counts = store.counts()
        return _Stored(
            counts=counts,
            lines_read=sum(s.counts.get("read", 0) for s in sources),
            unreadable=sum(s.counts.get("rejected", 0) for s in sources),
            reviewers=store.deciders(),
            check=last_check(store),
            failed=_failed_samples(store, settings),
        )


def _failed_samples(store: Store, settings: Settings) -> tuple[SampleProgress, ...]:
    from curation.review.progress import sample_progress

    if settings.review.pool != "sample":
        return ()
    return tuple(sample for sample in sample_progress(store, settings.review) if sample.failed)
