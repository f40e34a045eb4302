"""Where a long text breaks into lines of a width: places only, worked out in one pass, so that nobody waits for it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import accumulate

from rich.cells import get_character_cell_size

Span = tuple[int, int]
"""First character and the one after the last."""
JOINER = "\u200d"


class _Cells(dict[int, str]):
    """For `str.translate`: a character becomes the one whose number is its width in cells."""

    def __missing__(self, code: int) -> str:
        self[code] = chr(max(get_character_cell_size(chr(code)), 0))
        return self[code]


CELLS = _Cells()


def line_spans(text: str, width: int) -> list[Span]:
    """The lines of `text` at this width, broken between words where that is possible, after every newline in any case.

    A line holds at most `width` cells; the spaces at a break belong to no line.
    """
    spans: list[Span] = []
    start = 0
    for paragraph in text.split("\n"):
        if paragraph.isascii():
            spans.extend(_narrow(paragraph, start, width))
        else:
            spans.extend(_wide(paragraph, start, width))
        start += len(paragraph) + 1
    return spans


@lru_cache(maxsize=64)
def _pattern(width: int) -> re.Pattern[str]:
    return re.compile(rf"(.{{1,{width}}}(?=\s|$)|.{{1,{width}}})[ ]*", re.DOTALL)


def _narrow(paragraph: str, start: int, width: int) -> Iterator[Span]:
    """Every character takes one cell."""
    if len(paragraph) <= width:
        yield start, start + len(paragraph)
        return
    for match in _pattern(width).finditer(paragraph):
        yield start + match.start(), start + match.end(1)


def _wide(paragraph: str, start: int, width: int) -> Iterator[Span]:
    """Some characters take two cells, or none; a character and what is joined to it stay together."""
    sizes = paragraph.translate(CELLS).encode("latin-1")
    total = [0, *accumulate(sizes)]
    begin, length = 0, len(paragraph)
    while total[-1] - total[begin] > width:
        end = bisect_right(total, total[begin] + width) - 1
        space = paragraph.rfind(" ", begin + 1, end + 1)
        end = space if space > 0 else _apart(paragraph, sizes, begin, end)
        yield start + begin, start + end
        begin = end
        while begin < length and paragraph[begin] == " ":
            begin += 1
    yield start + begin, start + length


def _apart(paragraph: str, sizes: bytes, begin: int, end: int) -> int:
    """The last place up to `end` where nothing is joined; `end` itself where all of the line is one."""
    at = end
    while at > begin + 1 and (not sizes[at] or paragraph[at - 1] == JOINER):
        at -= 1
    return at if at > begin + 1 else max(end, begin + 1)
