"""Arms that search for each item: retrieved (its nearest rows as examples), rag (passages of documents/), and combined.

Rows are found by the cosine of TF-IDF vectors, passages by BM25; where rung.toml asks for it by sentence embeddings
too, and validation says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chat.protocols import Turn
from curation.documents import listed
from curation.example import Example
from evaluation.arms.arm_material import ArmMaterial, PromptVersion, Variant, prompt_name, question_of, with_examples
from evaluation.retrieval.embeddings import Meanings, NearestByMeaning, PassagesByMeaning
from evaluation.retrieval.passages import Bm25, Passage
from evaluation.retrieval.tfidf import NearestByWords

PASSAGES = 4
ENOUGH_TO_TELL = 50
"""Minimum number of validation items to try a second k: on fewer the difference is noise."""


def retrieved(material: ArmMaterial) -> list[Variant]:
    """K neighbours with each instruction left; 2k with the first one where validation is large enough to tell."""
    if not material.examples:
        return []
    k = material.retrieved
    settings = [(k, prompt) for prompt in material.instructions]
    if material.choosing > ENOUGH_TO_TELL:
        settings.insert(1, (2 * k, material.instructions[0]))
    return [_retrieved(way, index, n, prompt) for way, index in row_indexes(material) for n, prompt in settings]


class RowIndex(Protocol):
    """Finds example rows for a question."""

    def find(self, question: str, k: int) -> tuple[Example, ...]:
        """The k nearest, the nearest last."""
        ...


def row_indexes(material: ArmMaterial) -> list[tuple[str, RowIndex]]:
    """By words (without a name), and by meaning where that is wanted."""
    found: list[tuple[str, RowIndex]] = [("", NearestByWords(material.examples))]
    if material.meanings is not None:
        found.append((material.meanings.name, NearestByMeaning(material.meanings, material.examples)))
    return found


def _retrieved(way: str, index: RowIndex, k: int, prompt: PromptVersion | None) -> Variant:
    return Variant(
        {"k": k, "prompt": prompt_name(prompt), **({"search": way} if way else {})},
        lambda turns: with_examples(turns, prompt, index.find(question_of(turns), k)),
        prompt=prompt,
    )


def rag(material: ArmMaterial) -> list[Variant]:
    """4 passages, with each instruction that validation left."""
    if not material.documents:
        return []
    found = passage_indexes(material.documents, material.meanings)
    return [_rag(way, index, prompt) for way, index in found for prompt in material.instructions]


class PassageIndex(Protocol):
    """Finds passages for a question."""

    def search(self, query: str, k: int) -> list[Passage]:
        """The k best, best first."""
        ...


def passage_indexes(documents: Sequence[Passage], meanings: Meanings | None) -> list[tuple[str, PassageIndex]]:
    """By words, and by meaning where that is wanted, each with its name."""
    found: list[tuple[str, PassageIndex]] = [("BM25", Bm25(documents))]
    if meanings is not None:
        found.append((meanings.name, PassagesByMeaning(meanings, documents)))
    return found


def _rag(way: str, index: PassageIndex, prompt: PromptVersion | None) -> Variant:
    def shown(turns: Sequence[Turn]) -> list[Passage]:
        return index.search(question_of(turns), PASSAGES)

    return Variant(
        {"passages": PASSAGES, "prompt": prompt_name(prompt), "search": way},
        lambda turns: with_examples(turns, prompt, (), before=passages(shown(turns))),
        prompt=prompt,
        shown=shown,
    )


def passages(chunks: Sequence[Passage]) -> str:
    """The passages as the model reads them; empty where none was found."""
    return listed([(", ".join(filter(None, (chunk.file, chunk.page))), chunk.text) for chunk in chunks])


def combined(material: ArmMaterial) -> list[Variant]:
    """One: all that there is; a second one searches rows and passages by meaning, where that is wanted."""
    if not (material.examples or material.documents):
        return []
    ways = zip(row_indexes(material), passage_indexes(material.documents, material.meanings), strict=True)
    return [_combined(material, by, rows, index) for (by, rows), (_, index) in ways]


def _combined(material: ArmMaterial, way: str, rows: RowIndex, index: PassageIndex) -> Variant:
    prompt, k = material.instructions[-1], material.retrieved

    def shown(turns: Sequence[Turn]) -> list[Passage]:
        return index.search(question_of(turns), PASSAGES)

    def render(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        near = rows.find(question_of(turns), k) if material.examples else ()
        return with_examples(turns, prompt, near, before=passages(shown(turns)))

    settings = {"k": k if material.examples else 0, "passages": PASSAGES, "prompt": prompt_name(prompt)}
    settings |= {"search": way} if way else {}
    return Variant(settings, render, prompt=prompt, shown=shown if material.documents else None)
