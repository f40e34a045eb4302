"""The score of the items that are answered so far, for a progress line: it is no result, and nothing goes by it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, runtime_checkable

from chat.protocols import Reply


@runtime_checkable
class ScoreLine(Protocol):
    """A progress line that shows a score so far: it asks for it where it is drawn."""

    so_far: Callable[[], float | None] | None


class Partial:
    """Scores what is answered, each item once, whenever it is asked.

    `keys` are those of the items' replies, in order; `score` scores a reply's text as the item of that index.
    """

    def __init__(self, keys: Sequence[str], replies: Mapping[str, Reply], score: Callable[[str, int], float]) -> None:
        self.replies, self.score = replies, score
        self.waiting = list(enumerate(keys))
        self.scores: list[float] = []

    def __call__(self) -> float | None:
        """The mean over the answered items, 0..1; None before the first one."""
        self.scores += [self.score(self.replies[key].text, n) for n, key in self.waiting if key in self.replies]
        self.waiting = [(n, key) for n, key in self.waiting if key not in self.replies]
        return math.fsum(self.scores) / len(self.scores) if self.scores else None
