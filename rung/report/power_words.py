"""What a test set can show, in words."""

from __future__ import annotations

from evaluation.power import Power
from rung.report.figures import level


def lines(power: Power) -> list[str]:
    """The sentence, the table, and what to do with it."""
    margin = f"{100 * power.margin:.3g}"
    rows = [
        f"{power.n:,} items can show this, 4 times in 5, at a margin of {margin} points, "
        f"{level(power.confidence)} confident:",
        "",
        "Models disagree on   true gain that ships   difference that is seen",
    ]
    for seen in power.seen:
        rows.append(f"{seen.disagreement:>16.0%}   {_points(seen.ships):>20}   {_points(seen.told):>23}")
    return [*rows, "", "More items: rung data import FILE --as test, then freeze again."]


def _points(gain: float | None) -> str:
    return "none" if gain is None else f"{100 * gain:.0f} points"
