"""One HTML file a page: template, style and plots inside, nothing fetched. Text of rows is shown, never obeyed.

Plots are inline SVG: dots with intervals, and bars. Colours come from the page; shape says it too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cache
from html import escape
from itertools import pairwise
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from evaluation.arms.registry import arm_name
from workspace import counted
from workspace.files import write_text

TEMPLATES = Path(__file__).parent / "templates"
HIDDEN = re.compile(
    "[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]"
    "|(?<![\u0250-\u1fff\u2070-\U0010ffff])[\u200c\u200d]|[\u200c\u200d](?![\u0250-\U0010ffff])"
)
"""Characters drawn as their code point. A joiner is kept where it joins: in emoji and scripts that use it."""


@cache
def environment() -> Environment:
    """Templates with autoescaping, and the figures of this package as filters."""
    made = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    made.trim_blocks = made.lstrip_blocks = True
    made.filters |= {
        "percent": counted.percent,
        "points": counted.points,
        "interval": lambda pair: counted.interval(*pair),
        "signed_interval": lambda pair: f"({counted.signed(pair[0])} to {counted.signed(pair[1])})",
        "arm": arm_name,
        "duration": counted.duration,
        "money": counted.money,
        "shown": shown,
        "marked": marked,
        "hash8": lambda digest: digest[:8],
    }
    return made


def render(template: str, values: Mapping[str, Any]) -> Markup:
    """Return `template` filled with `values`: a page, or a part of one."""
    return Markup(environment().get_template(template).render(**values))


def write_html(path: Path, template: str, values: Mapping[str, Any]) -> None:
    """Render `template` and write it atomically."""
    write_text(path, render(template, values))


def marked(output: str, expected: str, limit: int = 300) -> Markup:
    """Return the output with unexpected words struck out and missing words underlined."""
    parts: list[str] = []
    for same, found, wanted in changes(output, expected, limit):
        changed = [f"<del>{found}</del>"] * bool(found) + [f"<ins>{wanted}</ins>"] * bool(wanted)
        parts += [found] if same else changed
    return Markup(" ".join(parts))


def changes(one: str, other: str, limit: int) -> Iterator[tuple[bool, str, str]]:
    """Yield the words of two texts, escaped: whether both have them, those of the one, those of the other."""
    mine, theirs = shown(one, limit).split(), shown(other, limit).split()
    for kind, a, b, c, d in SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        yield kind == "equal", escape(" ".join(mine[a:b])), escape(" ".join(theirs[c:d]))


def shown(text: str, limit: int = 2000) -> str:
    """Return a row's text for a page: control and direction marks as code points, long texts cut with a count."""
    visible = HIDDEN.sub(lambda match: f"⟨U+{ord(match[0]):04X}⟩", unicodedata.normalize("NFC", text))
    return visible if len(visible) <= limit else f"{visible[:limit]} … ({len(visible) - limit:,} more characters)"


WIDTH, LABELS, RIGHT, ROW, TOP = 760, 212, 168, 30, 26
CLOSE = 60
"""Marks nearer than this (in the plot's units) would write over each other."""


@dataclass(frozen=True, slots=True)
class Dot:
    """One row of a dot plot; `strong` rows are filled, others hollow; `text` is at the right."""

    name: str
    low: float
    score: float
    high: float
    text: str
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Mark:
    """A dashed line across all rows, with its words above."""

    at: float
    words: str


@dataclass(frozen=True, slots=True)
class Axis:
    """The scale: from `start` to `end`, a tick every `step`, written by `form` after multiplying by 100."""

    start: float = 0.0
    end: float = 1.0
    step: float = 0.25
    form: str = "{:.0f}%"

    def place(self, value: float) -> float:
        """Return the x of a value, kept inside the plot."""
        share = (value - self.start) / (self.end - self.start)
        return LABELS + min(1.0, max(0.0, share)) * (WIDTH - LABELS - RIGHT)

    def ticks(self) -> list[float]:
        """Return the values that are written below."""
        count = round((self.end - self.start) / self.step)
        return [self.start + i * self.step for i in range(count + 1)]


def dot_plot(title: str, rows: Sequence[Dot], axis: Axis = Axis(), marks: Sequence[Mark] = ()) -> Markup:
    """Return rows with their intervals on one scale. `title` is read aloud, not drawn."""
    bottom = TOP + ROW * len(rows)
    parts = [_tick(axis, value, bottom) for value in axis.ticks()]
    parts += [_mark(axis, mark, bottom, anchor) for mark, anchor in _anchored(axis, marks)]
    parts += [_row(axis, row, TOP + ROW * index + ROW / 2) for index, row in enumerate(rows)]
    said = "; ".join([title, *(f"{row.name} {row.text}" for row in rows)])
    return _svg(WIDTH, bottom + 24, said, parts)


def _svg(width: int, height: int, said: str, parts: Sequence[str]) -> Markup:
    drawn = "".join(parts)
    return Markup(f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(said)}">{drawn}</svg>')


def _tick(axis: Axis, value: float, bottom: float) -> str:
    x = axis.place(value)
    words = escape(axis.form.format(100 * value) if value else axis.form.format(0).lstrip("+"))
    return (
        f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{bottom}"/>'
        f'<text class="tick" x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{words}</text>'
    )


def _anchored(axis: Axis, marks: Sequence[Mark]) -> list[tuple[Mark, str]]:
    """Return each mark with the side of its label: the outer ones of a close group write outwards."""
    worded = sorted((mark for mark in marks if mark.words), key=lambda mark: mark.at)
    close = [axis.place(right.at) - axis.place(left.at) < CLOSE for left, right in pairwise(worded)]
    sides = {mark.at: "middle" for mark in marks}
    if any(close):
        sides[worded[0].at], sides[worded[-1].at] = "end", "start"
    return [(mark, sides[mark.at]) for mark in marks]


def _mark(axis: Axis, mark: Mark, bottom: float, anchor: str = "middle") -> str:
    x = axis.place(mark.at)
    aside = {"end": 4, "start": -4}.get(anchor, 0)
    return (
        f'<line class="mark" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>'
        f'<text class="tick" x="{x + aside:.1f}" y="{TOP - 10}" text-anchor="{anchor}">{escape(mark.words)}</text>'
    )


def _row(axis: Axis, row: Dot, y: float) -> str:
    low, middle, high = (axis.place(value) for value in (row.low, row.score, row.high))
    kind = "strong" if row.strong else "plain"
    return (
        f'<g class="{kind}"><text x="{LABELS - 12}" y="{y + 5:.1f}" text-anchor="end">{escape(row.name)}</text>'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<line x1="{low:.1f}" x2="{low:.1f}" y1="{y - 5:.1f}" y2="{y + 5:.1f}"/>'
        f'<line x1="{high:.1f}" x2="{high:.1f}" y1="{y - 5:.1f}" y2="{y + 5:.1f}"/>'
        f'<circle cx="{middle:.1f}" cy="{y:.1f}" r="5.5"/>'
        f'<text x="{WIDTH - RIGHT + 14}" y="{y + 5:.1f}">{escape(row.text)}</text></g>'
    )


BAR_WIDTH, BAR_RIGHT, BAR_ROW = 720, 90, 22
CHARACTER, MOST_CHARACTERS = 8.4, 34
"""Width of a letter of a label, and how many are drawn; of a longer name the middle is left out."""


def bar_plot(title: str, rows: Sequence[tuple[str, float]], form: str = "{:,.0f}", rest: str = "") -> Markup:
    """Draw a bar for each name and value, with the value at its end. `title` is read aloud, not drawn.

    `rest` is a line below the bars on what was left out.
    """
    left = round(CHARACTER * max([8, *(len(_short(name)) for name, _ in rows)])) + 10
    most = max((value for _, value in rows), default=0) or 1
    parts = []
    for index, (name, value) in enumerate(rows):
        y = BAR_ROW * index
        length = value / most * (BAR_WIDTH - left - BAR_RIGHT)
        words = escape(form.format(value))
        parts.append(
            f'<text x="{left - 10}" y="{y + 15}" text-anchor="end">{escape(_short(name))}</text>'
            f'<rect class="bar" x="{left}" y="{y + 4}" width="{length:.1f}" height="{BAR_ROW - 8}"/>'
            f'<text x="{left + length + 8:.1f}" y="{y + 15}">{words}</text>'
        )
    if rest:
        parts.append(f'<text class="tick" x="{left}" y="{BAR_ROW * len(rows) + 15}">{escape(rest)}</text>')
    high = BAR_ROW * (len(rows) + bool(rest)) + 4
    said = f"{title}: " + "; ".join(f"{name} {form.format(value)}" for name, value in rows)
    return _svg(BAR_WIDTH, high, said, parts)


def _short(name: str) -> str:
    """Return a name as it is drawn: on one line, without its middle where it is long."""
    flat = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)
    half = MOST_CHARACTERS // 2
    return flat if len(flat) <= MOST_CHARACTERS else f"{flat[: half - 1]}…{flat[-half:]}"
