"""A dot plot in text: `├─o─┤` on a scale, with the goal as a dotted line."""

from __future__ import annotations


def dots(low: float, score: float, high: float, width: int, goal: float | None = None, *, plain: bool = False) -> str:
    """One row of `width` characters for values in 0..1; `plain` for terminals without line characters."""
    left, line, right, mark = ("|", "-", "|", "o") if plain else ("├", "─", "┤", "o")
    row = [" "] * width
    if goal is not None:
        row[_place(goal, width)] = ":"
    start, middle, end = (_place(value, width) for value in (low, score, high))
    row[start : end + 1] = line * (end + 1 - start)
    row[start], row[end] = left, right
    row[middle] = mark
    return "".join(row).rstrip()


def scale(width: int, goal: float | None = None) -> str:
    """The line above the rows: 0%, 50% and 100%, and a colon at the goal."""
    row = list(f"{'0%':<{width}}")
    middle = _place(0.5, width) - 1
    row[middle : middle + 3] = "50%"
    row[width - 4 :] = "100%"
    if goal is not None and row[_place(goal, width)] == " ":
        row[_place(goal, width)] = ":"
    return "".join(row)


def _place(value: float, width: int) -> int:
    return min(width - 1, max(0, round(value * (width - 1))))
