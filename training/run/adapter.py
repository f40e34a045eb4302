"""Peft's configuration of what a recipe trains beside the frozen weights."""

from __future__ import annotations

from typing import Any

from training.methods import LOW_RANK
from training.recipe import Recipe
from workspace.errors import Refusal

START = 1.5
"""AdaLoRA begins with this many times its rank and prunes down to it, as in peft's own defaults (12 for 8)."""


def adapter_config(recipe: Recipe, model: Any = None) -> Any | None:
    """The adapter; None for full fine-tuning. `model` is looked at for IA3 alone, whose targets hang on its kind."""
    if recipe.method == "full":
        return None
    task = "SEQ_CLS" if recipe.objective == "reward" else "CAUSAL_LM"
    if recipe.method in LOW_RANK:
        return _adalora(recipe, task) if recipe.method == "adalora" else _lora(recipe, task)
    if recipe.method == "ia3":
        return _ia3(recipe, task, model)
    from peft import PrefixTuningConfig, PromptTuningConfig

    if recipe.method == "prefix":
        return PrefixTuningConfig(task_type=task, num_virtual_tokens=recipe.virtual_tokens)
    return PromptTuningConfig(
        task_type=task, num_virtual_tokens=recipe.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB"
    )


def _low_rank(recipe: Recipe, task: str) -> dict[str, Any]:
    return {
        "lora_alpha": recipe.alpha,
        "lora_dropout": recipe.dropout,
        "target_modules": recipe.targets if recipe.targets == "all-linear" else recipe.targets.split(","),
        "task_type": task,
    }


def _lora(recipe: Recipe, task: str) -> Any:
    from peft import LoraConfig

    dora = recipe.method in ("dora", "qdora")
    return LoraConfig(r=recipe.rank, use_rslora=recipe.rslora, use_dora=dora, **_low_rank(recipe, task))


def _adalora(recipe: Recipe, task: str) -> Any:
    """Learn for a fifth of the steps, prune until three fifths, settle for the rest."""
    from peft import AdaLoraConfig

    return AdaLoraConfig(
        init_r=round(START * recipe.rank),
        target_r=recipe.rank,
        total_step=recipe.steps,
        tinit=recipe.steps // 5,
        tfinal=2 * recipe.steps // 5,
        deltaT=max(1, recipe.steps // 50),
        **_low_rank(recipe, task),
    )


def _ia3(recipe: Recipe, task: str, model: Any) -> Any:
    from peft import IA3Config
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_FEEDFORWARD_MODULES_MAPPING as FEEDFORWARD
    from peft.utils.constants import TRANSFORMERS_MODELS_TO_IA3_TARGET_MODULES_MAPPING as TARGETS

    kind = str(model.config.model_type) if model is not None else ""
    targets = recipe.targets.split(",") if recipe.targets not in ("default", "all-linear") else TARGETS.get(kind)
    if not targets:
        raise Refusal(f"IA3: peft does not know which layers of a {kind} model to scale.", "rung plan --method lora")
    forward = [name for name in FEEDFORWARD.get(kind, ["down_proj"]) if name in targets]
    return IA3Config(task_type=task, target_modules=targets, feedforward_modules=forward)
