"""A validation loss for more rows than were trained on, out of trainings on fewer: fit, interval, and a look back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

AHEAD = (1.0, 1.5, 2.0, 4.0)
"""Multiples of today's rows for which a loss is forecast."""
DRAWS = 1000
POWERS = tuple(0.05 * n for n in range(1, 31))
LEVEL = 0.95
FEW = 1.3
"""Widens the interval for a dozen runs and three fitted numbers; set by simulation, see `_drawn`."""
LOOK_BACK = 0.98
"""Level of the interval that must hold the largest size; benchmarks/forecast.py shows what that refuses."""


class CurvePoint(BaseModel):
    """One training on `rows` rows drawn with `seed`; `loss` None where it is no number."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: int
    seed: int
    loss: float | None


class Forecasted(BaseModel):
    """Validation loss expected with `rows` rows; the interval is by bootstrap of runs, at 95%."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    rows: int
    expected: float
    low: float
    high: float


def looked_back(points: Sequence[CurvePoint]) -> str:
    """Why no forecast of these points can be trusted: the smaller sizes do not foretell the largest. Empty if they do.

    The losses of the largest size are forecast from the others; the difference to those that were measured must be one
    that the scatter of runs explains.
    """
    import numpy as np

    rows, losses = _arrays(points)
    last = rows == rows.max()
    fitted = _fit(rows[~last], losses[None, ~last])
    drawn = _at(_fit(rows[~last], _drawn(rows[~last], losses[~last])), rows[last][:1])[:, 0]
    seen = _drawn(rows, losses)[:, last].mean(axis=1)
    tails = [(1 - LOOK_BACK) / 2, (1 + LOOK_BACK) / 2]
    low, high = np.quantile(drawn - seen, tails)
    if low <= 0 <= high:
        return ""
    said, measured = float(_at(fitted, rows[last][:1])[0, 0]), float(losses[last].mean())
    return (
        f"from the smaller sizes {said:.2f} would have been forecast for {int(rows.max()):,} rows, "
        f"and {measured:.2f} was measured: these losses do not follow one curve yet"
    )


def _arrays(points: Sequence[CurvePoint]) -> tuple[Any, Any]:
    import numpy as np

    sound = [point for point in points if point.loss is not None]
    return np.array([p.rows for p in sound], dtype=float), np.array([p.loss for p in sound], dtype=float)


def forecast(points: Sequence[CurvePoint], rows_now: int) -> dict[str, Any]:
    """Fit, forecast and gain as fields of Curve. The same points give the same figures (a fixed seed)."""
    import numpy as np

    rows, losses = _arrays(points)
    ahead = np.array([rows_now * times for times in AHEAD])
    fitted = _fit(rows, losses[None, :])
    said = _at(fitted, ahead)[0]
    drawn = _at(_fit(rows, _drawn(rows, losses)), ahead)
    tails = [(1 - LEVEL) / 2, (1 + LEVEL) / 2]
    low, high = np.quantile(drawn, tails, axis=0)
    doubled = AHEAD.index(2.0)
    gain_low, gain_high = (float(g) for g in np.quantile(drawn[:, 0] - drawn[:, doubled], tails))
    gain = Forecasted(rows=rows_now * 2, expected=float(said[0] - said[doubled]), low=gain_low, high=gain_high)
    return {
        "fit": dict(zip(("floor", "scale", "power"), (float(part[0]) for part in fitted), strict=True)),
        "forecast": [
            Forecasted(rows=round(n), expected=float(e), low=float(a), high=float(b))
            for n, e, a, b in zip(ahead, said, low, high, strict=True)
        ],
        "gain": gain,
        "helps": gain_low > 0,
    }


def _drawn(rows: Any, losses: Any) -> Any:
    """DRAWS sets of losses: each run is the mean of its size and what some run, of any size, lay off its own mean.

    A size of n runs shows sqrt((n - 1) / n) of its spread: that is put back; FEW widens for so few runs in all.
    benchmarks/forecast.py shows how often the intervals hold the truth then.
    """
    import numpy as np

    chance = np.random.default_rng(13)
    means = np.empty(len(losses))
    off = np.empty(len(losses))
    for size in np.unique(rows):
        here = rows == size
        means[here] = losses[here].mean()
        off[here] = (losses[here] - means[here]) * math.sqrt(here.sum() / max(1, here.sum() - 1)) * FEW
    return means + chance.choice(off, (DRAWS, len(losses)))


def _fit(rows: Any, losses: Any) -> tuple[Any, Any, Any]:
    """Least squares over a grid of powers for each line of `losses`; floor and scale are never below 0."""
    import numpy as np

    best = np.full(len(losses), np.inf)
    floor, scale, power = (np.zeros(len(losses)) for _ in range(3))
    for exponent in POWERS:
        x = rows**-exponent
        mean = losses.mean(axis=1)
        b = np.maximum(0.0, ((x - x.mean()) * (losses - mean[:, None])).sum(axis=1) / ((x - x.mean()) ** 2).sum())
        a = mean - b * x.mean()
        sunk = a < 0
        b = np.where(sunk, (losses * x).sum(axis=1) / (x * x).sum(), b)
        a = np.where(sunk, 0.0, a)
        rest = ((losses - a[:, None] - b[:, None] * x) ** 2).sum(axis=1)
        better = rest < best - 1e-12
        best = np.where(better, rest, best)
        floor, scale, power = (
            np.where(better, new, old) for new, old in ((a, floor), (b, scale), (np.full_like(a, exponent), power))
        )
    return floor, scale, power


def _at(fit: tuple[Any, Any, Any], rows: Any) -> Any:
    """Losses of each fit (lines) at each number of rows (columns)."""
    floor, scale, power = (part[:, None] for part in fit)
    return floor + scale * rows[None, :] ** -power
