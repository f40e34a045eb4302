"""Cost against quality as inline SVG: a point an arm, its tokens a call to the right, its score upwards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

WIDTH, HIGH, LEFT, TOP, BOTTOM, RIGHT = 760, 290, 56, 30, 44, 80
WIDE, LINE = 100, 17
"""Pixels that a name takes: one nearer than this to another is written a line higher."""


def scatter(title: str, points: Sequence[tuple[str, float, float, bool]]) -> Markup:
    """`points` are name, tokens a call, score 0..1, and whether it is drawn strong."""
    if not points:
        return Markup("")
    axis = _Tokens.of([tokens for _, tokens, _, _ in points])
    parts = [_level(score) for score in (0.0, 0.5, 1.0)] + [_tick(tokens, axis) for tokens in axis.ticks()]
    names: list[tuple[float, float]] = []
    for name, tokens, score, strong in sorted(points, key=lambda p: (-p[2], p[1])):
        x, y = axis.place(tokens), _y(score)
        at = y - 11
        while any(abs(x - a) < WIDE and abs(at - b) < LINE - 1 for a, b in names):
            at -= LINE
        names.append((x, at))
        anchor = "start" if x < LEFT + WIDE / 2 else "middle"
        parts.append(
            f'<g class="{"strong" if strong else "plain"}">{_leader(x, y, at)}'
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5.5"/>'
            f'<text x="{x:.1f}" y="{at:.1f}" text-anchor="{anchor}">{escape(name)}</text></g>'
        )
    said = escape("; ".join([title, *(f"{n}: {t:.0f} tokens, {100 * s:.1f}%" for n, t, s, _ in points)]))
    below = (
        f'<text class="tick" x="{LEFT}" y="{HIGH - 6}">tokens a call, in and out; each step is twice the last</text>'
    )
    return Markup(
        f'<div><svg viewBox="0 0 {WIDTH} {HIGH}" role="img" aria-label="{said}">{"".join(parts)}{below}</svg></div>'
    )


@dataclass(frozen=True, slots=True)
class _Tokens:
    """Tokens a call on a scale of doublings; none stands at the left edge, a step before `least`."""

    least: int
    most: int

    @classmethod
    def of(cls, values: Sequence[float]) -> _Tokens:
        some = [value for value in values if value >= 1] or [1.0]
        least = math.floor(math.log2(min(some)))
        return cls(least, max(math.ceil(math.log2(max(some))), least + 1))

    def place(self, tokens: float) -> float:
        steps = math.log2(tokens) - self.least + 1 if tokens >= 1 else 0.0
        return LEFT + steps / (self.most - self.least + 1) * (WIDTH - LEFT - RIGHT)

    def ticks(self) -> list[float]:
        return [0.0, *(2.0**power for power in range(self.least, self.most + 1))]


def _leader(x: float, y: float, at: float) -> str:
    """A thin line from a point to a name that had to be written higher."""
    if at > y - 11 - LINE / 2:
        return ""
    return f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6:.1f}" y2="{at + 3:.1f}"/>'


def _y(score: float) -> float:
    return HIGH - BOTTOM - score * (HIGH - BOTTOM - TOP)


def _level(score: float) -> str:
    y = _y(score)
    return (
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{score:.0%}</text>'
    )


def _tick(tokens: float, axis: _Tokens) -> str:
    x, y = axis.place(tokens), HIGH - BOTTOM + 16
    return f'<text class="tick" x="{x:.1f}" y="{y}" text-anchor="middle">{tokens:,.0f}</text>'
