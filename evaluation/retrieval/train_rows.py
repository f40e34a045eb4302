"""Training rows behind an answer: those nearest to an item by content, with who approved them.

Near by the cosine of TF-IDF vectors over words and characters, as the arm `retrieved` finds its examples. It is a hint:
no row alone makes a model answer as it does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.split.manifest import load_split, read_manifest
from evaluation.retrieval.tfidf import NearestByWords

NEAREST = 3


@dataclass(frozen=True, slots=True)
class NearTrainRow:
    """A train row near an item: its id in the store (empty if it has none), line, similarity 0..1, who decided."""

    id: str
    line: int
    similarity: float
    question: str
    answer: str
    reviewer: str
    state: str
    source: str


class TrainRowIndex:
    """The train rows of a frozen dataset by nearness of their questions."""

    def __init__(self, folder: Path) -> None:
        self.rows = load_split(folder, "train")
        entries = [row for row in read_manifest(folder).rows if row.get("split") == "train"]
        self.origin: Mapping[int, Mapping[str, Any]] = {int(row["line"]): row for row in entries}

    def of(self, questions: Sequence[str], k: int = NEAREST) -> list[list[NearTrainRow]]:
        """Return for each question the k nearest, the nearest first; ties in row order."""
        if not (self.rows and questions):
            return [[] for _ in questions]
        scores = NearestByWords(self.rows).similarities(questions) / 2
        return [[self._row(i, float(row[i])) for i in (-row).argsort(kind="stable")[:k]] for row in scores]

    def _row(self, place: int, similarity: float) -> NearTrainRow:
        row, origin = self.rows[place], self.origin.get(place + 1, {})
        return NearTrainRow(
            id=str(origin.get("id") or ""),
            line=place + 1,
            similarity=similarity,
            question=row.question,
            answer=row.answer or "",
            reviewer=str(origin.get("reviewer") or "nobody"),
            state=str(origin.get("state") or ""),
            source=str(origin.get("source") or ""),
        )
