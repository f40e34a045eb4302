"""Memory of kinds of layers without a formula: what a real pass keeps is never more than the estimate."""

from __future__ import annotations

from pathlib import Path

import pytest
from families import tiny
from later import peft, torch

from advisor.sizing.memory import memory_of
from advisor.sizing.setup import Setup
from training.run.counted_model import find_architecture

STATES = ("falcon_h1", "qwen3_next", "bamba", "nemotron_h", "granitemoehybrid", "mamba2", "kimi_linear", "lfm2")
LOOKING = ("dbrx", "jetmoe", "qwen4_exp_text")
"""Their code looks at the numbers that pass through it."""
GROWING = ("xglm",)
"""They keep all products of queries and keys: the longer the row, the more a token."""
EVERY = ["qwen3_5_text", *LOOKING, *GROWING, *(pytest.param(name, marks=pytest.mark.slow) for name in STATES)]


@pytest.mark.parametrize("family", EVERY)
def test_layers_with_a_state_keep_no_more_than_the_estimate(family: str, tmp_path: Path) -> None:
    model = tiny(family, range(331)).model
    (tmp_path / "config.json").write_text(model.config.to_json_string())
    found = find_architecture(tmp_path)
    targets = ["q_proj", "v_proj", "in_proj", "in_proj_qkv", "gate_proj", "up_proj", "down_proj"]
    targets += ["Wqkv", "kv_proj"]
    model = peft.get_peft_model(model, peft.LoraConfig(r=4, target_modules=targets, task_type="CAUSAL_LM"))
    weights = {weight.untyped_storage()._cdata for weight in model.parameters()}
    held = {}

    def keep(tensor):  # type: ignore[no-untyped-def]
        held[tensor.untyped_storage()._cdata] = tensor.untyped_storage()
        return tensor

    length = 300 if family in LOOKING else 1024 if family in GROWING else 96
    ids = torch.arange(2 * length).reshape(2, length) % 331
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        model(input_ids=ids, labels=ids, use_cache=False)
    kept = sum(storage.nbytes() for place, storage in held.items() if place not in weights)
    setup = Setup(method="lora", rank=4, batch=2, length=length, checkpointing=False, dtype="fp32", device="cpu")
    estimate = memory_of(found, setup)
    assert kept < estimate.expected - sum(estimate.parts[part] for part in ("weights", "adapter", "optimizer"))
