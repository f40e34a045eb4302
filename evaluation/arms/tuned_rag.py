"""`tuned_rag`: the trained model with the passages of documents/ before each item. Validation says if they help."""

from __future__ import annotations

from collections.abc import Sequence

from chat.protocols import Turn
from evaluation.arms import tuned
from evaluation.arms.material import Variant, question_of, with_examples
from evaluation.arms.rag import PASSAGES, PassageIndex, passage_indexes, passages
from evaluation.documents import Chunk
from evaluation.meaning import Meanings

NAME = "tuned_rag"
NEEDS = "documents: .md or .txt files in documents/"


def variants(system_prompt: str | None, documents: Sequence[Chunk], meanings: Meanings | None = None) -> list[Variant]:
    """The run's own instruction and 4 passages; by meaning too, where that is wanted."""
    return [_variant(system_prompt, way, index) for way, index in passage_indexes(documents, meanings)]


def _variant(system_prompt: str | None, way: str, index: PassageIndex) -> Variant:
    alone = tuned.variants(system_prompt)[0]
    assert alone.render is not None
    instructed = alone.render

    def shown(turns: Sequence[Turn]) -> list[Chunk]:
        return index.search(question_of(turns), PASSAGES)

    def render(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        return with_examples(instructed(turns), None, (), before=passages(shown(turns)))

    settings = {**alone.settings, "passages": PASSAGES, "search": way}
    return Variant(settings, render, prompt=alone.prompt, shown=shown)
