"""What a run will take: memory by the estimator, time from what was measured here, from dated tables, or unknown."""

from __future__ import annotations

from advisor.sizing.estimate import Workload, estimate
from training.fit import architecture_of, fit_of, setup_of, usable_of
from training.machine import Machine
from training.plan import DataFacts, Forecast, read_plan
from training.preflight import place_of, read_preflight
from training.recipe import Recipe
from training.record import read_runs
from workspace.folder import Project, oldest_first

OWN = "own machine"
LIKE = ("base", "method", "objective", "batch", "processes", "max_length", "checkpointing", "quantisation")
"""Values that decide how fast a step is: a dry run of a plan that shares them counts."""


def seconds_for(project: Project, recipe: Recipe, data: DataFacts) -> float | None:
    """Seconds from the newest finished run of this base and method, else from a dry run of a like plan, else None."""
    for run in reversed(read_runs(project)):
        alike = (run.base, run.method, run.processes) == (recipe.base, recipe.method, recipe.processes)
        if run.state == "finished" and alike and run.tokens:
            return round(run.seconds / run.tokens * data.tokens * recipe.epochs, 1)
    for path in reversed(oldest_first(project.plans.glob("P-*.toml"))):
        if not place_of(project, path.stem).is_file():
            continue
        found, other = read_preflight(project, path.stem), read_plan(path)
        if found is not None and all(getattr(other.recipe, name) == getattr(recipe, name) for name in LIKE):
            return round(found.loading_seconds + data.tokens * recipe.epochs / found.tokens_per_second, 1)
    return None


def forecast_of(project: Project, recipe: Recipe, data: DataFacts, here: Machine, *, elsewhere: bool) -> Forecast:
    """Memory by the estimator. Time from what was measured here, on another machine from the dated tables or not."""
    fit = fit_of(recipe, here, answer=data.answer, usable=usable_of(project))
    seconds, cost, why = _rented(recipe, data, here) if elsewhere else (seconds_for(project, recipe, data), 0.0, OWN)
    if seconds is None and not elsewhere:
        why = f"{OWN}; time unknown until something was measured here"
    return Forecast(
        low=fit and round(fit.low, 2),
        expected=fit and round(fit.expected, 2),
        high=fit and round(fit.high, 2),
        has=round(here.memory_gib, 1),
        where=here.where,
        seconds=seconds,
        cost_usd=cost,
        because=why,
    )


def _rented(recipe: Recipe, data: DataFacts, machine: Machine) -> tuple[float | None, float | None, str]:
    """(seconds, dollars, why) for a card elsewhere: a cited speed and a dated price, or unknown."""
    architecture, card = architecture_of(recipe.base), machine.cards[0][0]
    if architecture is None:
        return None, None, f"{card}; the model's size is unknown"
    rows = data.train - len(data.left_out)
    work = Workload(rows=rows, epochs=recipe.epochs, gpu=card)
    found = estimate(architecture, setup_of(recipe, on_card=True, answer=data.answer), work)
    reason = "time" if found.seconds is None else "price"
    known = found.reasons.get("seconds" if found.seconds is None else "cost_usd", "")
    return found.seconds, found.cost_usd, f"{card}; {reason}: {known}"
