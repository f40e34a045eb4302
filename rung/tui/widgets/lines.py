"""Texts and lists of the screens: row text as text, long lines folded, a list with a mark, where two texts differ."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import accumulate
from typing import ClassVar

from rich import get_console
from rich.cells import cell_len
from rich.console import Group
from rich.padding import Padding
from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.css.styles import RulesMap
from textual.geometry import Region
from textual.strip import Strip
from textual.style import Style
from textual.visual import RenderOptions, Visual
from textual.widget import Widget
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

from rung.symbols import drawn

MEANINGS: set[str] = {"done", "needs", "blocks", "best", "marked"}
"""Component classes of lines: the theme gives each meaning a colour (app.tcss); a sign or a word carries it, too."""
SIGN = re.compile(r" *(?:[▸>] *)?(?:\d )?(?:(✓)|(!)|(✗))(?= )")
NARROWEST = 8
"""Columns of a line in a terminal that has no room for any."""


def coloured(widget: Widget, line: Text) -> Text:
    """Return the line, with the colour of its meaning on the sign that it begins with: done, needs you, blocks."""
    if (found := SIGN.match(line.plain)) and (number := found.lastindex):
        name = ("done", "needs", "blocks")[number - 1]
        line.stylize(widget.get_component_rich_style(name, partial=True), found.start(number), found.end(number))
    return line


def wrapped(text: Text, width: int) -> list[Text]:
    """Return the lines of `text` at this width in cells, broken between words where that is possible."""
    lines = text.wrap(get_console(), max(width, NARROWEST))
    for line in lines:
        line.rstrip()
    return list(lines)


@lru_cache(maxsize=4096)
def folded(text: str, width: int) -> list[str]:
    """`text` in lines of at most `width` cells; a second line starts under the last column of the first."""
    if cell_len(text) <= width:
        return [text]
    columns = [match.end() for match in re.finditer(r"\S {2,}(?=\S)", text)]
    hang = max((at for at in columns if cell_len(text[:at]) <= width * 0.7), default=len(text) - len(text.lstrip()))
    head, body = text[:hang], text[hang:]
    indent = " " * cell_len(head)
    first, *rest = wrapped(Text(body), width - len(indent))
    return [head + first.plain, *(indent + line.plain for line in rest)]


@dataclass(frozen=True, slots=True)
class TextPart:
    """A piece of the text, indented by some columns."""

    text: Text
    indent: int = 0


class TextPassage(Static):
    """Parts under one another."""

    def __init__(self, *parts: TextPart, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(_under_one_another(parts), id=id, classes=classes)

    def show(self, *parts: TextPart) -> None:
        """Show these parts instead."""
        self.update(_under_one_another(parts))


def _under_one_another(parts: Sequence[TextPart]) -> Group:
    return Group(*(Padding(part.text, (0, 0, 0, part.indent)) for part in parts))


LONGEST = 20_000
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
JOINERS = "\u200c\u200d"


class _Spelt(dict[int, str]):
    """Table for `str.translate`: the drawing of each character, looked up once."""

    def __missing__(self, code: int) -> str:
        character = chr(code)
        plain = character == "\n" or character in JOINERS or unicodedata.category(character) not in HIDDEN
        self[code] = character if plain else f"\\u{code:04x}"
        return self[code]


SPELT = _Spelt()


def shown(text: str, *, limit: int = LONGEST) -> str:
    """`text` with every control, format and bidi character spelt out; tabs become spaces, newlines stay.

    Emoji joiners stay, since they carry meaning; everything after `limit` characters is counted, not drawn.
    """
    head, rest = text[:limit], len(text) - limit
    drawn = head.replace("\r\n", "\n").expandtabs(4).translate(SPELT)
    return drawn if rest <= 0 else f"{drawn}\n[{rest:,} more characters]"


def row_text(text: str, *, limit: int = LONGEST) -> Text:
    """`shown` as a Rich text without any markup."""
    return Text(shown(text, limit=limit), no_wrap=False)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. With a `key` it can be marked; `style` repeats what the words say: bold, dim or one of `MEANINGS`."""

    text: str = ""
    key: str = ""
    style: str = ""


MOVES = (Binding("j,down", "move(1)", "move down"), Binding("k,up", "move(-1)", "move up"))
"""Keys of a screen with such a list."""
PAGES = (
    *MOVES,
    Binding("pagedown,space", "page(1)", "a page down"),
    Binding("pageup", "page(-1)", "a page up"),
    Binding("home", "move(-10000)", "to the top"),
    Binding("end", "move(10000)", "to the end"),
)
CURSOR = 2
"""Columns at the left of a list that are kept for the cursor."""


class EntryVisual(Visual):
    """Drawing of a list's entry: with the cursor if selected, folded, in the colours of its meaning."""

    def __init__(self, listed: MarkedLines, entry: Entry) -> None:
        self.listed, self.entry = listed, entry

    def lines(self, width: int) -> list[str]:
        """Return the lines, without the columns of the cursor."""
        return folded(self.entry.text, max(width - CURSOR, 10))

    def get_optimal_width(self, rules: RulesMap, container_width: int) -> int:
        """Return all the width available."""
        return container_width

    def get_height(self, rules: RulesMap, width: int) -> int:
        """Return the number of lines needed."""
        return len(self.lines(width))

    def render_strips(self, width: int, height: int | None, style: Style, options: RenderOptions) -> list[Strip]:
        """Draw every line."""
        base, console = style.rich_style, self.listed.app.console
        texts = [self._line(number, part) for number, part in enumerate(self.lines(width))]
        return [
            Strip(Segment.apply_style(text.render(console), base)).adjust_cell_length(width, base) for text in texts
        ]

    def _line(self, number: int, part: str) -> Text:
        is_marked = self.entry is self.listed.marked_entry
        line = Text(drawn(("▸ " if is_marked and not number else "  ") + part).replace("\xa0", " "), end="")
        for word in self.entry.style.split():
            if word not in MEANINGS:
                line.stylize(word)
            else:  # on the cursor's own colour a meaning's colour may be unreadable: bold says that there is one
                line.stylize("bold" if is_marked else self.listed.get_component_rich_style(word, partial=True))
        return line if is_marked or number else coloured(self.listed, line)


class MarkedLines(OptionList, can_focus=False):
    """An option list as long as its lines, for a screen that keeps the keyboard: what holds it scrolls."""

    COMPONENT_CLASSES: ClassVar[set[str]] = MEANINGS
    DEFAULT_CSS = """
    MarkedLines { max-height: 100000; border: none; padding: 0; background: $background; overflow: hidden hidden;
        & > .option-list--option-disabled { color: $foreground; }
        & > .option-list--option-highlighted { color: $foreground; background: $primary-muted; text-style: none; }
    }
    """

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id, markup=False)
        self.entries: tuple[Entry, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Keys of the lines that can be marked, in order."""
        return [entry.key for entry in self.entries if entry.key]

    @property
    def marked_entry(self) -> Entry | None:
        """The marked line; None if there is none."""
        at = self.highlighted
        return self.entries[at] if at is not None and at < len(self.entries) else None

    @property
    def marked(self) -> str:
        """Key of the marked line; empty if there is none."""
        entry = self.marked_entry
        return entry.key if entry else ""

    @marked.setter
    def marked(self, key: str) -> None:
        with self.prevent(OptionList.OptionHighlighted):
            self.highlighted = next((n for n, entry in enumerate(self.entries) if entry.key == key and key), None)

    def show(self, entries: Sequence[Entry], marked: str = "") -> None:
        """Draw these lines; the mark goes to this key, else stays on its own, else goes to the first there is."""
        wanted = marked or self.marked
        self.entries = tuple(entries)
        self.set_options(Option(EntryVisual(self, entry), disabled=not entry.key) for entry in self.entries)
        self.marked = wanted if wanted in self.keys else next(iter(self.keys), "")

    def move(self, step: int) -> None:
        """Move the mark by so many lines that can be marked; it stops at both ends."""
        places = [n for n, entry in enumerate(self.entries) if entry.key]
        if places:
            at = places.index(self.highlighted) if self.highlighted in places else 0
            self.highlighted = places[max(0, min(len(places) - 1, at + step))]

    def page(self, step: int) -> None:
        """Move by as many lines as are in sight; where none of them can be marked, look there."""
        holder, tops = self.parent, self._tops()
        if not isinstance(holder, Widget):
            return
        height, at = max(holder.size.height - 1, 1), tops[self.highlighted or 0]
        reached = sum(
            0 < (top - at) * step <= height for top, entry in zip(tops, self.entries, strict=False) if entry.key
        )
        if reached:
            self.move(step * reached)
        holder.scroll_relative(y=step * height, animate=False)

    def scroll_to_highlight(self, top: bool = False) -> None:
        """Scroll what holds the list to the mark, once it is laid out; to the top of the list for its first one."""
        self.call_after_refresh(self._show_mark)

    def _show_mark(self) -> None:
        at, holder = self.highlighted, self.parent
        if at is not None and isinstance(holder, Widget) and self.is_attached:
            tops = self._tops()
            first = 0 if self.keys[:1] == [self.marked] else tops[at]
            place = Region(0, first, 1, tops[at + 1] - first)
            holder.scroll_to_region(place.translate(self.virtual_region.offset), animate=False)

    def _tops(self) -> list[int]:
        """Return the line on which each entry begins, and the one after the last."""
        heights = (len(EntryVisual(self, entry).lines(self.size.width)) for entry in self.entries)
        return list(accumulate(heights, initial=0))

    def on_click(self, event: events.Click) -> None:
        """Select a line; on the selected line act as Enter."""
        at = event.style.meta.get("option")
        if at is not None and at != self.highlighted and self.entries[at].key:
            event.prevent_default()
            self.highlighted = at


Span = tuple[int, int]
"""First character and the one after the last."""

MOST_PAIRS = 40_000
"""Pairs of words compared at most, a few milliseconds: more than that is one change from its first word to its last."""
GONE, CAME = "strike dim", "bold underline"


def changed(old: str, new: str) -> tuple[list[Span], list[Span]]:
    """Return the spans of the old text that the new one lacks, and the reverse; of both only what is ever shown."""
    before, after = _words(old[:LONGEST]), _words(new[:LONGEST])
    head = _alike(before, after)
    tail = _alike(before[head:][::-1], after[head:][::-1])
    a, b = before[head : len(before) - tail], after[head : len(after) - tail]
    start = sum(map(len, before[:head]))
    if len(a) * len(b) > MOST_PAIRS:
        return _span(start, a), _span(start, b)
    gone: list[Span] = []
    came: list[Span] = []
    for kind, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if kind != "equal":
            gone += _span(start + sum(map(len, a[:i])), a[i:j])
            came += _span(start + sum(map(len, b[:k])), b[k:m])
    return gone, came


def marked(text: str, spans: Sequence[Span], style: str) -> Text:
    """Row text as text, with these places in a style."""
    made, at = Text(), 0
    for start, end in spans:
        made.append(shown(text[at : min(start, LONGEST)]) if at < LONGEST else "")
        made.append(shown(text[start : min(end, LONGEST)]) if start < LONGEST else "", style=style)
        at = end
    return made.append(shown(text[at:], limit=max(LONGEST - at, 0)))


def _words(text: str) -> list[str]:
    return re.findall(r"\s+|\w+|[^\w\s]", text)


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """Return the number of words that both begin with."""
    pairs = zip(one, other, strict=False)
    return next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def _span(start: int, words: Sequence[str]) -> list[Span]:
    return [(start, start + sum(map(len, words)))] if words else []
