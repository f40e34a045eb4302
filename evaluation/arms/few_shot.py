"""`few_shot`: the same k examples before every item, spread over the answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import zip_longest

from curation.example import Example
from evaluation.arms.material import Material, Prompt, Variant, prompt_name, with_examples

NAME = "few_shot"
NEEDS = "rows that may be shown as examples: reviewed, and free of leaks from the test set"


def variants(material: Material) -> list[Variant]:
    """Static examples, k of them, with each instruction that validation left."""
    return [static(material, material.few_shot, prompt) for prompt in material.instructions if material.examples]


def static(material: Material, k: int, prompt: Prompt | None) -> Variant:
    """A variant that shows the same k examples each time."""
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
