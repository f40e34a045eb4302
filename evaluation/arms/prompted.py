"""Arms of an instruction, alone or with fixed examples: base, prompt, few_shot, many_shot, optimised, bigger_model."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest

from curation.example import Example
from evaluation.arms.arm_material import (
    ArmMaterial,
    PromptVersion,
    Variant,
    instructed,
    prompt_name,
    with_examples,
)

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
