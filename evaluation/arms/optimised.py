"""`optimised`: instructions that the model itself proposed, with and without examples; validation chooses.

Proposals are files, `prompts/optimised.1.md` and so on: made once, kept, and yours to edit or delete. They are
made from rows that may be shown, never from the test.
"""

from __future__ import annotations

from evaluation.arms.few_shot import static
from evaluation.arms.material import Material, Prompt, Variant, instructed, prompt_name

NAME = "optimised"
NEEDS = "rows that may be shown as examples, and validation rows to choose on"


def variants(material: Material) -> list[Variant]:
    """Each proposal alone, and with k examples. None where nothing could choose among them."""
    if not (material.proposals and material.choosing):
        return []
    alone = [_alone(prompt) for prompt in material.proposals]
    return [*alone, *(static(material, material.few_shot, p) for p in material.proposals if material.examples)]


def _alone(prompt: Prompt) -> Variant:
    return Variant({"prompt": prompt_name(prompt)}, lambda turns: instructed(turns, prompt), prompt=prompt)
