"""`rag`: before each item, the passages of documents/ that are found for it, numbered and with their file.

They are found by BM25, and, where rung.toml asks for it, by sentence embeddings too; validation says which.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from chat.protocols import Turn
from evaluation.arms.material import Material, Prompt, Variant, prompt_name, question_of, with_examples
from evaluation.documents import Bm25, Chunk
from evaluation.meaning import Meanings, PassagesByMeaning

NAME = "rag"
NEEDS = "documents: .md or .txt files in documents/"
PASSAGES = 4


def variants(material: Material) -> list[Variant]:
    """4 passages, with each instruction that validation left."""
    if not material.documents:
        return []
    found = passage_indexes(material.documents, material.meanings)
    return [_variant(way, index, prompt) for way, index in found for prompt in material.instructions]


class PassageIndex(Protocol):
    """Finds passages for a question."""

    def search(self, query: str, k: int) -> list[Chunk]:
        """The k best, best first."""
        ...


def passage_indexes(documents: Sequence[Chunk], meanings: Meanings | None) -> list[tuple[str, PassageIndex]]:
    """By words, and by meaning where that is wanted, each with its name."""
    found: list[tuple[str, PassageIndex]] = [("BM25", Bm25(documents))]
    if meanings is not None:
        found.append((meanings.name, PassagesByMeaning(meanings, documents)))
    return found


def _variant(way: str, index: PassageIndex, prompt: Prompt | None) -> Variant:
    def shown(turns: Sequence[Turn]) -> list[Chunk]:
        return index.search(question_of(turns), PASSAGES)

    return Variant(
        {"passages": PASSAGES, "prompt": prompt_name(prompt), "search": way},
        lambda turns: with_examples(turns, prompt, (), before=passages(shown(turns))),
        prompt=prompt,
        shown=shown,
    )


def passages(chunks: Sequence[Chunk]) -> str:
    """The passages as the model reads them; empty where none was found."""
    lines = [f"[{number}] {chunk.file}: {chunk.text}" for number, chunk in enumerate(chunks, 1)]
    return "\n".join(["Passages:", *lines]) if lines else ""
