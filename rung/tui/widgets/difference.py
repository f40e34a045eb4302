"""Two texts, and where they differ: word by word, as places in each of them."""

import difflib
import re
from collections.abc import Sequence

from rich.text import Text

from rung.tui.widgets.lines import LONGEST, shown

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
    for kind, i, j, k, m in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
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
