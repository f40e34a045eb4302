"""The rows that a check holds while a file streams by."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from curation.quality import Subject

SAMPLE = 20_000
"""Rows that are held for the statistical checks; of more rows a sample drawn by seed."""
SAMPLE_BYTES = 64 << 20
"""Bytes of rows, as they lie in their file, that are held: of longer rows the sample is smaller."""
FEWEST_HELD = 1_000


@dataclass
class Sampler:
    """A sample drawn by seed (reservoir), in input order: of SAMPLE rows, or half as many again and again where these
    hold more than SAMPLE_BYTES; all rows where there are fewer.
    """

    seed: int
    seen: int = 0
    held: list[tuple[int, int, Subject]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._most, self._bytes = SAMPLE, 0

    def add(self, subject: Subject, size: int = 0) -> None:
        """One more row, of `size` bytes."""
        index, self.seen = self.seen, self.seen + 1
        place = index if index < self._most else self._random.randrange(self.seen)
        if place < len(self.held):
            self._bytes -= self.held[place][1]
            self.held[place] = (index, size, subject)
        elif place < self._most:
            self.held.append((index, size, subject))
        else:
            return
        self._bytes += size
        if self._bytes > SAMPLE_BYTES and len(self.held) > FEWEST_HELD:
            self._halve()

    def _halve(self) -> None:
        """A random half of a random sample is one, too."""
        self._most = len(self.held) // 2
        self.held = self._random.sample(self.held, self._most)
        self._bytes = sum(size for _, size, _ in self.held)

    @property
    def sampled(self) -> int | None:
        """How many rows are held, where these are not all."""
        return len(self.held) if len(self.held) < self.seen else None

    def rows(self) -> list[Subject]:
        """The sample."""
        return [subject for _, _, subject in sorted(self.held, key=lambda each: each[0])]
