"""How long a run will take, from runs that were measured in this project on this machine."""

from __future__ import annotations

from training.plan import DataFacts
from training.recipe import Recipe
from training.record import RunRecord, read_runs
from workspace.folder import Project


def _kind(of: RunRecord | Recipe) -> tuple[str, str, str]:
    return of.base, of.method, of.objective


def seconds_for(project: Project, recipe: Recipe, data: DataFacts) -> float | None:
    """Seconds from the newest finished run of this base and method; None where there is none."""
    for run in reversed(read_runs(project)):
        if run.state == "finished" and _kind(run) == _kind(recipe) and run.tokens:
            return round(run.seconds / run.tokens * data.tokens * recipe.epochs, 1)
    return None
