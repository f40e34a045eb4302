"""Texts found by nearness of meaning: cosine of sentence embeddings, beside the words that TF-IDF and BM25 go by."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, TypeVar

from chat.protocols import Embedder, Progress

Found = TypeVar("Found")


@dataclass
class Meanings:
    """An embedder that is asked once for each text. `watch` begins the progress of each reading."""

    embedder: Embedder
    watch: Callable[[], Progress | None] | None = None
    known: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """Return the name of this search in settings and reports."""
        return f"embeddings ({self.embedder.name})"

    def vectors(self, texts: Sequence[str]) -> Any:
        """Return a matrix with one row of length one for each text."""
        import numpy as np

        new = [text for text in dict.fromkeys(texts) if text not in self.known]
        if new:
            self.known.update(zip(new, self.embedder.embed(new, self.watch() if self.watch else None), strict=True))
        return np.stack([self.known[text] for text in texts])


@dataclass(frozen=True)
class NearestByMeaning(Generic[Found]):
    """Example rows or passages by nearness in meaning; `texts` are theirs, in the same order."""

    meanings: Meanings
    things: Sequence[Found]
    texts: Sequence[str]

    @cached_property
    def _points(self) -> Any:
        return self.meanings.vectors(self.texts)

    def search(self, query: str, k: int) -> list[Found]:
        """Return the k nearest, the nearest first; ties in order."""
        if not self.things:
            return []
        scores = self._points @ self.meanings.vectors([query])[0]
        order = sorted(range(len(scores)), key=lambda i: (-float(scores[i]), i))
        return [self.things[i] for i in order[:k]]
