"""bf16 autocast or fp32: two timed steps each on this machine decide, where the recipe leaves it open."""

from __future__ import annotations

import time
from typing import Any

from training.recipe import Recipe
from training.run.rows import Encoded

ROWS = 4
STEPS = 2
KEPT = 8
"""Positions at which the language head runs."""


def choose_precision(recipe: Recipe, model: Any, encoded: Encoded) -> tuple[str, str]:
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
    seconds = {kind: _time(model, ids, head, autocast=kind == "bf16") for kind in ("fp32", "bf16")}
    winner = min(seconds, key=lambda kind: seconds[kind])
    return winner, f"two timed steps: fp32 {seconds['fp32']:.2f} s, bf16 {seconds['bf16']:.2f} s"


def _ids(encoded: Encoded) -> Any:
    import torch

    rows = encoded.rows[:ROWS]
    length = min(128, min(len(row.ids) for row in rows))
    return torch.tensor([row.ids[:length] for row in rows])


def _time(model: Any, ids: Any, head: dict[str, int], *, autocast: bool) -> float:
    """Seconds of CPU of the quickest of STEPS steps, after one that warms up."""
    import torch

    best = float("inf")
    for turn in range(STEPS + 1):
        embedded = model.get_input_embeddings()(ids).detach().requires_grad_()
        started = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
            found = model(inputs_embeds=embedded, use_cache=False, **head)
        found.logits.float().sum().backward(inputs=[embedded])
        if turn:
            best = min(best, time.process_time() - started)
    return best
