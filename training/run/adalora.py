"""AdaLoRA's bookkeeping: ranks are given out after each step, and what it remembers goes into each checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from transformers import TrainerCallback

MEMORY = "rank_allocator.pt"
REMEMBERED = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class Allocate(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Lets peft prune ranks between the optimiser's step and the clearing of the gradients, where it needs both."""

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Peft counts steps from 1; `global_step` is raised after this."""
        model.base_model.update_and_allocate(state.global_step + 1)


def orthogonality(model: Any) -> Any:
    """Peft's penalty on directions that are not orthogonal, which it adds only to losses that it computes itself."""
    import torch

    config = model.peft_config["default"]
    norms = []
    for name, weight in model.named_parameters():
        if "lora_A.default" in name or "lora_B.default" in name:
            product = weight @ weight.T if "lora_A" in name else weight.T @ weight
            norms.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=weight.device)))
    return config.orth_reg_weight * torch.stack(norms).mean()


def remember(model: Any, folder: Path) -> None:
    """Write all trained weights, the importance of each rank and the ranks given out beside a checkpoint.

    Peft saves a checkpoint without the pruned ranks: such weights do not fit back into a model that still trains.
    """
    import torch

    allocator = model.base_model.rankallocator
    memory = {name: getattr(allocator, name) for name in REMEMBERED}
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    pattern = model.peft_config["default"].rank_pattern
    torch.save({"memory": memory, "weights": weights, "rank_pattern": pattern}, folder / MEMORY)


def recall(model: Any, folder: Path) -> None:
    """Take them back, so that a resumed run prunes as an unbroken one."""
    import torch

    kept = torch.load(folder / MEMORY, weights_only=True)
    model.peft_config["default"].rank_pattern = kept["rank_pattern"]
    for name, value in kept["memory"].items():
        setattr(model.base_model.rankallocator, name, value)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in kept["weights"]:
                weight.copy_(kept["weights"][name])
