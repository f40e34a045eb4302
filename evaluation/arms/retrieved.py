"""`retrieved`: for each item its k nearest rows as examples, the nearest last. Nearness: cosine of TF-IDF vectors over
words and over character 2- to 4-grams within words.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from curation.example import Example
from evaluation.arms.few_shot import NEEDS as FEW_SHOT_NEEDS
from evaluation.arms.material import Material, Prompt, Variant, prompt_name, question_of, with_examples

NAME = "retrieved"
NEEDS = FEW_SHOT_NEEDS


def variants(material: Material) -> list[Variant]:
    """Neighbours: k and 2k with the bare instruction, k with the best one."""
    if not material.examples:
        return []
    index, k = Nearest(material.examples), material.retrieved
    settings = [(k, material.base), (2 * k, material.base)] + [(k, p) for p in material.instructions[1:]]
    return [_variant(index, count, prompt) for count, prompt in settings]


def _variant(index: Nearest, k: int, prompt: Prompt | None) -> Variant:
    return Variant(
        {"k": k, "prompt": prompt_name(prompt)},
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
