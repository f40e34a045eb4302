"""The trained model as an arm: `tuned`, asked in the form that it was trained in; `tuned_rag`, with passages too."""

from collections.abc import Sequence

from chat.protocols import Turn
from evaluation.arms.arm_material import PromptVersion, Variant, instructed, with_examples
from evaluation.arms.searching import PASSAGES, Index, first_passages, passage_indexes, passages
from evaluation.retrieval.embeddings import Meanings
from evaluation.retrieval.passages import Passage

TUNED, TUNED_RAG = "tuned", "tuned_rag"


def tuned(system_prompt: str | None) -> list[Variant]:
    """One. `system_prompt` replaces the row's system message; None leaves it, an empty text takes it away."""
    if system_prompt == "":
        return [Variant({"prompt": "none"}, lambda turns: tuple(t for t in turns if t.get("role") != "system"))]
    prompt = PromptVersion("the run's", system_prompt) if system_prompt is not None else None
    settings = {"prompt": system_prompt if system_prompt is not None else "as in the row"}
    return [Variant(settings, lambda turns: instructed(turns, prompt), prompt=prompt)]


def tuned_rag(
    system_prompt: str | None, documents: Sequence[Passage], meanings: Meanings | None = None
) -> list[Variant]:
    """Return the run's own instruction and 4 passages; by meaning too, where that is wanted."""
    return [_with_passages(system_prompt, way, index) for way, index in passage_indexes(documents, meanings)]


def _with_passages(system_prompt: str | None, way: str, index: Index[Passage]) -> Variant:
    alone = tuned(system_prompt)[0]
    assert alone.render is not None
    as_trained = alone.render
    shown = first_passages(index)

    def render(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        return with_examples(as_trained(turns), None, (), before=passages(shown(turns)))

    settings = {**alone.settings, "passages": PASSAGES, "search": way}
    return Variant(settings, render, prompt=alone.prompt, shown=shown)
