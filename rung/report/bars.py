"""Bars and a map as inline SVG, in the page's own colours."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

WIDTH, RIGHT, ROW = 720, 90, 22
CHARACTER, MOST_CHARACTERS = 8.4, 34
"""Width of a letter of a label, and how many are drawn; of a longer name the middle is left out."""
SIDE = 320


def bar_plot(title: str, rows: Sequence[tuple[str, float]], form: str = "{:,.0f}", rest: str = "") -> Markup:
    """A bar for each name and value; the value stands at its end. `title` is read aloud, not drawn.

    `rest` is a line below the bars on what was left out.
    """
    left = round(CHARACTER * max([8, *(len(_short(name)) for name, _ in rows)])) + 10
    most = max((value for _, value in rows), default=0) or 1
    parts = []
    for index, (name, value) in enumerate(rows):
        y = ROW * index
        length = value / most * (WIDTH - left - RIGHT)
        words = escape(form.format(value))
        parts.append(
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(_short(name))}</text>'
            f'<rect class="bar" x="{left}" y="{y + 4}" width="{length:.1f}" height="{ROW - 8}"/>'
            f'<text x="{left + length + 8:.1f}" y="{y + 15}">{words}</text>'
        )
    if rest:
        parts.append(f'<text class="tick" x="{left}" y="{ROW * len(rows) + 15}">{escape(rest)}</text>')
    high = ROW * (len(rows) + bool(rest)) + 4
    said = escape(f"{title}: " + "; ".join(f"{name} {form.format(value)}" for name, value in rows))
    return Markup(f'<svg viewBox="0 0 {WIDTH} {high}" role="img" aria-label="{said}">{"".join(parts)}</svg>')


def _short(name: str) -> str:
    """A name as it is drawn: on one line, without its middle where it is long."""
    flat = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    half = MOST_CHARACTERS // 2
    return flat if len(flat) <= MOST_CHARACTERS else f"{flat[: half - 1]}…{flat[-half:]}"


def map_plot(title: str, points: Sequence[Sequence[float]]) -> Markup:
    """Points (x, y, topic) as the number of their topic, so that the map reads without colour."""
    if not points:
        return Markup("")
    xs, ys = [p[0] for p in points], [p[1] for p in points]
    wide, high = (max(xs) - min(xs)) or 1, (max(ys) - min(ys)) or 1
    parts = [
        f'<text class="tick" x="{20 + (x - min(xs)) / wide * (WIDTH - 40):.1f}" '
        f'y="{SIDE - 14 - (y - min(ys)) / high * (SIDE - 28):.1f}" text-anchor="middle">{int(topic)}</text>'
        for x, y, topic in points
    ]
    return Markup(f'<svg viewBox="0 0 {WIDTH} {SIDE}" role="img" aria-label="{escape(title)}">{"".join(parts)}</svg>')
