"""A recipe in the words of trl's configurations."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from training.methods import REINFORCED
from training.recipe import Recipe


def arguments_of(recipe: Recipe, folder: Path, precision: str, items: int) -> Any:
    """The configuration of the objective's trainer; checkpoints go into `folder`; `items` are those that train."""
    import trl

    kinds = {"sft": "SFT", "dpo": "DPO", "kto": "KTO", "reward": "Reward", "grpo": "GRPO", "rloo": "RLOO"}
    kind = getattr(trl, f"{kinds[recipe.objective]}Config")
    return kind(**_common(recipe, folder, precision, items), **_own(recipe))


def _common(recipe: Recipe, folder: Path, precision: str, items: int) -> dict[str, Any]:
    import torch

    every = steps_between(recipe, items)
    return {
        "output_dir": str(folder),
        "use_cpu": not torch.cuda.is_available(),
        "bf16": precision == "bf16",
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": _eval_batch(recipe),
        "gradient_accumulation_steps": recipe.accumulation,
        "num_train_epochs": recipe.epochs,
        "max_steps": recipe.steps,
        "learning_rate": recipe.learning_rate,
        "lr_scheduler_type": recipe.schedule,
        "warmup_steps": recipe.warmup,
        "weight_decay": recipe.weight_decay,
        "max_grad_norm": recipe.grad_norm,
        "activation_checkpointing": recipe.checkpointing,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "eval_strategy": "steps",
        "eval_steps": every,
        "save_strategy": "steps",
        "save_steps": every,
        "save_total_limit": recipe.keep_last,
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_choice" if recipe.choose_by == "metric" else "eval_loss",
        "greater_is_better": recipe.choose_by == "metric",
        "seed": recipe.seed,
        "data_seed": recipe.seed,
        "report_to": list(recipe.report_to) or "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def _own(recipe: Recipe) -> dict[str, Any]:
    """What only this objective's configuration knows. Rows are never cut: those over the limit were left out."""
    if recipe.objective == "sft":
        return {"max_length": None, "dataset_kwargs": {"skip_prepare_dataset": True}}
    if recipe.objective in ("dpo", "kto"):
        return {"max_length": None, "beta": recipe.beta}
    if recipe.objective in REINFORCED:
        return {
            "beta": recipe.beta,
            "num_generations": recipe.generations,
            "max_completion_length": recipe.answer_tokens,
            "temperature": recipe.temperature,
        }
    return {"max_length": None}


def _eval_batch(recipe: Recipe) -> int:
    """One pair at a time, so that each has its own loss; whole groups; labels as they train."""
    if recipe.objective in ("dpo", "reward"):
        return 1
    return recipe.generations if recipe.objective in REINFORCED else recipe.batch


def steps_between(recipe: Recipe, items: int) -> int:
    """Optimiser steps from one check to the next."""
    rows = items * max(1, recipe.generations)
    per_epoch = math.ceil(rows / recipe.rows_a_step)
    return max(1, math.ceil(per_epoch / recipe.evals))
