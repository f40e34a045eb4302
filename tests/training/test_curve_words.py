"""What is said of a learning curve whose trainings were very short."""

from typing import Any

import pytest

from rung.cli.plan_trials import curve_lines
from training.curve import Curve, CurvePoint, forecast


@pytest.mark.parametrize(("steps", "warned"), [(2, True), (19, True), (20, False), (None, False)])
def test_a_forecast_from_very_short_trainings_is_told_to_be_doubtful(steps: int | None, warned: bool) -> None:
    points = [CurvePoint(rows=n, seed=k, loss=0.5 + 4 * n**-0.5) for n in (50, 100, 200, 400) for k in range(3)]
    base: dict[str, Any] = {"plan": "P-001", "dataset": "v001", "rows_now": 500, "points": points}
    text = "\n".join(curve_lines(Curve(**base, **forecast(points, 500), fewest_steps=steps)))
    assert ("the forecast may lie off" in text) == warned and "Twice the rows would lower" in text
