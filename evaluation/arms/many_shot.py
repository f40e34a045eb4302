"""`many_shot`: as `few_shot`, with eight times as many examples."""

from __future__ import annotations

from evaluation.arms.few_shot import NEEDS as FEW_SHOT_NEEDS
from evaluation.arms.few_shot import static
from evaluation.arms.material import Material, Variant

NAME = "many_shot"
NEEDS = FEW_SHOT_NEEDS
TIMES = 8


def variants(material: Material) -> list[Variant]:
    """8 x k examples, with each instruction that validation left."""
    k = TIMES * material.few_shot
    return [static(material, k, prompt) for prompt in material.instructions if material.examples]
