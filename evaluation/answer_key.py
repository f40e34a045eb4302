"""What looks at test answers on purpose: only after choosing, and only to count and to warn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from evaluation.arms.material import Material, Prompt
from evaluation.documents import Chunk, holds_pair, words
from evaluation.measure import Item

FEWEST_WORDS = 4
"""A shorter question may stand in any prompt by chance."""


def documents_with_pairs(documents: Sequence[Chunk], items: Sequence[Item]) -> frozenset[str]:
    """Ids of the passages that hold some test question together with its answer."""
    from evaluation.documents import Bm25

    index = Bm25(documents)
    near = {
        chunk
        for item in items
        for chunk in index.search(item.question, 20)
        if holds_pair(chunk.text, item.question, item.expected)
    }
    return frozenset(chunk.id for chunk in near)


def prompts_with_pairs(prompts: Sequence[Prompt], items: Sequence[Item]) -> list[str]:
    """A note for each prompt file in which a test question of four words or more stands together with its answer."""
    notes = []
    asked = [item for item in items if len(words(item.question)) >= FEWEST_WORDS]
    for prompt in prompts:
        held = sum(holds_pair(prompt.text, item.question, item.expected) for item in asked)
        if held:
            told = f"{held} test {'question' if held == 1 else 'questions'} with the answer"
            notes.append(f"prompts/{prompt.name} holds {told}: arms that use it are not fairly measured.")
    return notes


def without_pairs(material: Material, ids: frozenset[str]) -> Material:
    """The material without those passages."""
    return replace(material, documents=tuple(chunk for chunk in material.documents if chunk.id not in ids))


def outside_set(items: Sequence[Item], choices: Sequence[str]) -> list[str]:
    """A note where some test answers are not in the closed set: held to it, nobody can get those right."""
    missing = sum(item.expected.strip() not in set(choices) for item in items) if choices else 0
    if not missing:
        return []
    return [f"{missing} of {len(items)} test answers are not among the {len(choices)} possible ones that were known."]
