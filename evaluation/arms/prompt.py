"""`prompt`: the user's instructions; each file prompts/prompt*.md is a version, and validation chooses among them."""

from __future__ import annotations

from evaluation.arms.material import Material, Prompt, Variant, instructed, prompt_name

NAME = "prompt"
NEEDS = ""


def variants(material: Material) -> list[Variant]:
    """One a version; the row's own instruction where there is no file."""
    return [_variant(prompt) for prompt in (material.prompts or (None,))]


def _variant(prompt: Prompt | None) -> Variant:
    return Variant({"prompt": prompt_name(prompt)}, lambda turns: instructed(turns, prompt), prompt=prompt)
