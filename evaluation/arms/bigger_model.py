"""`bigger_model`: the best prompt, asked of another model (`[bigger_model]` in rung.toml): what money buys today.

A tuned model must beat it to ship, as it must every prompted arm; the arm that the verdict is about stays one on the
base model, because that is what would be released.
"""

from __future__ import annotations

from evaluation.arms.few_shot import static
from evaluation.arms.material import Material, Prompt, Variant, instructed, prompt_name

NAME = "bigger_model"
NEEDS = "another model: [bigger_model] base in rung.toml"


def variants(material: Material) -> list[Variant]:
    """The best instruction alone, and with the static examples where there are some."""
    if not material.bigger:
        return []
    prompt = material.instructions[-1]
    named = [static(material, material.few_shot, prompt)] if material.examples else []
    return [_named(variant, material.bigger) for variant in (_alone(prompt), *named)]


def _alone(prompt: Prompt | None) -> Variant:
    return Variant({"prompt": prompt_name(prompt)}, lambda turns: instructed(turns, prompt), prompt=prompt)


def _named(variant: Variant, model: str) -> Variant:
    return Variant({**variant.settings, "model": model}, variant.render, prompt=variant.prompt)
