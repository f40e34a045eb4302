"""`rung plan curve`: would more rows help? Trainings on parts of the rows, and a forecast where enough were run."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

from training.plan.plans import Plan
from training.trials.forecast import CurvePoint, Forecasted, forecast, looked_back
from training.trials.trials import Point, Rung, Spec, Trial
from workspace.artefact import Artefact, hashes
from workspace.counted import counted
from workspace.errors import InputError, Problem
from workspace.files import sha256_file
from workspace.folder import Project

SHARES = (0.1, 0.2, 0.4, 0.8)
"""Parts of the rows that are trained on where no sizes are named."""
SUBSETS = 3
SIZES = 4
ENOUGH_STEPS = 20
"""In shorter trainings the loss falls with the steps as well as with the rows, and no forecast is made. Seen on
banking77: trainings of 2 to 16 steps gave 0.92 (0.85 to 0.93) for 259 rows, and 0.56 was measured.
"""


class Curve(Artefact):
    """`plans/curve-001.json`. `fit` is loss = floor + scale * rows ** -power; `forecast` None with its reason.

    `helps`: the interval of the gain from doubling the rows lies above 0; None without a forecast. `fewest_steps` are
    those of the shortest training.
    """

    plan: str
    dataset: str
    rows_now: int
    points: list[CurvePoint]
    fit: dict[str, float] | None = None
    forecast: list[Forecasted] | None = None
    why_no_forecast: str = ""
    gain: Forecasted | None = None
    helps: bool | None = None
    seconds: float = 0.0
    fewest_steps: int | None = None


def lay_out_curve(project: Project, plan_file: Path, plan: Plan, sizes: Sequence[int] = ()) -> Spec:
    """A training for each size and subset, small ones first. `sizes` default to parts of today's rows.

    Raises InputError for sizes that the rows do not hold.
    """
    rows = plan.data.train - len(plan.data.left_out)
    step = plan.recipe.rows_a_step
    chosen = sorted(set(sizes or default_sizes(rows, rows_for_steps(plan))))
    wrong = [size for size in chosen if not step <= size <= rows]
    if wrong:
        text = f"{', '.join(map(str, wrong))} rows; a size lies between {step} (one step) and {rows} (all)."
        raise InputError([Problem(text, "--sizes")], "rung plan curve --sizes 50,100,200,400")
    trials = [
        Trial(
            name=f"n{size}-s{seed}",
            values={"rows": size, "seed": seed},
            recipe=plan.recipe.model_copy(
                update={"steps": math.ceil(plan.recipe.epochs * math.ceil(size / step)), "seed": seed}
            ),
            rows=sorted(random.Random(f"{size}-{seed}").sample(range(rows), size)),
        )
        for size in chosen
        for seed in range(SUBSETS)
    ]
    return Spec(
        made_from=hashes(project.root, plan_file),
        id="",
        kind="curve",
        plan=plan.id,
        plan_sha256=sha256_file(plan_file),
        trials=trials,
        rungs=[Rung(share=1.0, count=len(trials))],
    )


def rows_for_steps(plan: Plan) -> int:
    """Rows from which a training of this plan takes ENOUGH_STEPS."""
    return math.ceil(ENOUGH_STEPS / plan.recipe.epochs) * plan.recipe.rows_a_step


def default_sizes(rows: int, least: int) -> list[int]:
    """A tenth of the rows to four fifths, each size twice the one before.

    Where a tenth trains too few steps the sizes begin at `least`, closer together; where even half the largest does,
    they stay, and give a table without a forecast.
    """
    most = round(rows * SHARES[-1])
    if round(rows * SHARES[0]) >= least or least > most / 2:
        return [round(rows * share) for share in SHARES]
    return [round(least * (most / least) ** (place / (SIZES - 1))) for place in range(SIZES)]


def too_short(plan: Plan, sizes: Sequence[int]) -> str:
    """Why trainings on these sizes allow no forecast, before any was run; empty where they may."""
    epochs, step = plan.recipe.epochs, plan.recipe.rows_a_step
    steps = math.ceil(epochs * math.ceil(min(sizes) / step))
    if steps >= ENOUGH_STEPS:
        return ""
    return (
        f"the shortest training takes {counted(steps, 'step')}, and below {ENOUGH_STEPS} a loss falls with the steps "
        f"as well as with the rows: sizes from {rows_for_steps(plan):,} rows on, or more epochs"
    )


def curve_of(plan: Plan, spec: Spec, points: Sequence[Point]) -> Curve:
    """The measured points and, with enough of them, the forecast."""
    by_name = {trial.name: trial for trial in spec.trials}
    found = [CurvePoint(**by_name[point.trial].values, loss=point.loss) for point in points]
    rows_now = plan.data.train - len(plan.data.left_out)
    why = too_little(found) or too_short(plan, [point.rows for point in found]) or looked_back(found)
    return Curve(
        made_from=spec.made_from,
        plan=plan.id,
        dataset=plan.dataset,
        rows_now=rows_now,
        points=found,
        seconds=round(sum(point.seconds for point in points), 1),
        fewest_steps=min((trial.recipe.steps for trial in spec.trials), default=None),
        why_no_forecast=why,
        **({} if why else forecast(found, rows_now)),
    )


def too_little(points: Sequence[CurvePoint]) -> str:
    """Why these points allow no forecast; empty where they do."""
    counts: dict[int, int] = {}
    for point in points:
        if point.loss is not None:
            counts[point.rows] = counts.get(point.rows, 0) + 1
    full = sum(count >= SUBSETS for count in counts.values())
    if full >= SIZES:
        return ""
    return f"{full} sizes with {SUBSETS} subsets each were trained; {SIZES} are needed"
