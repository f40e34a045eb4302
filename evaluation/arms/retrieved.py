"""`retrieved`: for each item its k nearest rows as examples, the nearest last. Nearness: cosine of TF-IDF vectors over
words and over character 2- to 4-grams within words, and, where rung.toml asks for it, cosine of sentence embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, Protocol

from curation.example import Example
from evaluation.arms.few_shot import NEEDS as FEW_SHOT_NEEDS
from evaluation.arms.material import Material, Prompt, Variant, prompt_name, question_of, with_examples
from evaluation.meaning import NearestInMeaning

NAME = "retrieved"
NEEDS = FEW_SHOT_NEEDS


ENOUGH_TO_TELL = 50
"""Validation items below which a second k cannot be told from the first and is not tried."""


def variants(material: Material) -> list[Variant]:
    """K neighbours with each instruction left; 2k with the first one where validation is large enough to tell."""
    if not material.examples:
        return []
    k = material.retrieved
    settings = [(k, prompt) for prompt in material.instructions]
    if material.choosing > ENOUGH_TO_TELL:
        settings.insert(1, (2 * k, material.instructions[0]))
    return [_variant(way, index, n, prompt) for way, index in row_indexes(material) for n, prompt in settings]


class RowIndex(Protocol):
    """Finds example rows for a question."""

    def find(self, question: str, k: int) -> tuple[Example, ...]:
        """The k nearest, the nearest last."""
        ...


def row_indexes(material: Material) -> list[tuple[str, RowIndex]]:
    """By words (without a name), and by meaning where that is wanted."""
    found: list[tuple[str, RowIndex]] = [("", Nearest(material.examples))]
    if material.meanings is not None:
        found.append((material.meanings.name, NearestInMeaning(material.meanings, material.examples)))
    return found


def _variant(way: str, index: RowIndex, k: int, prompt: Prompt | None) -> Variant:
    return Variant(
        {"k": k, "prompt": prompt_name(prompt), **({"search": way} if way else {})},
        lambda turns: with_examples(turns, prompt, index.find(question_of(turns), k)),
        prompt=prompt,
    )


def vectorizer() -> Any:
    """An unfitted TF-IDF over words and character 2- to 4-grams."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.pipeline import FeatureUnion

    words = TfidfVectorizer(token_pattern=r"(?u)\b\w+\b", sublinear_tf=True)
    return FeatureUnion([("words", words), ("characters", TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4)))])


class Nearest:
    """Example rows by nearness of their questions."""

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = tuple(examples)

    @cached_property
    def _index(self) -> tuple[Any, Any]:
        fitted = vectorizer()
        return fitted, fitted.fit_transform([example.question for example in self.examples])

    def find(self, question: str, k: int) -> tuple[Example, ...]:
        """The k nearest, the nearest last; ties in row order."""
        fitted, matrix = self._index
        scores = (matrix @ fitted.transform([question]).T).toarray().ravel()
        order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))[:k]
        return tuple(self.examples[i] for i in reversed(order))
