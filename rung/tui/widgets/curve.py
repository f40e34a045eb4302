"""The loss curve in characters: `.` train, `o` validation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

WIDTH, HEIGHT = 48, 6


def curve_lines(lines: Sequence[dict[str, Any]], total: int, width: int = WIDTH, height: int = HEIGHT) -> list[str]:
    """Rows of text: a title, the plot with three values at its side, the axis. Empty where nothing is measured."""
    train = _points(lines, "step")
    validation = _points(lines, "validation")
    if not train:
        return []
    top = max(loss for _, loss in [*train, *validation]) or 1.0
    grid = [[" "] * width for _ in range(height)]
    for points, mark in ((train, "."), (validation, "o")):
        for step, loss in points:
            column = min(width - 1, round(step / max(total, 1) * (width - 1)))
            row = min(height - 1, max(0, round((1 - loss / top) * (height - 1))))
            grid[row][column] = mark
    labels = {0: f"{top:.1f}", height // 2: f"{top / 2:.1f}", height - 1: "0.0"}
    drawn = [f"{labels.get(row, ''):>6} │{''.join(cells).rstrip()}" for row, cells in enumerate(grid)]
    foot = f"        step 0{'':<{max(1, width - 8 - len(str(total)))}}{total}"
    return ["loss    . train   o validation", *drawn, f"       └{'─' * width}", foot]


def _points(lines: Sequence[dict[str, Any]], kind: str) -> list[tuple[int, float]]:
    found = [(int(line["step"]), line.get("loss")) for line in lines if line["kind"] == kind]
    return [(step, float(loss)) for step, loss in found if loss is not None]
