"""`base`: the bare task, with prompts/base.md or the row's own system message as the only instruction."""

from __future__ import annotations

from evaluation.arms.material import Material, Variant, instructed, prompt_name

NAME = "base"
NEEDS = ""


def variants(material: Material) -> list[Variant]:
    """One."""
    prompt = material.base
    return [Variant({"prompt": prompt_name(prompt)}, lambda turns: instructed(turns, prompt), prompt=prompt)]
