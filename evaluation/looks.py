"""How often a test set was scored or seen, and how many runs it was meant for: what an honest 95% depends on.

The number of runs is fixed, as an event, before the first is scored. Each run that is scored takes a place, and so does
each look at test items before the last planned run; a run beyond the plan cannot ship.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from curation.store import open_store, store_exists
from evaluation.compare import CONFIDENCE
from evaluation.report import Report
from workspace.artefact import read_artefact
from workspace.folder import Project
from workspace.settings import Settings

PLANNED, SCORED, LOOKED = "test_planned", "test_scored", "test_look"
"""Kinds of event; `ref` is the test split's sha256."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A test set so far: runs planned for it, runs scored in order, and looks at its items."""

    planned: int
    runs: tuple[str, ...] = ()
    looks: int = 0

    @property
    def confidence(self) -> float:
        """Of each planned run's interval: 1 - .05/k, so that all k hold together (Bonferroni)."""
        return confidence_for(self.planned)

    @property
    def is_open(self) -> bool:
        """Whether the last planned run was scored: from then on its items may be read without harm to the plan."""
        return len(self.runs) >= self.planned

    def place(self, run: str) -> int:
        """Which scoring of this test set the run is, from 1, looks counted; a run scored again keeps its place."""
        before = self.runs.index(run) if run in self.runs else len(self.runs)
        return before + 1 + self.looks

    def may_ship(self, run: str) -> bool:
        """Whether the run is among those that were planned."""
        return self.place(run) <= self.planned


def confidence_for(planned: int) -> float:
    """1 - .05/k."""
    return 1 - (1 - CONFIDENCE) / planned


def standing(project: Project, settings: Settings, test_sha256: str) -> Standing:
    """What is known of a test set: events of the store, and reports older than them."""
    runs = list(_reported(project, test_sha256))
    if not store_exists(project, settings):
        return Standing(settings.evaluation.runs, tuple(runs))
    with open_store(project, settings) as store:
        events = store.events(ref=test_sha256)
    planned = next((int(e.detail["runs"]) for e in events if e.kind == PLANNED), settings.evaluation.runs)
    scored = [str(e.detail["run"]) for e in events if e.kind == SCORED]
    older = [run for run in runs if run not in scored]
    return Standing(planned, tuple(dict.fromkeys([*older, *scored])), sum(e.kind == LOOKED for e in events))


def take_place(project: Project, settings: Settings, test_sha256: str, run: str) -> Standing:
    """Fix the plan if it is the first run, and note that `run` is being scored; before the test is answered.

    A killed scoring keeps its place: its partial answers may have been read.
    """
    before = standing(project, settings, test_sha256)
    with open_store(project, settings) as store:
        if not store.events(kind=PLANNED, ref=test_sha256):
            store.event(PLANNED, settings.project.person, ref=test_sha256, detail={"runs": before.planned})
        if not any(e.detail.get("run") == run for e in store.events(kind=SCORED, ref=test_sha256)):
            store.event(SCORED, settings.project.person, ref=test_sha256, detail={"run": run})
    return standing(project, settings, test_sha256)


def note_look(project: Project, settings: Settings, report: Report) -> bool:
    """Record that test items are shown; counted, and True, only while planned runs are still to be scored."""
    before = standing(project, settings, report.test_sha256)
    if before.is_open:
        return False
    with open_store(project, settings) as store:
        store.event(LOOKED, settings.project.person, ref=report.test_sha256, detail={"report": report.id})
    return True


def split_to_show(project: Project, settings: Settings, test_sha256: str) -> Literal["test", "validation"]:
    """Which items a page or a screen may show: validation until the last planned run was scored, or a look counted."""
    now = standing(project, settings, test_sha256)
    return "test" if now.is_open or now.looks else "validation"


def _reported(project: Project, test_sha256: str) -> list[str]:
    """Runs with a report on this test set, in order."""
    reports = (read_artefact(path, Report) for path in sorted(project.evaluations.glob("*/report.json")))
    runs = (r.run for r in reports if r.kind == "run" and r.test_sha256 == test_sha256)
    return list(dict.fromkeys(run for run in runs if run))
