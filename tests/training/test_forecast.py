"""When a learning curve forecasts, and when it says that it cannot."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from training.plan.plans import Plan, read_plan
from training.trials.curve import ENOUGH_STEPS, curve_of, default_sizes, lay_out_curve, rows_for_steps, too_short
from training.trials.forecast import CurvePoint, forecast, looked_back
from training.trials.trials import Point
from workspace.folder import Project

BANKING77 = {16: (3.64, 3.69, 3.73), 32: (2.70, 2.72, 2.74), 64: (1.79, 1.85, 1.90), 128: (1.16, 1.19, 1.22)}
"""One epoch each. The forecast for 259 rows was 0.92 (0.85 to 0.93), and 0.56 was measured."""


def points(losses: dict[int, tuple[float, ...]]) -> list[CurvePoint]:
    return [CurvePoint(rows=n, seed=k, loss=loss) for n, found in losses.items() for k, loss in enumerate(found)]


def drawn(law: Callable[[float], float], seed: int) -> list[CurvePoint]:
    chance = random.Random(seed)
    return points({n: tuple(law(n) + chance.gauss(0, 0.03) for _ in range(3)) for n in (50, 100, 200, 400)})


def test_the_curve_that_missed_would_be_refused() -> None:
    seen = points(BANKING77)
    assert not forecast(seen, 259)["forecast"][0].low < 0.56 < forecast(seen, 259)["forecast"][0].high
    why = looked_back(seen)
    assert why.startswith("from the smaller sizes 1.35 would have been forecast for 128 rows, and 1.19 was measured")


@pytest.mark.parametrize(
    "law",
    [
        lambda n: 0.3 + 3 / (1 + (n / 200) ** 2),
        lambda n: max(0.1, 4.2 - 0.6 * math.log(n)),
        lambda n: 0.4 + 1.5 / (1 + math.exp((n - 300) / 40)),
    ],
    ids=["falls late", "by the logarithm", "a cliff"],
)
def test_losses_that_follow_no_power_of_the_rows_are_refused(law: Callable[[float], float]) -> None:
    assert all(looked_back(drawn(law, seed)) for seed in range(12))


@pytest.mark.parametrize(
    "law",
    [lambda n: 0.5 + 4 * n**-0.5, lambda n: 0.2 + 10 * n**-0.8, lambda n: 1.0],
    ids=["square root", "steep", "flat"],
)
def test_losses_that_do_are_forecast_nearly_always(law: Callable[[float], float]) -> None:
    refused = [seed for seed in range(24) if looked_back(drawn(law, seed))]
    assert len(refused) <= 4, refused


def test_a_curve_looks_back_before_it_forecasts(ready: Project, planned: Path) -> None:
    """Through curve_of: refused for its shape, forecast where the shape is right, in words that a person sees."""
    from rung.text.training_text import curve_lines

    plan = long(read_plan(planned))
    spec = lay_out_curve(ready, planned, plan, [4, 8, 12, 16])
    sizes = {n: place for place, n in enumerate((4, 8, 12, 16))}

    def made(law: Callable[[int], float]) -> Any:
        found = [Point(trial=t.name, rung=0, step=99, loss=law(sizes[t.values["rows"]])) for t in spec.trials]
        return curve_of(plan, spec, found)

    bent = made(lambda place: (3.69, 2.72, 1.85, 0.5)[place])
    assert bent.forecast is None and bent.helps is None
    assert "do not follow one curve yet" in "\n".join(curve_lines(bent))
    right = made(lambda place: 0.5 + 4 * (4, 8, 12, 16)[place] ** -0.5)
    assert right.forecast is not None and not right.why_no_forecast
    assert "Twice the rows would lower" in "\n".join(curve_lines(right))


def long(plan: Plan) -> Plan:
    return plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"epochs": float(ENOUGH_STEPS)})})


@pytest.mark.parametrize(("epochs", "least"), [(1.0, 80), (2.0, 40), (8.0, 12), (20.0, 4)])
def test_trainings_under_20_steps_give_no_forecast(planned: Path, epochs: float, least: int) -> None:
    """4 rows a step: a size of `least` rows trains 20 steps, one of 4 rows less does not."""
    plan = read_plan(planned)
    plan = plan.model_copy(update={"recipe": plan.recipe.model_copy(update={"epochs": epochs})})
    assert plan.recipe.rows_a_step == 4 and rows_for_steps(plan) == least
    assert not too_short(plan, [least, 999])
    if least > 4:
        assert f"sizes from {least} rows on, or more epochs" in too_short(plan, [999, least - 4])


def test_sizes_begin_where_a_training_is_long_enough() -> None:
    assert default_sizes(1000, 80) == [100, 200, 400, 800]
    assert default_sizes(480, 80) == [80, 135, 228, 384]
    assert default_sizes(259, 160) == [26, 52, 104, 207], "too few rows: a table, no forecast"
