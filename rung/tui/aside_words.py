"""What the Review screen says beside an item: guideline, nearest decided rows, this sitting, the team; and its end."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from curation.example import Example
from curation.review import Item
from curation.review.nearest import NearRow
from curation.review.repair import edited_text
from curation.review.team import Share
from rung.symbols import drawn
from rung.tui.guideline import section_for
from rung.tui.item_words import VERBS, one_line
from rung.tui.sitting import Aside, Sitting
from rung.tui.text import LONGEST, shown

SHORT = 30
"""Lines below which fewer near rows are shown."""
HIDDEN = "Two people see this row; what others decided is hidden."


Line = str | Text


def beside(item: Item, sitting: Sitting | None, aside: Aside | None, width: int, height: int) -> Text:
    """Guideline, nearest rows, sitting: as many lines as there are, the guideline cut first."""
    below = [*_near(item, aside, width, height), *_sitting(item, sitting, width), *_team(aside, width)]
    guideline = list(_guideline(item, width, max(height - len(below) - 1, 4)))
    lines: list[Line] = ["", *guideline, *below]
    return Text("\n").join(Text(drawn(line)) if isinstance(line, str) else line for line in lines)


def _guideline(item: Item, width: int, room: int) -> Iterator[Line]:
    """The part that speaks of the item, cut to the room there is; `g` shows all."""
    if item.guideline is None:
        return
    part = section_for(item.guideline.text, f"{_question(item)[:LONGEST]}\n{edited_text(item.row)[:LONGEST]}")
    title = f"Guideline v{item.guideline.version}" + (f", {part.heading}" if part.heading else "")
    yield from (heads := [Text(line, style="bold") for line in _wrapped(title, width)])
    lines = ["", *_wrapped(part.body, width)]
    room -= len(heads) + 1
    yield from lines if len(lines) <= room else [*lines[: room - 1], "…  g all of it"]
    yield ""


def _question(item: Item) -> str:
    return Example(item.row).question


def _near(item: Item, aside: Aside | None, width: int, height: int) -> Iterator[Line]:
    """Answer, verdict, name: in one line each where the answers are short, else in two."""
    if item.blind:
        yield from (*_wrapped(HIDDEN, width), "")
        return
    if aside is None or not aside.near:
        return
    yield Text("Nearest decided rows", style="bold")
    names = max(cell_len(shown(row.side.reviewer)) for row in aside.near)
    room = width - names - 13
    if all(cell_len(one_line(row.side.answer)) <= room for row in aside.near):
        yield from (f"  {_cut(row.side.answer, room)} {row.side.verdict:<8}  {_who(row)}" for row in aside.near)
    else:
        for row in aside.near[: 2 if height < SHORT else 4]:
            yield f"  {_cut(row.side.answer, width - 2)}"
            yield f"    {row.side.verdict}, {_who(row)}"
    yield ""


def _who(row: NearRow) -> str:
    return shown(row.side.reviewer)


def _sitting(item: Item, sitting: Sitting | None, width: int) -> Iterator[str]:
    if sitting is None:
        return
    if sitting.series is not None:
        yield from _wrapped(f"Same repair as {sitting.series.repair.row}: row {_of(sitting)}", width)
        yield ""
    yield f"This sitting: {len(sitting.done)} in {sitting.minutes:.0f} min"
    if sitting.an_hour:
        yield from _wrapped(f"{sitting.an_hour} an hour{left(item.total - item.decided, sitting.an_hour)}", width)


def _of(sitting: Sitting) -> str:
    series = sitting.series
    return f"{series.shown} of {series.found}" if series else ""


def _team(aside: Aside | None, width: int) -> Iterator[str]:
    """Everyone's rows, where there is more than one person."""
    people = [share for share in aside.team if share.kind == "person"] if aside else []
    if len(people) > 1:
        yield from _wrapped("Team: " + ", ".join(f"{shown(each.name)} {each.decided:,}" for each in people), width)


def team_words(people: Sequence[Share]) -> str:
    """`dana 210, mo 108 (12 today)`."""
    return ", ".join(
        f"{shown(each.name)} {each.decided:,}" + (f" ({each.today} today)" if each.today else "") for each in people
    )


def left(rows: int, an_hour: int | None) -> str:
    """`, about 4 h left` at the present pace."""
    if not an_hour or rows <= 0:
        return ""
    hours = rows / an_hour
    return f", about {hours:.0f} h left" if hours >= 1.5 else f", about {max(hours * 60, 1):.0f} min left"


def near_words(rows: Sequence[NearRow]) -> str:
    """The nearest decided rows in full, for `v`."""
    parts = []
    for row in rows:
        head = f"{row.side.row}   {row.side.verdict} by {row.side.reviewer}   similarity {row.side.similarity or 0:.2f}"
        parts.append(f"{head}\n{row.question}\n-> {row.side.answer or 'rejected'}")
    return "\n\n".join(parts)


def summary(sitting: Sitting) -> str:
    """Rows, minutes, pace and verdicts of a sitting."""
    parts = ", ".join(f"{n} {VERBS.get(verdict, verdict)}" for verdict, n in sitting.counts.items())
    pace = f", {sitting.an_hour} an hour" if sitting.an_hour else ""
    rows = f"{len(sitting.done)} row{'' if len(sitting.done) == 1 else 's'}"
    return f"{rows} in {sitting.minutes:.0f} min{pace}: {parts}."


def agreed(sitting: Sitting) -> str:
    """How far everyone agrees, where two people saw the same rows; empty where nobody did."""
    found = sitting.agreement()
    if not found.units:
        return ""
    names = ", ".join(name for name in found.reviewers if name != sitting.person)
    rows = f"{found.units} row{'' if found.units == 1 else 's'} seen twice"
    if found.value is None:
        return f"Agreement with {names}: undefined ({rows})."
    interval = (
        f" (95%: {found.low:.2f} to {found.high:.2f})" if found.low is not None and found.high is not None else ""
    )
    return f"{found.measure.capitalize()} with {names} {found.value:.2f}{interval}, {rows}."


def _cut(text: str | None, room: int) -> str:
    line = shown(one_line(text), limit=4 * room)
    line = line.replace("\n", " ")
    if cell_len(line) > room:
        while cell_len(line) > room - 1:
            line = line[:-1]
        line += "…"
    return line + " " * (room - cell_len(line))


def _wrapped(text: str, width: int) -> list[str]:
    lines = []
    for line in shown(text).split("\n"):
        lines += textwrap.wrap(line, max(width, 12), break_on_hyphens=False) or [""]
    return lines
