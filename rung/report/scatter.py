"""Cost against quality as inline SVG: a point an arm, its tokens a call to the right, its score upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from markupsafe import Markup

WIDTH, HIGH, LEFT, TOP, BOTTOM, RIGHT = 760, 290, 56, 30, 44, 80
WIDE, LINE = 100, 17
"""Pixels that a name takes: one nearer than this to another is written a line higher."""


def scatter(title: str, points: Sequence[tuple[str, float, float, bool]]) -> Markup:
    """`points` are name, tokens a call, score 0..1, and whether it is drawn strong."""
    if not points:
        return Markup("")
    most = _round_up(max(tokens for _, tokens, _, _ in points) or 1.0)
    parts = [_level(score) for score in (0.0, 0.5, 1.0)] + [_tick(most * i / 4, most) for i in range(5)]
    names: list[tuple[float, float]] = []
    for name, tokens, score, strong in sorted(points, key=lambda p: (-p[2], p[1])):
        x, y = _x(tokens, most), _y(score)
        at = y - 11
        while any(abs(x - a) < WIDE and abs(at - b) < LINE - 1 for a, b in names):
            at -= LINE
        names.append((x, at))
        anchor = "start" if x < LEFT + WIDE / 2 else "middle"
        parts.append(
            f'<g class="{"strong" if strong else "plain"}"><circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
            f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="{anchor}">{escape(name)}</text></g>'
        )
    said = escape("; ".join([title, *(f"{n}: {t:.0f} tokens, {100 * s:.1f}%" for n, t, s, _ in points)]))
    axis = f'<text class="tick" x="{LEFT}" y="{HIGH - 6}">tokens a call, in and out</text>'
    return Markup(
        '<div class="wide" role="group" tabindex="0" aria-label="Plot, may scroll sideways">'
        f'<svg viewBox="0 0 {WIDTH} {HIGH}" role="img" aria-label="{said}">'
        f"{''.join(parts)}{axis}</svg></div>"
    )


def _x(tokens: float, most: float) -> float:
    return LEFT + tokens / most * (WIDTH - LEFT - RIGHT)


def _y(score: float) -> float:
    return HIGH - BOTTOM - score * (HIGH - BOTTOM - TOP)


def _level(score: float) -> str:
    y = _y(score)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{score:.0%}</text>'
    )


def _tick(tokens: float, most: float) -> str:
    x, y = _x(tokens, most), HIGH - BOTTOM + 16
    return f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{tokens:,.0f}</text>'


def _round_up(value: float) -> float:
    """The next 1, 2, 4 or 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)
