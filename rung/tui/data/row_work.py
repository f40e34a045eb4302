"""Work on every row for Data, Dataset and Plan, done in the worker process."""

from dataclasses import dataclass

from curation.checks.base import Checkup
from curation.checks.run import check_project
from curation.split.freeze import same_version
from curation.split.plan import Blocker, plan_freeze
from curation.store import open_store
from rung.text.dataset_text import failed_lines
from rung.tui.worker_process import Say
from training.gates.clearance import check_gates
from training.gates.gate import Gate
from training.plan.plans import Plan
from workspace.folder import Project
from workspace.settings import Settings

BEGAN, AHEAD = "began", "ahead"
"""Progress of the checks: one begins, with its title; n of N rows done."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """Preview of a freeze, without its rows: rows per split, blockers, the identical version."""

    test_only: bool
    sizes: dict[str, int]
    blockers: tuple[Blocker, ...]
    same: str
    failed: tuple[str, ...] = ()
    """Lines on samples of the review that failed."""


@dataclass(frozen=True, slots=True)
class DatedCheck:
    """A check, the time of day when it ended, and what the project was then: another one has to be checked again."""

    project: tuple[object, ...]
    clock: str
    checkup: Checkup


def checked(say: Say, project: Project, settings: Settings) -> Checkup:
    """Return every check on the project's rows, as `rung data check` runs them."""
    with open_store(project, settings) as store:
        return check_project(
            store,
            project,
            settings,
            stage=lambda title: say((BEGAN, title)),
            progress=lambda done, of: say((AHEAD, done, of)),
        )


def foreseen(_: Say, project: Project, settings: Settings, test_only: bool) -> Foreseen:
    """Return the freeze, planned; nothing is written."""
    with open_store(project, settings) as store:
        plan = plan_freeze(store, project, settings, test_only=test_only, leave_out=True)
    there = same_version(project, settings, plan)
    failed = tuple(failed_lines(plan.samples))
    return Foreseen(plan.test_only, plan.sizes, plan.blockers, there.name if there is not None else "", failed)


def gated(_: Say, project: Project, settings: Settings, plan: Plan | None) -> list[Gate]:
    """Return the six gates, computed again."""
    return list(check_gates(project, settings, plan))
