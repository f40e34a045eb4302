"""`combined`: the best prompt, the nearest rows as examples and the passages of documents/, all together."""

from __future__ import annotations

from collections.abc import Sequence

from chat.protocols import Turn
from evaluation.arms.material import Material, Variant, prompt_name, question_of, with_examples
from evaluation.arms.rag import PASSAGES, passages
from evaluation.arms.retrieved import Nearest
from evaluation.documents import Bm25, Chunk

NAME = "combined"
NEEDS = "rows that may be shown as examples, or documents/"


def variants(material: Material) -> list[Variant]:
    """One: all that there is."""
    if not (material.examples or material.documents):
        return []
    prompt = material.instructions[-1]
    rows, index, k = Nearest(material.examples), Bm25(material.documents), material.retrieved

    def shown(turns: Sequence[Turn]) -> list[Chunk]:
        return index.search(question_of(turns), PASSAGES)

    def render(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        near = rows.find(question_of(turns), k) if material.examples else ()
        return with_examples(turns, prompt, near, before=passages(shown(turns)))

    settings = {"k": k if material.examples else 0, "passages": PASSAGES, "prompt": prompt_name(prompt)}
    return [Variant(settings, render, prompt=prompt, shown=shown if material.documents else None)]
