"""Texts near in their words: cosine of TF-IDF vectors over words and over character 2- to 4-grams within words."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from curation.example import Example


def vectorizer() -> Any:
    """Return an unfitted TF-IDF over words and character 2- to 4-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    return FeatureUnion([("words", words), ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)))])


class NearestByWords:
    """Example rows by nearness of their questions."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = tuple(examples)

    @cached_property
    def _index(self) -> tuple[Any, Any]:
        fitted = vectorizer()
        return fitted, fitted.fit_transform([example.question for example in self.examples])

    def similarities(self, questions: Sequence[str]) -> Any:
        """Return a matrix `(questions, rows)` of cosines, each 0..2: that of words plus that of characters."""
        fitted, matrix = self._index
        return (fitted.transform(list(questions)) @ matrix.T).toarray()

    def search(self, question: str, k: int) -> list[Example]:
        """Return the k nearest, the nearest first; ties in row order."""
        order = (-self.similarities([question])[0]).argsort(kind="stable")
        return [self.examples[i] for i in order[:k]]
