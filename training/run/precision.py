"""bf16 autocast or fp32: timed steps on this machine decide, where the recipe leaves it open."""

from __future__ import annotations

import time
from typing import Any

from training.plan.recipe import Recipe
from training.run.tokens import EncodedRows

ROWS = 4
STEPS = 2
HOPELESS = 4.0
"""A first bf16 step that takes so many times an fp32 step decides alone; without bf16 in the CPU it takes 18 times."""
KEPT = 8
"""Positions at which the language head runs."""


def choose_precision(recipe: Recipe, model: Any, encoded: EncodedRows) -> tuple[str, str]:
    """`bf16` or `fp32`, and the reason in words.

    The base model runs forward and back on a few rows, with the inputs' gradient as under an adapter; its weights
    and the random state stay as they are.
    """
    import torch

    if recipe.precision != "auto":
        return recipe.precision, "as the plan says"
    if torch.cuda.is_available():
        return ("bf16", "a GPU") if torch.cuda.is_bf16_supported() else ("fp32", "this GPU has no bf16")
    if recipe.quantisation != "none":
        return "fp32", "a 4-bit base on a CPU"
    ids = _ids(encoded)
    head = {} if recipe.objective == "reward" else {"logits_to_keep": KEPT}
    fp32 = _time(model, ids, head, autocast=False)
    bf16 = _time(model, ids, head, autocast=True, hopeless=HOPELESS * fp32)
    return "bf16" if bf16 < fp32 else "fp32", f"timed steps: fp32 {fp32:.2f} s, bf16 {bf16:.2f} s"


def _ids(encoded: EncodedRows) -> Any:
    import torch

    rows = encoded.rows[:ROWS]
    length = min(128, min(len(row.ids) for row in rows))
    return torch.tensor([row.ids[:length] for row in rows])


def _time(model: Any, ids: Any, head: dict[str, int], *, autocast: bool, hopeless: float = float("inf")) -> float:
    """Seconds of CPU of the quickest of STEPS steps, after one that warms up; of that one alone over `hopeless`."""
    import torch

    best = float("inf")
    for turn in range(STEPS + 1):
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        started = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found = model(inputs_embeds=embedded, use_cache=False, **head)
        found.logits.float().sum().backward(inputs=[embedded])
        took = time.process_time() - started
        if not turn and took > hopeless:
            return took
        if turn:
            best = min(best, took)
    return best
