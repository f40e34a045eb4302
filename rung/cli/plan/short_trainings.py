"""`rung plan sweep`: short trainings on validation, their cost shown first."""

from collections.abc import Sequence
from pathlib import Path

from rung.cli.output import ProgressLine, note, show, show_locked
from rung.cli.plan.planned import MadePlan
from rung.status.following import after_sweep
from rung.text.training_text import sweep_lines
from training.gates.clearance import Locked
from training.gates.gate import GateOverride
from training.plan.plans import Plan
from training.run.base_model import PlanTokenizer
from training.trials.sweep import (
    Point,
    Spec,
    begin,
    budget,
    cleared,
    lay_out,
    outcome,
    parse_space,
    put_away,
    run_trials,
)
from workspace.counted import counted, duration
from workspace.errors import InputError, Problem, Refusal


def sweep_plan(
    made: MadePlan, texts: Sequence[str], *, minutes: float | None, overrides: Sequence[GateOverride], as_json: bool
) -> None:
    """Halve the combinations until one is left; prints them best first."""
    space = parse_space(texts)
    plan = _cleared(made, overrides, as_json)
    tokenizer = PlanTokenizer(plan.recipe.base, plan.recipe.enable_thinking)
    spec = lay_out(made.project, made.settings, made.path, plan, space, tokenizer)
    steps, whole = budget(spec)
    counts = " > ".join(f"{rung.count} to {rung.share:.0%}" for rung in spec.rungs)
    tried = f"{counted(len(spec.trials), 'combination')}, {counts} of their steps"
    note(f"Sweep of {plan.id}: {tried}; best on validation stays.")
    note(f"Budget: {counted(steps, 'step')} instead of {whole:,}; {_time(plan, steps, minutes)}")
    folder, points, spent = _run(made, spec, overrides, minutes)
    found = outcome(spec, space, points, "the budget was spent" if spent else "")
    path = put_away(folder, found)
    best = after_sweep([f"{name}={value}" for name, value in found.best.values.items()])
    written = f"Written: {made.project.relative(path)}   Next: {best}"
    show(as_json, {**found.model_dump(mode="json"), "path": str(path)}, [*sweep_lines(found), "", written])


def _cleared(made: MadePlan, overrides: Sequence[GateOverride], as_json: bool) -> Plan:
    try:
        return cleared(made.project, made.settings, made.path, overrides)
    except Locked as locked:
        show_locked(locked.gates, as_json)


def _time(plan: Plan, steps: int, minutes: float | None) -> str:
    """Return the duration of the steps by the plan's forecast. Raises InputError if it exceeds the budget."""
    if plan.forecast.seconds is None:
        limit = f"; ends after {minutes:g} min" if minutes else ""
        return f"time unknown until something was measured here (rung plan check){limit}."
    seconds = plan.forecast.seconds / plan.recipe.steps * steps
    if minutes is not None and seconds > minutes * 60:
        text = f"--budget {minutes:g}: about {duration(seconds)} are needed; nothing was started."
        raise InputError([Problem(text)], "fewer values, a smaller --set epochs=, or a larger --budget")
    return f"about {duration(seconds)} on this machine, $0.00."


def _run(
    made: MadePlan, spec: Spec, overrides: Sequence[GateOverride], minutes: float | None
) -> tuple[Path, list[Point], bool]:
    """Return the folder, its points, and whether the budget ended it."""
    folder = begin(made.project, spec)
    line = ProgressLine(folder.name, every=0.0)

    def progress(done: int, total: int, text: str) -> None:
        if done:
            line(done, total)
        note(f"{folder.name}  {text}")

    points = run_trials(made.project, made.settings, folder, overrides, progress, minutes * 60 if minutes else None)
    total = sum(rung.count for rung in spec.rungs)
    if not points:
        raise Refusal("The budget was spent before anything was measured.", "a larger --budget")
    return folder, points, len(points) < total
