"""Lines that are no row."""

from __future__ import annotations

from curation.formats import Reject
from curation.quality.base import Check, Evidence, Finding, Pile, excerpt

LONGEST = 8 << 10
"""Bytes of a line that an excerpt is made of."""


class Malformed(Check):
    """Lines that could not be read: no JSON, wrong roles, empty content."""

    name = "malformed"
    title = "Malformed lines"
    severity = "blocks"
    reason = "These lines cannot be read; nothing of them would be in the dataset."

    def __init__(self) -> None:
        super().__init__()
        self.pile = Pile()

    def reject(self, reject: Reject) -> None:
        """One more line."""
        place = f"{reject.file}:{reject.line}"
        note = f"{reject.reason} {reject.hint[:1].upper()}{reject.hint[1:]}".strip()
        text = excerpt(reject.raw[:LONGEST].decode("utf-8", "replace"))
        self.pile.add(Evidence(key=str(reject.line), places=(place,), note=note, texts=(text,)))

    def end_of_file(self) -> Finding | None:
        """All of them."""
        return self.finding(self.pile.evidence, rows=self.pile.count) if self.pile.count else None
