"""`rag`: before each item, the passages of documents/ that BM25 finds for it, numbered and with their file."""

from __future__ import annotations

from collections.abc import Sequence

from chat.protocols import Turn
from evaluation.arms.material import Material, Prompt, Variant, prompt_name, question_of, with_examples
from evaluation.documents import Bm25, Chunk

NAME = "rag"
NEEDS = "documents: .md or .txt files in documents/"
PASSAGES = 4


def variants(material: Material) -> list[Variant]:
    """4 passages, with each instruction that validation left."""
    index = Bm25(material.documents)
    return [_variant(index, prompt) for prompt in material.instructions if material.documents]


def _variant(index: Bm25, prompt: Prompt | None) -> Variant:
    def shown(turns: Sequence[Turn]) -> list[Chunk]:
        return index.search(question_of(turns), PASSAGES)

    return Variant(
        {"passages": PASSAGES, "prompt": prompt_name(prompt), "search": "BM25"},
        lambda turns: with_examples(turns, prompt, (), before=passages(shown(turns))),
        prompt=prompt,
        shown=shown,
    )


def passages(chunks: Sequence[Chunk]) -> str:
    """The passages as the model reads them; empty where none was found."""
    lines = [f"[{number}] {chunk.file}: {chunk.text}" for number, chunk in enumerate(chunks, 1)]
    return "\n".join(["Passages:", *lines]) if lines else ""
