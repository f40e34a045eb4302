"""Looks at a test set: how often it was scored or seen, and the planned number of runs. An honest 95% depends on them.

The number of runs is fixed, as an event, before the first is scored. Each run that is scored takes a place, and so does
each look at test items before the last planned run; a run beyond the plan cannot ship.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from curation.store import Event, open_store, store_exists
from evaluation.measurement_report import Report, reports
from evaluation.testset.history import older_tests
from evaluation.verdict.intervals import CONFIDENCE
from workspace.folder import Project
from workspace.settings import Settings, load_settings

PLANNED, SCORED, LOOKED, RECHECKED = "test_planned", "test_scored", "test_look", "test_recheck"
"""Kinds of event; `ref` is the test split's sha256."""


@dataclass(frozen=True, slots=True)
class ScoringHistory:
    """A test set so far: runs planned for it, scorings in order, looks at its items; and the metric and the margin that
    were named before the first (empty and None if none was).

    A scoring is named by its run; by `R-001 as NAME` where a server was asked for it by that name, by `R-001 by chrf`
    where another metric than the named one was used, and by `R-001 on v001` where it was on an older version whose
    items are most of these, but not the same.
    """

    planned: int
    runs: tuple[str, ...] = ()
    looks: int = 0
    seen: tuple[int, ...] = ()
    """Looks before each scoring; 0 if there is none."""
    metric: str = ""
    margin: float | None = None

    @property
    def confidence(self) -> float:
        """Return the confidence of each planned run's interval: 1 - .05/k, so that all k hold together (Bonferroni)."""
        return confidence_for(self.planned)

    @property
    def is_open(self) -> bool:
        """True if the last planned run was scored: its items may now be read without harm to the plan."""
        return len(self.runs) >= self.planned

    def scoring(self, run: str, metric: str) -> str:
        """Return the name of a scoring of `run` by `metric`."""
        return f"{run} by {metric}" if self.metric and metric != self.metric else run

    def place(self, scoring: str) -> int:
        """Return the number of this scoring of the test set, from 1, looks counted; a repeated one keeps its number."""
        if scoring not in self.runs:
            return len(self.runs) + 1 + self.looks
        before = self.runs.index(scoring)
        return before + 1 + (self.seen[before] if before < len(self.seen) else 0)

    def may_ship(self, scoring: str) -> bool:
        """True if it is one of the planned runs."""
        return self.place(scoring) <= self.planned


def confidence_for(planned: int) -> float:
    """1 - .05/k."""
    return 1 - (1 - CONFIDENCE) / planned


def standing(project: Project, settings: Settings, test_sha256: str) -> ScoringHistory:
    """Return the scoring history of a test set and its older versions: store events, and reports older than these."""
    events, runs = _events(project, settings), [report for report in reports(project) if report.kind == "run"]
    seen = {r.test_sha256 for r in runs} | {e.ref for e in events if e.kind in (SCORED, LOOKED)}
    drawn = {str(row) for event in events if event.kind == RECHECKED for row in event.detail["rows"]}
    older = older_tests(project, test_sha256, seen, drawn)
    versions = {**{o.test_sha256: "" if o.same else f" on {o.version}" for o in older}, test_sha256: ""}
    events = [event for event in events if event.ref in versions]
    plan = next((event.detail for event in events if event.kind == PLANNED), {})
    scored = [each for sha in versions for each in _scored(sha, events, runs)]
    found = ScoringHistory(
        planned=int(plan.get("runs", settings.evaluation.runs)),
        looks=sum(event.kind == LOOKED for event in events),
        metric=str(plan.get("metric") or next((metric for (_, _, metric), _ in scored if metric), "")),
        margin=plan.get("margin"),
    )
    first: dict[str, int] = {}
    for (sha, run, metric), at in scored:
        first.setdefault(found.scoring(run, metric or found.metric) + versions[sha], at)
    looks = [event.id for event in events if event.kind == LOOKED]
    return replace(found, runs=tuple(first), seen=tuple(sum(look < at for look in looks) for at in first.values()))


def _events(project: Project, settings: Settings) -> list[Event]:
    if not store_exists(project, settings):
        return []
    with open_store(project, settings) as store:
        return [event for kind in (PLANNED, SCORED, LOOKED, RECHECKED) for event in store.events(kind=kind)]


def _scored(sha: str, events: Sequence[Event], measured: Sequence[Report]) -> list[tuple[tuple[str, str, str], int]]:
    """Test set, run and metric of each scoring, and its event's number: reports without an event (0), then events."""
    told = [
        ((sha, str(e.detail["run"]), str(e.detail.get("metric", ""))), e.id)
        for e in events
        if (e.kind, e.ref) == (SCORED, sha)
    ]
    named = {scoring for scoring, _ in told}
    runs = {run for _, run, metric in named if not metric}
    known = [(sha, r.scored, r.metric) for r in measured if r.test_sha256 == sha and r.scored not in runs]
    return [*((each, 0) for each in known if each not in named), *told]


def take_place(project: Project, settings: Settings, test_sha256: str, run: str) -> ScoringHistory:
    """Fix the plan if it is the first run, and note that `run` is being scored; before the test is answered.

    A killed scoring keeps its place: its partial answers may have been read.
    """
    before, wanted = standing(project, settings, test_sha256), settings.evaluation
    margin = before.margin
    if margin is None:  # the environment asks for more than rung.toml, never for less
        margin = max(wanted.margin, load_settings(project.settings_file, {}).evaluation.margin)
    plan = {"runs": before.planned, "metric": before.metric or wanted.scored_by, "margin": margin}
    scoring = {"run": run, "metric": wanted.scored_by}
    with open_store(project, settings) as store:
        if not store.events(kind=PLANNED, ref=test_sha256):
            store.event(PLANNED, settings.project.person, ref=test_sha256, detail=plan)
        if before.scoring(run, wanted.scored_by) not in before.runs:
            store.event(SCORED, settings.project.person, ref=test_sha256, detail=scoring)
    return standing(project, settings, test_sha256)


def note_look(project: Project, settings: Settings, report: Report) -> bool:
    """Record that test items are shown; True if that counts: while planned runs are not all scored."""
    before = standing(project, settings, report.test_sha256)
    if before.is_open:
        return False
    with open_store(project, settings) as store:
        store.event(LOOKED, settings.project.person, ref=report.test_sha256, detail={"report": report.id})
    return True


def split_to_show(project: Project, settings: Settings, test_sha256: str) -> Literal["test", "validation"]:
    """Return the split that may be shown: validation until the last planned run was scored, or a look counted."""
    now = standing(project, settings, test_sha256)
    return "test" if now.is_open or now.looks else "validation"
