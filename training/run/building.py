"""The trainer of an objective, with a method's adapter and trl's arguments. Only the training process loads it."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from advisor.sizing.setup import ADALORA_START
from evaluation.metrics.item_metrics import ItemMetric
from training.plan.recipe import LOW_RANK, PAIRED, REINFORCED, Recipe
from training.run.base_model import load_base
from training.run.inputs import Items
from training.run.packing import Pack, check_apart
from training.run.validation_answers import RewardModel, ValidationAnswers
from workspace.errors import Problem, Refusal, did_you_mean
from workspace.folder import find_project
from workspace.trust import TRACKER, demand


def build(
    model: Any,
    sampler: ValidationAnswers,
    splits: tuple[Items, Items],
    *,
    precision: str,
    folder: Path,
    reward: RewardModel | None = None,
) -> Any:
    """Return a trainer that is ready to run by the recipe of `sampler`; `splits` are what trains and what it is checked
    on, checkpoints go into `folder`.

    Under reinforcement `reward` scores the answers, or without it the sampler's metric.
    """
    (items, unseen), recipe, tokenizer = splits, sampler.recipe, sampler.tokenizer
    kind, more = _kind(recipe, model, sampler.metric, reward)
    trainer = kind(
        model=model,
        args=arguments_of(recipe, folder, precision, len(items.columns)),
        train_dataset=_table(items),
        eval_dataset=_table(unseen),
        processing_class=tokenizer,
        peft_config=adapter_config(recipe, model),
        **more,
    )
    if recipe.method == "adalora":
        from training.run.trainer import Allocate

        trainer.add_callback(Allocate())
    sampler.trainer = trainer
    trainer.scored = sampler.score if recipe.objective != "reward" else None
    if recipe.objective in REINFORCED:
        trainer.rewards = sampler.scores if reward is None else lambda: reward.scores(*sampler.given())
    if recipe.packing:
        from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

        check_apart(trainer, DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id))
    return trainer


def _table(items: Items) -> Any:
    from datasets import Dataset

    return items.columns if isinstance(items.columns, Dataset) else Dataset.from_list(list(items.columns))


def _kind(recipe: Recipe, model: Any, metric: ItemMetric, reward: RewardModel | None) -> tuple[Any, dict[str, Any]]:
    """Return the trainer's class and what only it is given."""
    if recipe.objective == "sft":
        from training.run.trainer import AnswerTrainer

        return AnswerTrainer, {"data_collator": Pack()} if recipe.packing else {}
    from training.run.objectives import TRAINERS, reward_of

    if recipe.objective in REINFORCED:
        return TRAINERS[recipe.objective], {"reward_funcs": reward_of(metric, reward)}
    # full fine-tuning is compared with a frozen copy of the base; an adapter is simply switched off
    compared = recipe.method == "full" and recipe.objective != "reward"
    return TRAINERS[recipe.objective], {"ref_model": load_base(recipe)} if compared else {}


def adapter_config(recipe: Recipe, model: Any = None) -> Any | None:
    """Return the adapter; None for full fine-tuning. `model` is read for its experts, and for IA3's targets."""
    if recipe.method == "full":
        return None
    task = "SEQ_CLS" if recipe.objective == "reward" else "CAUSAL_LM"
    if recipe.method in LOW_RANK:
        return _adalora(recipe, task, model) if recipe.method == "adalora" else _lora(recipe, task, model)
    if recipe.method == "ia3":
        return _ia3(recipe, task, model)
    from peft import PrefixTuningConfig, PromptTuningConfig

    if recipe.method == "prefix":
        return PrefixTuningConfig(task_type=task, num_virtual_tokens=recipe.virtual_tokens)
    return PromptTuningConfig(
        task_type=task, num_virtual_tokens=recipe.virtual_tokens, prompt_tuning_init="SAMPLE_VOCAB"
    )


def _low_rank(recipe: Recipe, task: str, model: Any) -> dict[str, Any]:
    """Return the settings shared by LoRA and AdaLoRA. PEFT adapts stacked experts only without dropout."""
    return {
        "lora_alpha": recipe.alpha,
        "lora_dropout": 0.0 if has_stacked_experts(model) else recipe.dropout,
        "target_modules": recipe.targets if recipe.targets == "all-linear" else recipe.targets.split(","),
        "exclude_modules": _not_wrapped(model) or None,
        "task_type": task,
    }


MAMBA = ("falcon_h1", "falcon_mamba", "mamba", "mamba2", "nemotron_h")
"""Kinds of models whose `out_proj` peft refuses to wrap; some read the weight of `dt_proj` past its adapter."""


def _not_wrapped(model: Any) -> list[str]:
    """Linear layers left as they are: those that read images, and those that peft cannot wrap.

    The latter are routers, Mamba's `out_proj` and `dt_proj`, what a family made of a linear layer (DeepSeek 4), and
    layers that share one weight (Zamba 2): merged, it would get the adapters of all.
    """
    from torch.nn import Linear

    if model is None:
        return []
    ends = (".router", ".out_proj", ".dt_proj") if model.config.model_type in MAMBA else (".router",)
    layers = {name: module for name, module in model.named_modules() if isinstance(module, Linear)}
    decoder = model.get_decoder()
    text = next((name for name, module in model.named_modules() if module is decoder), "")
    users = Counter(id(module.weight) for module in layers.values())
    left = [
        name
        for name, module in layers.items()
        if name.endswith(ends) or ".router." in name or users[id(module.weight)] > 1 or not _is_linear(module)
    ]
    return [*left, *(name for name in layers if name not in left and not name.startswith((text, "lm_head")))]


def _is_linear(module: Any) -> bool:
    """True if a layer of a family's own class maps a row to a row, so that PEFT can add its product."""
    import torch

    if not type(module).__module__.startswith("transformers.models."):
        return True
    rows = torch.zeros(2, 3, module.in_features, dtype=module.weight.dtype, device=module.weight.device)
    try:
        return bool(module(rows).shape == (2, 3, module.out_features))
    except (AttributeError, RuntimeError):  # more than one value, or another shape
        return False


def has_stacked_experts(model: Any) -> bool:
    """True if the weights of a model's experts are one parameter of three dimensions."""
    weights = model.named_parameters() if model is not None else ()
    return any(weight.dim() == 3 and ".experts." in name for name, weight in weights)


def _lora(recipe: Recipe, task: str, model: Any) -> Any:
    from peft import LoraConfig

    dora = recipe.method in ("dora", "qdora")
    return LoraConfig(r=recipe.rank, use_rslora=recipe.rslora, use_dora=dora, **_low_rank(recipe, task, model))


def _adalora(recipe: Recipe, task: str, model: Any) -> Any:
    """Learn for a fifth of the steps, prune until three fifths, settle for the rest."""
    from peft import AdaLoraConfig

    return AdaLoraConfig(
        init_r=round(ADALORA_START * recipe.rank),
        target_r=recipe.rank,
        total_step=recipe.steps,
        tinit=recipe.steps // 5,
        tfinal=2 * recipe.steps // 5,
        deltaT=max(1, recipe.steps // 50),
        **_low_rank(recipe, task, model),
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


def arguments_of(recipe: Recipe, folder: Path, precision: str, items: int) -> Any:
    """Return the configuration of the objective's trainer. Checkpoints go to `folder`; `items` train."""
    import trl

    kinds = {"sft": "SFT", "dpo": "DPO", "reward": "Reward", "grpo": "GRPO", "rloo": "RLOO"}
    kind = getattr(trl, f"{kinds[recipe.objective]}Config")
    return kind(**_common(recipe, folder, precision, items), **_own(recipe))


def _common(recipe: Recipe, folder: Path, precision: str, items: int) -> dict[str, Any]:
    import torch

    per_epoch = math.ceil(items * max(1, recipe.generations) / recipe.rows_a_step)
    every = max(1, math.ceil(per_epoch / recipe.evals))  # steps from one check to the next
    batch = recipe.generations if recipe.objective in REINFORCED else recipe.batch  # whole groups
    return {
        "output_dir": str(folder),
        "use_cpu": not torch.cuda.is_available(),
        "bf16": precision == "bf16",
        "per_device_train_batch_size": recipe.batch,
        "per_device_eval_batch_size": 1 if recipe.objective in PAIRED else batch,  # each pair has its own loss
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
        "report_to": _trackers(recipe, folder),
        "disable_tqdm": True,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def tracker_problems(names: Sequence[str]) -> list[Problem]:
    """Return the problems of the names in `[training] report_to`: unknown ones, and those not installed here."""
    if not names:
        return []
    from transformers.integrations import get_available_reporting_integrations
    from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK as KNOWN

    here = get_available_reporting_integrations()
    unknown = [
        Problem(f'report_to: "{name}" is no tracker.{did_you_mean(name, KNOWN)} Known: {", ".join(KNOWN)}.')
        for name in names
        if name not in KNOWN
    ]
    absent = [name for name in names if name in KNOWN and name not in here]
    return [*unknown, *(Problem(f"report_to: {name} is not installed here: pip install {name}") for name in absent)]


def _trackers(recipe: Recipe, folder: Path) -> list[str] | str:
    """Return the trackers of a plan. Raises Refusal for one that reports elsewhere and was not trusted here."""
    project = find_project(folder)
    for name in recipe.report_to if project else ():
        demand(project.root, TRACKER, name)  # type: ignore[union-attr]
    return list(recipe.report_to) or "none"


def _own(recipe: Recipe) -> dict[str, Any]:
    """Return settings of this objective only. Rows are never cut: those over the limit were left out.

    The loss that balances experts is off: its router logits break the answers that are given while a model trains.
    """
    if recipe.objective == "reward":
        return {"max_length": None}
    if recipe.objective == "sft":
        return {"max_length": None, "router_aux_loss_coef": 0.0, "dataset_kwargs": {"skip_prepare_dataset": True}}
    if recipe.objective == "dpo":
        return {"max_length": None, "router_aux_loss_coef": 0.0, "beta": recipe.beta}
    return {
        "beta": recipe.beta,
        "router_aux_loss_coef": 0.0,
        "num_generations": recipe.generations,
        "max_completion_length": recipe.answer_tokens,
        "temperature": recipe.temperature,
    }
