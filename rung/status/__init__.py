"""Where a project stands: ten stages with state and reason, the measured ladder, and what is next.

Read by `rung status`, by the Start screen, and by `rung` without a terminal. Computed from the artefacts in the folder
and the counts of the store each time; nothing is remembered here.
"""

from __future__ import annotations

from rung.status.facts import Facts, read_facts
from rung.status.stages import Ladder, Stage, Status, status_of
from workspace.folder import Project

__all__ = ["Facts", "Ladder", "Stage", "Status", "read_facts", "read_status", "status_of"]


def read_status(project: Project) -> Status:
    """Read everything that the stages speak of, and say where the project stands."""
    return status_of(read_facts(project))
