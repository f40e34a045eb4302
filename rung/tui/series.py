"""The same repair on similar rows, one by one: the repair, the rows that wait for it, what became of them."""

from __future__ import annotations

from dataclasses import dataclass

from curation.review import Desk, known_reviewer
from curation.review.repair import Repair, SimilarRow, last_repair, repaired, similar_rows


@dataclass
class Series:
    """`left` shrinks as rows are shown; `taken` counts those that took the repair."""

    repair: Repair
    left: list[SimilarRow]
    found: int
    shown: int = 0
    taken: int = 0

    @classmethod
    def after_last_edit(cls, desk: Desk, person: str) -> Series | None:
        """The rows with the fault that this person's newest edit repaired; None where they edited nothing."""
        reviewer = known_reviewer(desk.store, person)
        repair = last_repair(desk, reviewer)
        if repair is None:
            return None
        rows = similar_rows(desk, reviewer, repair)
        return cls(repair, rows, len(rows))

    def next(self) -> SimilarRow | None:
        """The next row, the nearest first."""
        if not self.left:
            return None
        self.shown += 1
        return self.left.pop(0)

    def proposal(self, answer: str) -> str | None:
        """What the repair makes of an answer; None where it does not fit."""
        return repaired(self.repair, answer)
