"""`tuned`: the trained adapter, asked in the form that it was trained in: the row, with the run's system prompt."""

from __future__ import annotations

from evaluation.arms.material import Prompt, Variant, instructed

NAME = "tuned"


def variants(system_prompt: str | None) -> list[Variant]:
    """One. `system_prompt` replaces the row's system message; None leaves it, an empty text takes it away."""
    if system_prompt == "":
        return [Variant({"prompt": "none"}, lambda turns: tuple(t for t in turns if t.get("role") != "system"))]
    prompt = Prompt("the run's", system_prompt) if system_prompt is not None else None
    settings = {"prompt": system_prompt if system_prompt is not None else "as in the row"}
    return [Variant(settings, lambda turns: instructed(turns, prompt), prompt=prompt)]
