"""What the Review screen says of an item: the question, what to look at, where it comes from, what stands beside it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from curation.example import text_of
from curation.review import Item
from rung.tui.sitting import Sitting
from rung.tui.symbols import drawn
from rung.tui.text import shown
from rung.tui.widgets.marked import folded

ROLES = {"system": "System", "user": "Question", "assistant": "Answer", "tool": "Tool"}
VERBS = {"approve": "approved", "edit": "edited", "reject": "rejected", "skip": "skipped", "unsure": "not sure"}


def asked(item: Item) -> Group:
    """All messages up to the answer, each under its role; one question alone stands under its name."""
    parts: list[RenderableType] = [Text("")]
    answered = item.answer is not None
    for message in item.messages[: len(item.messages) - answered]:
        parts.append(Text(ROLES.get(str(message.get("role")), shown(str(message.get("role")))), style="bold"))
        body = shown(text_of(message.get("content")) or str(message.get("tool_calls", "")))
        parts += [indented(body), Text("")]
    return Group(*parts)


def indented(body: str) -> Padding:
    """Two columns in, also where it wraps."""
    return Padding(Text(body), (0, 0, 0, 2))


def behind(item: Item, width: int) -> Iterator[Text]:
    """What to look at, where the row comes from, how far it is."""
    yield Text("")
    if item.findings:
        yield Text("Look at this", style="bold")
        for finding in item.findings[:4]:
            yield from _lines(f"  !   {shown(str(finding.get('text', finding)), limit=200)}", width)
        yield Text("")
    for side in item.sides:
        said = f"{side.reviewer} {VERBS.get(side.verdict, side.verdict)}"
        yield from _lines(f"  {said}   {shown(side.answer or '-', limit=100)}", width)
    yield Text("Where it comes from", style="bold")
    meta = item.meta or {}
    drafted = f"drafted by {meta['model']} from {meta.get('seed_row', 'no row')}, " if meta.get("model") else ""
    yield from _lines(f"  {drafted}{item.source}", width)
    yield Text("")
    count = f"  {item.decided:,} of {item.total:,}"
    room = max(width - len(count) - 2, 8)
    filled = round(room * item.decided / max(item.total, 1))
    yield Text(drawn("━" * filled + "─" * (room - filled) + count), no_wrap=True)


def _lines(text: str, width: int) -> Iterator[Text]:
    yield from (Text(drawn(line)) for line in folded(text, max(width - 2, 20)))


def beside(item: Item, sitting: Sitting | None) -> Iterator[str]:
    """Nearest decided rows and this sitting, then the guideline: it is long, and `g` shows all of it."""
    yield ""
    if item.blind:
        yield "Two people see this row; what"
        yield "others decided is hidden."
        yield ""
    elif item.near:
        yield "Nearest decided rows"
        yield from (f"  {_short(side.answer):<10} {side.verdict}  {side.reviewer}" for side in item.near[:4])
        yield ""
    if sitting is not None:
        pace = f"\n{sitting.an_hour} an hour" if sitting.an_hour else ""
        left = _left(item.total - item.decided, sitting.an_hour)
        yield f"This sitting: {len(sitting.done)} in {sitting.minutes:.0f} min{pace}{left}"
        yield ""
    if item.guideline is not None:
        yield f"Guideline v{item.guideline.version}   g all of it"
        yield ""
        yield shown(item.guideline.text, limit=1500).strip().removeprefix("# ")


def _left(rows: int, an_hour: int | None) -> str:
    """`, about 4 h left` at the present pace."""
    if not an_hour:
        return ""
    hours = rows / an_hour
    return f", about {hours:.0f} h left" if hours >= 1.5 else f", about {max(hours * 60, 1):.0f} min left"


def _short(answer: str | None) -> str:
    return shown((answer or "-").replace("\n", " "), limit=14)


def summary(sitting: Sitting) -> str:
    """Rows, minutes and verdicts of a sitting."""
    parts = ", ".join(f"{n} {VERBS[verdict]}" for verdict, n in sitting.counts.items())
    return f"{len(sitting.done)} rows in {sitting.minutes:.0f} min: {parts}."


def draft_answer(draft: object) -> str:
    """The answer of a kept draft, which is a whole row."""
    from curation.example import Example

    return Example(draft).answer or "" if isinstance(draft, dict) else ""


def clock_of(until: str) -> str:
    """The local time of day of a lease's end."""
    from datetime import datetime

    return datetime.fromisoformat(until).astimezone().strftime("%H:%M") if until else "-"
