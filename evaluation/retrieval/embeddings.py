"""Texts found by nearness of meaning: cosine of sentence embeddings, beside the words that TF-IDF and BM25 go by."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from chat.protocols import Embedder, Progress
from curation.example import Example
from evaluation.retrieval.passages import Passage


@dataclass
class Meanings:
    """An embedder that is asked once for each text. `watch` begins the progress of each reading."""

    embedder: Embedder
    watch: Callable[[], Progress | None] | None = None
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
            self.known.update(zip(new, self.embedder.embed(new, self.watch() if self.watch else None), strict=True))
        return np.stack([self.known[text] for text in texts])

    def nearest(self, query: str, points: Any, k: int) -> list[int]:
        """Rows of the k nearest `points` (see `vectors`), the nearest first; ties in order."""
        scores = points @ self.vectors([query])[0]
        return sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))[:k]


@dataclass(frozen=True)
class NearestByMeaning:
    """Example rows by nearness in meaning of their questions; the place of `evaluation.retrieval.tfidf.Nearest`."""

    meanings: Meanings
    examples: Sequence[Example]

    @cached_property
    def _points(self) -> Any:
        return self.meanings.vectors([example.question for example in self.examples])

    def find(self, question: str, k: int) -> tuple[Example, ...]:
        """The k nearest, the nearest last."""
        places = self.meanings.nearest(question, self._points, k) if self.examples else []
        return tuple(self.examples[i] for i in reversed(places))


@dataclass(frozen=True)
class PassagesByMeaning:
    """Passages by nearness in meaning; the place of `evaluation.retrieval.passages.Bm25`."""

    meanings: Meanings
    chunks: Sequence[Passage]

    @cached_property
    def _points(self) -> Any:
        return self.meanings.vectors([chunk.text for chunk in self.chunks])

    def search(self, query: str, k: int) -> list[Passage]:
        """The k best passages, best first."""
        places = self.meanings.nearest(query, self._points, k) if self.chunks else []
        return [self.chunks[i] for i in places]
