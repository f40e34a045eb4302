"""Deliberate use of test answers: only after choosing, only to count and to warn."""

from collections.abc import Sequence
from itertools import pairwise

from evaluation.arms.arm_material import PromptVersion
from evaluation.measure import EvalItem
from evaluation.retrieval import Bm25, Passage, holds, holds_pair, words

FEWEST_WORDS = 4
"""A shorter question may be in any prompt by chance."""


def documents_with_pairs(documents: Sequence[Passage], items: Sequence[EvalItem]) -> frozenset[str]:
    """Ids of the passages that hold some test question together with its answer, or, for a question of four words or
    more, right before it: in a list of questions the answer is a paragraph of its own.
    """
    index = Bm25(documents)
    after = {one.id: two for one, two in pairwise(documents) if one.file == two.file}
    found: set[str] = set()
    for item in items:
        for chunk in index.search(item.question, 20):
            found.update(_holding(chunk, after.get(chunk.id), item))
    return frozenset(found)


def _holding(chunk: Passage, after: Passage | None, item: EvalItem) -> tuple[str, ...]:
    if holds_pair(chunk.text, item.question, item.expected):
        return (chunk.id,)
    if after is None or len(words(item.question)) < FEWEST_WORDS or not holds(chunk.text, item.question):
        return ()
    return (chunk.id, after.id) if holds(after.text, item.expected) else ()


def prompts_with_pairs(prompts: Sequence[PromptVersion], items: Sequence[EvalItem]) -> list[str]:
    """Return a note for each prompt file in which a test question of four words or more is next to its answer."""
    held = [(prompt.name, _pairs_in(prompt.text, items)) for prompt in prompts]
    return [f"prompts/{name} holds {told}: arms that use it are not fairly measured." for name, told in held if told]


def instruction_with_pairs(text: str, items: Sequence[EvalItem]) -> list[str]:
    """Return the same of the instruction that a run was trained with."""
    told = _pairs_in(text, items)
    return [f"The run's own instruction holds {told}: it is not fairly measured."] if told else []


def _pairs_in(text: str, items: Sequence[EvalItem]) -> str:
    asked = [item for item in items if len(words(item.question)) >= FEWEST_WORDS]
    held = sum(holds_pair(text, item.question, item.expected) for item in asked)
    return f"{held} test {'question' if held == 1 else 'questions'} with the answer" if held else ""


def outside_set(items: Sequence[EvalItem], choices: Sequence[str]) -> list[str]:
    """Return a note where some test answers are not in the closed set: held to it, nobody can get those right."""
    missing = sum(item.expected.strip() not in set(choices) for item in items) if choices else 0
    if not missing:
        return []
    return [f"{missing} of {len(items)} test answers are not in the list of {len(choices)} possible answers."]
