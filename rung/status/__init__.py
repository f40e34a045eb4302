"""Status of a project: ten stages with state and reason, the measured ladder, and the next command.

Read by `rung status`, by the Start screen, and by `rung` without a terminal. Computed from the artefacts in the folder
and the counts of the store each time; nothing is remembered here.
"""

from rung.status.facts import Facts, read_facts
from rung.status.stages import Ladder, Stage, Status, status_of
from workspace.folder import Project

__all__ = ["Facts", "Ladder", "Stage", "Status", "next_step", "read_facts", "read_status", "status_of"]


def read_status(project: Project) -> Status:
    """Read the artefacts and the store, and return the status."""
    return status_of(read_facts(project))


def next_step(project: Project) -> str:
    """Return the command that leads on in this project, the one that `rung status` and Start name.

    Every command that ends a stage prints it, so that all of them agree.
    """
    return read_status(project).command
