"""How long a run will take, from what was measured in this project on this machine: runs, else dry runs."""

from __future__ import annotations

from training.plan import DataFacts, read_plan
from training.preflight import place_of, read_preflight
from training.recipe import Recipe
from training.record import read_runs
from workspace.folder import Project

LIKE = ("base", "method", "objective", "batch", "max_length", "checkpointing", "quantisation")
"""Values that decide how fast a step is: a dry run of a plan that shares them counts."""


def seconds_for(project: Project, recipe: Recipe, data: DataFacts) -> float | None:
    """Seconds from the newest finished run of this base and method, else from a dry run of a like plan, else None."""
    for run in reversed(read_runs(project)):
        if run.state == "finished" and (run.base, run.method) == (recipe.base, recipe.method) and run.tokens:
            return round(run.seconds / run.tokens * data.tokens * recipe.epochs, 1)
    for path in sorted(project.plans.glob("P-*.toml"), reverse=True):
        if not place_of(project, path.stem).is_file():
            continue
        found, other = read_preflight(project, path.stem), read_plan(path)
        if found is not None and all(getattr(other.recipe, name) == getattr(recipe, name) for name in LIKE):
            return round(found.loading_seconds + data.tokens * recipe.epochs / found.tokens_per_second, 1)
    return None
