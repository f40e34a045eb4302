"""`rung plan --sweep` and `rung plan --curve`: short trainings on validation, their cost told first."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rung.cli.locked import show_locked
from workspace.words import counted

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from training.curve import Curve
    from training.gate import Override
    from training.plan import Plan
    from training.sweep import Sweep
    from training.trials import Point, Spec
    from workspace.folder import Project
    from workspace.settings import Settings


def sweep_plan(
    project: Project,
    settings: Settings,
    plan_file: Path,
    texts: Sequence[str],
    *,
    minutes: float | None,
    overrides: Sequence[Override],
    as_json: bool,
) -> None:
    """Halve the combinations until one is left; prints them best first."""
    from rung.cli.output import emit, note, say
    from training.run.model import PlanTokenizer
    from training.sweep import budget, lay_out, outcome, parse_space
    from training.trials import put_away

    space = parse_space(texts)
    plan = _cleared(project, settings, plan_file, overrides, as_json)
    spec = lay_out(project, settings, plan_file, plan, space, PlanTokenizer(plan.recipe.base))
    steps, whole = budget(spec)
    counts = " > ".join(f"{rung.count} to {rung.share:.0%}" for rung in spec.rungs)
    tried = f"{counted(len(spec.trials), 'combination')}, {counts} of their steps"
    note(f"Sweep of {plan.id}: {tried}; best on validation stays.")
    note(f"Budget: {counted(steps, 'step')} instead of {whole:,}; {_time(plan, steps, minutes)}")
    folder, points, spent = _run(project, settings, spec, overrides, minutes)
    found = outcome(spec, space, points, "the budget was spent" if spent else "")
    path = put_away(folder, found)
    if as_json:
        return emit({**found.model_dump(mode="json"), "path": str(path)})
    for line in sweep_lines(found):
        say(line)
    best = " ".join(f"--set {name}={value}" for name, value in found.best.values.items())
    say()
    say(f"Written: {project.relative(path)}   Next: rung plan {best}")
    return None


def curve_plan(
    project: Project,
    settings: Settings,
    plan_file: Path,
    sizes: Sequence[int],
    *,
    minutes: float | None,
    overrides: Sequence[Override],
    as_json: bool,
) -> None:
    """Train on parts of the rows and say whether more of them would help."""
    from rung.cli.output import emit, note, say
    from training.curve import curve_of, lay_out_curve, too_short
    from training.trials import put_away

    plan = _cleared(project, settings, plan_file, overrides, as_json)
    spec = lay_out_curve(project, plan_file, plan, sizes)
    steps = sum(trial.recipe.steps for trial in spec.trials)
    note(f"Learning curve of {plan.id}: {counted(len(spec.trials), 'training')} on parts of the rows, smallest first.")
    if why := too_short(plan, [trial.values["rows"] for trial in spec.trials]):
        note(f"! There will be losses by size and no forecast: {why}.")
    note(f"Budget: {counted(steps, 'step')}; {_time(plan, steps, minutes)}")
    folder, points, _ = _run(project, settings, spec, overrides, minutes)
    found = curve_of(plan, spec, points)
    path = put_away(folder, found)
    if as_json:
        return emit({**found.model_dump(mode="json"), "path": str(path)})
    for line in curve_lines(found):
        say(line)
    say()
    say(f"Written: {project.relative(path)}   Next: {'rung review' if found.helps else 'rung train'}")
    return None


def _cleared(
    project: Project, settings: Settings, plan_file: Path, overrides: Sequence[Override], as_json: bool
) -> Plan:
    from training.clearance import Locked
    from training.trials import cleared

    try:
        return cleared(project, settings, plan_file, overrides)
    except Locked as locked:
        show_locked(locked.gates, as_json)


def _time(plan: Plan, steps: int, minutes: float | None) -> str:
    """What the steps will take, by the plan's own forecast. Raises InputError where that is over the budget."""
    from rung.report.figures import duration
    from workspace.errors import InputError, Problem

    if plan.forecast.seconds is None:
        limit = f"; ends after {minutes:g} min" if minutes else ""
        return f"time unknown until something was measured here (rung plan --preflight){limit}."
    seconds = plan.forecast.seconds / plan.recipe.steps * steps
    if minutes is not None and seconds > minutes * 60:
        text = f"--budget {minutes:g}: about {duration(seconds)} are needed; nothing was started."
        raise InputError([Problem(text)], "fewer values, a smaller --set epochs=, or a larger --budget")
    return f"about {duration(seconds)} on this machine, $0.00."


def _run(
    project: Project, settings: Settings, spec: Spec, overrides: Sequence[Override], minutes: float | None
) -> tuple[Path, list[Point], bool]:
    """The folder, its points, and whether the budget ended it."""
    from rung.cli.output import ProgressLine, note
    from training.trials import begin, run_trials
    from workspace.errors import Refusal

    folder = begin(project, spec)
    line = ProgressLine(folder.name, every=0.0)

    def progress(done: int, total: int, text: str) -> None:
        if done:
            line(done, total)
        note(f"{folder.name}  {text}")

    points = run_trials(project, settings, folder, overrides, progress, minutes * 60 if minutes else None)
    total = sum(rung.count for rung in spec.rungs)
    if not points:
        raise Refusal("The budget was spent before anything was measured.", "a larger --budget")
    return folder, points, len(points) < total


def sweep_lines(found: Sweep) -> Iterator[str]:
    """The combinations, the best first, with their losses from rung to rung."""
    best = found.best
    values = ", ".join(
        f"{name} {value:g}" if isinstance(value, float) else f"{name} {value}" for name, value in best.values.items()
    )
    yield f"Best on validation: {values}"
    yield ""
    for place, standing in enumerate(found.standings):
        losses = "  ".join("no number" if loss is None else f"{loss:.4f}" for loss in standing.losses)
        shown = ", ".join(f"{name}={value}" for name, value in standing.values.items())
        yield f"{'▸' if place == 0 else ' '} {standing.name}  {shown:<40} {standing.steps:>5} steps   {losses}"
    yield ""
    if not found.told_apart:
        yield "! The lead is within the standard error of validation: the next one may be as good."
    for name in found.edge:
        yield f"! {name} lies at the end of what was tried: a further value may be better still."
    if found.stopped:
        yield f"! Stopped early: {found.stopped}."
    took = f"{counted(found.steps, 'step')} in {found.seconds:,.0f} s"
    yield f"{took}. Chosen on validation; the test set was not looked at."


def curve_lines(found: Curve) -> Iterator[str]:
    """Losses by size, then the forecast or why there is none."""
    sizes: dict[int, list[str]] = {}
    for point in found.points:
        sizes.setdefault(point.rows, []).append("no number" if point.loss is None else f"{point.loss:.4f}")
    yield f"{'rows':>6}   validation loss of each subset"
    for rows, losses in sorted(sizes.items()):
        yield f"{rows:>6,}   {'  '.join(losses)}"
    yield ""
    if found.forecast is None or found.gain is None:
        yield f"No forecast: {found.why_no_forecast}."
        return
    for ahead in found.forecast:
        now = "  today's rows" if ahead.rows == found.rows_now else ""
        yield f"{ahead.rows:>6,}   {ahead.expected:.4f} (95%: {ahead.low:.4f} to {ahead.high:.4f}){now}"
    gain = found.gain
    span = f"{gain.expected:.4f} (95%: {gain.low:.4f} to {gain.high:.4f})"
    yield ""
    if found.helps:
        yield f"Twice the rows would lower the loss by {span}."
    else:
        yield f"That twice the rows would help was not shown: {span} of loss."
