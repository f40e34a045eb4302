"""Arms of an instruction: alone or with fixed examples (base, prompt, few_shot, many_shot, optimised, bigger_model), or
with what is searched for each item: retrieved (its nearest rows as examples), rag (passages of documents/), combined.
And the trained model: `tuned`, asked in the form that it was trained in; `tuned_rag`, with passages too.

Rows are found by the cosine of TF-IDF vectors, passages by BM25; where rung.toml asks for it by sentence embeddings
too, and validation says which.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol, TypeVar

from chat.protocols import Turn
from curation.documents import listed
from curation.example import Example
from evaluation.arms.arm_material import (
    ArmMaterial,
    PromptVersion,
    Variant,
    instructed,
    prompt_name,
    question_of,
    with_examples,
)
from evaluation.retrieval import Bm25, Meanings, NearestByMeaning, NearestByWords, Passage

OPTIMISED, BIGGER_MODEL = "optimised", "bigger_model"
MANY = 8
"""Factor of the examples in `many_shot` over those in `few_shot`."""


def alone(prompt: PromptVersion | None) -> Variant:
    """Return the instruction and nothing else; None leaves the row's own."""
    return Variant({"prompt": prompt_name(prompt)}, lambda turns: instructed(turns, prompt), prompt=prompt)


def base(material: ArmMaterial) -> list[Variant]:
    """Return the bare task, with prompts/base.md or the row's own system message as the only instruction."""
    return [alone(material.base)]


def prompt_versions(material: ArmMaterial) -> list[Variant]:
    """Return a variant for each version of the user's instruction (prompts/prompt*.md); else the row's own."""
    return [alone(prompt) for prompt in (material.prompts or (None,))]


def few_shot(material: ArmMaterial, times: int = 1) -> list[Variant]:
    """`times` x k static examples, spread over the answers, with each instruction that validation left."""
    k = times * material.few_shot
    return [static(material, k, prompt) for prompt in material.instructions if material.examples]


def many_shot(material: ArmMaterial) -> list[Variant]:
    """Return the variants of `few_shot` with eight times as many examples."""
    return few_shot(material, MANY)


def optimised(material: ArmMaterial) -> list[Variant]:
    """Return each instruction that a model wrote (`evaluation.arms.optimising`), alone and with k examples; none if
    nothing could choose.

    It is a file, `prompts/optimised.1.md`: made once, kept, and yours to edit or delete.
    """
    if not (material.proposals and material.choosing):
        return []
    shown = [static(material, material.few_shot, prompt) for prompt in material.proposals if material.examples]
    return [*map(alone, material.proposals), *shown]


def bigger_model(material: ArmMaterial) -> list[Variant]:
    """Return the best instruction, alone and with the static examples, asked of another model: what money buys today.

    A tuned model must beat it to ship, as it must every prompted arm; the arm that the verdict is about stays one on
    the base model, because that is what would be released.
    """
    if not material.bigger:
        return []
    prompt = material.instructions[-1]
    found = [alone(prompt), *([static(material, material.few_shot, prompt)] if material.examples else [])]
    return [Variant({**v.settings, "model": material.bigger}, v.render, prompt=v.prompt) for v in found]


def static(material: ArmMaterial, k: int, prompt: PromptVersion | None) -> Variant:
    """Return a variant that shows the same k examples each time."""
    shown = spread(material.examples, k)
    settings = {"k": len(shown), "prompt": prompt_name(prompt), "examples": [e.content_hash[:8] for e in shown]}
    return Variant(settings, lambda turns: with_examples(turns, prompt, shown), prompt=prompt)


def spread(examples: Sequence[Example], k: int) -> tuple[Example, ...]:
    """Choose k examples over as many answers as can be, the most frequent first; the same for the same rows."""
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in sorted(examples, key=lambda e: e.content_hash):
        groups[example.answer or ""].append(example)
    order = sorted(groups.values(), key=lambda group: -len(group))
    turns = [example for layer in zip_longest(*order) for example in layer if example is not None]
    return tuple(turns[:k])


Found = TypeVar("Found", covariant=True)
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
    return [
        with_found(alone(prompt), {"k": n, "prompt": prompt_name(prompt), **({"search": way} if way else {})}, index)
        for way, index in row_indexes(material)
        for n, prompt in settings
    ]


class Index(Protocol[Found]):
    """Finds example rows or passages for a question."""

    def search(self, query: str, k: int) -> Sequence[Found]:
        """Return the k best, the best first."""
        ...


def with_found(
    first: Variant,
    settings: Mapping[str, Any],
    rows: Index[Example] | None = None,
    documents: Index[Passage] | None = None,
) -> Variant:
    """Return a variant that adds what is found for each item: `settings["k"]` rows as examples, 4 passages."""
    render_first = first.render
    assert render_first is not None

    def shown(turns: Sequence[Turn]) -> Sequence[Passage]:
        return documents.search(question_of(turns), PASSAGES) if documents is not None else ()

    def render(turns: Sequence[Turn]) -> tuple[Turn, ...]:
        near = rows.search(question_of(turns), settings["k"])[::-1] if rows is not None else ()
        return with_examples(render_first(turns), None, near, before=passages(shown(turns)))

    found = shown if documents is not None else None
    return Variant(settings, render, prompt=first.prompt, shown=found)


def passages(chunks: Sequence[Passage]) -> str:
    """Return the passages as the model reads them; empty if none was found."""
    return listed([(", ".join(filter(None, (chunk.file, chunk.page))), chunk.text) for chunk in chunks])


def row_indexes(material: ArmMaterial) -> list[tuple[str, Index[Example]]]:
    """Return the indexes: by words (without a name), and by meaning if wanted."""
    rows, meanings = material.examples, material.meanings
    found: list[tuple[str, Index[Example]]] = [("", NearestByWords(rows))]
    if meanings is not None:
        found.append((meanings.name, NearestByMeaning(meanings, rows, [row.question for row in rows])))
    return found


def rag(material: ArmMaterial) -> list[Variant]:
    """4 passages, with each instruction that validation left."""
    if not material.documents:
        return []
    found = passage_indexes(material.documents, material.meanings)
    return [
        with_found(alone(prompt), {"passages": PASSAGES, "prompt": prompt_name(prompt), "search": way}, documents=index)
        for way, index in found
        for prompt in material.instructions
    ]


def passage_indexes(documents: Sequence[Passage], meanings: Meanings | None) -> list[tuple[str, Index[Passage]]]:
    """Return the indexes, each with its name: by words, and by meaning if wanted."""
    found: list[tuple[str, Index[Passage]]] = [("BM25", Bm25(documents))]
    if meanings is not None:
        found.append((meanings.name, NearestByMeaning(meanings, documents, [chunk.text for chunk in documents])))
    return found


def combined(material: ArmMaterial) -> list[Variant]:
    """One: all that there is; a second one searches rows and passages by meaning, where that is wanted."""
    if not (material.examples or material.documents):
        return []
    best = alone(material.instructions[-1])
    settings = {"k": material.retrieved if material.examples else 0, "passages": PASSAGES, **best.settings}
    ways = zip(row_indexes(material), passage_indexes(material.documents, material.meanings), strict=True)
    return [
        with_found(
            best,
            {**settings, **({"search": way} if way else {})},
            rows if material.examples else None,
            documents if material.documents else None,
        )
        for (way, rows), (_, documents) in ways
    ]


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
    own = tuned(system_prompt)[0]
    return [
        with_found(own, {**own.settings, "passages": PASSAGES, "search": way}, documents=index)
        for way, index in passage_indexes(documents, meanings)
    ]
