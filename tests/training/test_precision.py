"""bf16 or fp32 by timed steps; on a machine where bf16 is hopeless it is tried once."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from later import torch

from training.plan.recipe import Recipe
from training.run.precision import choose_precision
from training.run.tokens import EncodedRows, Tokens

FP32 = 0.03
ROWS = EncodedRows([Tokens(n, [1, 2, 3], [-100, 2, 3]) for n in range(1, 5)])


def timed_model(bf16: float) -> Any:
    """One embedding; a step takes `FP32` seconds of CPU, and under bf16 autocast `bf16`."""

    class Model(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.embedding = torch.nn.Embedding(9, 4)
            self.calls: list[str] = []

        def get_input_embeddings(self) -> Any:
            return self.embedding

        def forward(self, inputs_embeds: Any, **_: Any) -> Any:
            lower = torch.is_autocast_enabled("cpu")
            self.calls.append("bf16" if lower else "fp32")
            end = time.process_time() + (bf16 if lower else FP32)
            while time.process_time() < end:
                pass
            return SimpleNamespace(logits=inputs_embeds * 2)

    return Model()


@pytest.mark.parametrize(
    ("bf16", "winner", "tries"), [(FP32 / 3, "bf16", 3), (FP32 * 2, "fp32", 3), (FP32 * 8, "fp32", 1)]
)
def test_the_quicker_is_taken_and_the_hopeless_tried_once(bf16: float, winner: str, tries: int) -> None:
    model = timed_model(bf16)
    recipe = Recipe(
        base="embedded", method="lora", learning_rate=1e-3, batch=2, epochs=1, steps=2, max_length=16, rank=2, alpha=4
    )
    found, why = choose_precision(recipe, model, ROWS)
    assert found == winner and model.calls == ["fp32"] * 3 + ["bf16"] * tries
    assert why.startswith("timed steps: fp32 0.0")
