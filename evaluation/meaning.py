"""Texts found by nearness of meaning: cosine of sentence embeddings, beside the words that TF-IDF and BM25 go by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chat.protocols import Embedder
from curation.example import Example
from evaluation.documents import Chunk


@dataclass
class Meanings:
    """An embedder that is asked once for each text."""

    embedder: Embedder
    known: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """How settings and reports name this way of searching."""
        return f"embeddings ({self.embedder.name})"

    def vectors(self, texts: Sequence[str]) -> Any:
        """A matrix with one row of length one for each text."""
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            self.known.update(zip(new, self.embedder.embed(new), strict=True))
        return np.stack([self.known[text] for text in texts])

    def nearest(self, query: str, texts: Sequence[str], k: int) -> list[int]:
        """Places of the k nearest texts, the nearest first; ties in order."""
        if not texts:
            return []
        scores = self.vectors(texts) @ self.vectors([query])[0]
        return sorted(range(len(texts)), key=lambda i: (-float(scores[i]), i))[:k]


@dataclass(frozen=True)
class NearestInMeaning:
    """Example rows by nearness in meaning of their questions; the place of `evaluation.arms.retrieved.Nearest`."""

    meanings: Meanings
    examples: Sequence[Example]

    def find(self, question: str, k: int) -> tuple[Example, ...]:
        """The k nearest, the nearest last."""
        places = self.meanings.nearest(question, [example.question for example in self.examples], k)
        return tuple(self.examples[i] for i in reversed(places))


@dataclass(frozen=True)
class PassagesByMeaning:
    """Passages by nearness in meaning; the place of `evaluation.documents.Bm25`."""

    meanings: Meanings
    chunks: Sequence[Chunk]

    def search(self, query: str, k: int) -> list[Chunk]:
        """The k best passages, best first."""
        return [self.chunks[i] for i in self.meanings.nearest(query, [chunk.text for chunk in self.chunks], k)]
