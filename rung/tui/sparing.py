"""Only what differs is sent to the terminal: over a slow line a key costs the few cells that it changes.

Textual sends every cell of whatever was drawn anew, also where the same stands there already.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rich.cells import cell_len
from rich.color import ColorSystem
from rich.console import Console
from rich.control import Control
from textual._compositor import ChopsUpdate, CompositorUpdate, LayoutUpdate
from textual.geometry import Size
from textual.strip import Strip

Cell = tuple[str, str]
"""What stands in it and the codes of its look; the second half of a wide character is empty."""
Piece = tuple[int, int, Strip]
"""Row, column, and what is drawn from there on."""

NEAR = 6
"""So many cells between two that differ are sent too: going there costs as much."""
SURE = 0x300
"""Every terminal draws what comes before this one cell wide."""
SYMBOLS = frozenset("▸✓○✗…─│┬┴┼├┤└━█·▁▂▃▄▅▆▇▔▎▊•–—“”‘’")
"""So are these; a terminal where they are not is given ASCII."""
UNKNOWN: Cell = ("\0", "")
KINDS = (LayoutUpdate, ChopsUpdate)
"""The updates whose cells are known."""
ODD: Cell = ("", "\0")
"""Of a strip that was sent as it is: nobody knows how wide the terminal drew it."""


class Sent:
    """What the terminal shows, as far as this program knows: rows of cells."""

    def __init__(self) -> None:
        self.rows: list[list[Cell]] = []
        self.size = Size(0, 0)

    def forget(self) -> None:
        """Something else was drawn over it, or may have been: everything is sent again."""
        self.size = Size(0, 0)

    def sparing(self, update: CompositorUpdate, size: Size, console: Console) -> CompositorUpdate:
        """The part of an update that changes something; of a kind that is not known here all of it."""
        if type(update) not in KINDS:
            self.forget()
            return update
        if size != self.size:
            self.size = size
            self.rows = [[UNKNOWN] * size.width for _ in range(size.height)]
        system = console._color_system or ColorSystem.TRUECOLOR
        found = [
            change
            for y, pieces in groupby(pieces_of(update), key=lambda piece: piece[0])
            if y < size.height
            for change in self._changes(y, list(pieces), system)
        ]
        return Changes(found)

    def _changes(self, y: int, pieces: Sequence[Piece], system: ColorSystem) -> Iterator[Change]:
        """What has to be sent of a row. Where a terminal may draw a character wider than thought, it is all or none."""
        row, drawn = self.rows[y], [(x, strip, cells_of(strip, system)) for _, x, strip in pieces]
        if all(cells is not None and row[x : x + len(cells)] == cells for x, _, cells in drawn):
            return
        sure = is_sure(row) and all(cells is not None and is_sure(cells) for _, _, cells in drawn)
        for x, strip, cells in drawn:
            room = min(strip.cell_length, len(row) - x)
            now = [ODD] * room if cells is None else cells[:room]
            if sure and cells is not None:
                yield from ((x + begin, y, now[begin:end]) for begin, end in spans(row[x : x + room], now))
            else:
                yield x, y, strip
            row[x : x + room] = now


Change = tuple[int, int, Sequence[Cell] | Strip]


class Spared(CompositorUpdate):
    """An update that is cut down as it is written, and not before: it may not be. Where that fails it is sent whole."""

    def __init__(self, whole: CompositorUpdate, sent: Sent, size: Size) -> None:
        self.whole, self.sent, self.size = whole, sent, size

    def render_segments(self, console: Console) -> str:
        """What is written to the terminal."""
        try:
            return self.sent.sparing(self.whole, self.size, console).render_segments(console)
        except Exception:  # another Textual may have other strips: a dear drawing is better than none
            self.sent.forget()
            return self.whole.render_segments(console)


class Changes(CompositorUpdate):
    """Cells of some places, and strips that are sent as they are."""

    def __init__(self, changes: Sequence[Change]) -> None:
        self.changes = changes

    def render_segments(self, console: Console) -> str:
        """What is written to the terminal."""
        written: list[str] = []
        look = ""
        for x, y, what in self.changes:
            written.append(Control.move_to(x, y).segment.text)
            if isinstance(what, Strip):
                written += ["\x1b[0m" if look else "", what.render(console)]
                look = ""
                continue
            for codes, cells in groupby(what, key=lambda cell: cell[1]):
                if codes != look:
                    written.append(f"\x1b[0;{codes}m" if codes else "\x1b[0m")
                    look = codes
                written += [text for text, _ in cells]
        return "".join([*written, "\x1b[0m" if look else ""])


def pieces_of(update: CompositorUpdate) -> Iterator[Piece]:
    """What Textual would send, row by row."""
    if isinstance(update, LayoutUpdate):
        for y, line in enumerate(update.strips, update.region.y):
            x = update.region.x
            for strip in line:
                yield y, x, strip
                x += strip.cell_length
    elif isinstance(update, ChopsUpdate):
        for y, begin, end in sorted(update.spans):
            for stop, (x, chop) in zip(update.chop_ends[y], update.chops[y].items(), strict=False):
                drawn: Strip | None = chop
                if drawn is not None and x <= end and stop > begin:
                    yield y, x, drawn if begin <= x < end and stop <= end else drawn.crop(0, min(stop, end) - x)


def cells_of(strip: Strip, system: ColorSystem) -> list[Cell] | None:
    """The cells of a strip; None where they cannot be told apart (links, characters of several parts)."""
    found: list[Cell] = []
    for text, style, control in strip:
        if control or (style is not None and style._link):
            return None
        codes = Strip.render_ansi(style, system) if style is not None else ""
        if text.isascii() and text.isprintable():
            found += [(character, codes) for character in text]
        else:
            found += wide_cells(text, codes)
    return found if len(found) == strip.cell_length else None


def wide_cells(text: str, codes: str) -> Iterator[Cell]:
    """The cells of a text that is not ASCII alone."""
    for character in text:
        wide = 1 if character in SYMBOLS else cell_len(character)
        yield character, codes
        yield from [("", codes)] * (wide - 1)


def is_sure(cells: Iterable[Cell]) -> bool:
    """Whether each of these characters takes one cell on every terminal."""
    return all(ord(text) < SURE or text in SYMBOLS if text else False for text, _ in cells)


def spans(before: Sequence[Cell], now: Sequence[Cell]) -> Iterator[tuple[int, int]]:
    """Where they differ, with places that are close to each other taken together."""
    begin = end = -1
    for at, (old, new) in enumerate(zip(before, now, strict=False)):
        if old != new:
            if begin >= 0 and at - end > NEAR:
                yield begin, end
                begin = at
            begin, end = (at if begin < 0 else begin), at + 1
    if begin >= 0:
        yield begin, end
