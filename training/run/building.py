"""The trainer of an objective, with the adapter of a method. Imports torch and trl: only the training process does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from evaluation.metrics.registry import ItemMetric
from training.methods import REINFORCED
from training.recipe import Recipe
from training.run.adapter import adapter_config
from training.run.arguments import arguments_of
from training.run.items import Items
from training.run.reward_model import RewardModel
from training.run.samples import Sampler


def build(
    recipe: Recipe,
    model: Any,
    tokenizer: Any,
    *,
    items: Items,
    unseen: Items,
    precision: str,
    folder: Path,
    metric: ItemMetric,
    sampler: Sampler,
    callbacks: list[Any],
    reward: RewardModel | None = None,
) -> Any:
    """A trainer that is ready to run; `items` train, `unseen` check, checkpoints go into `folder`.

    Under reinforcement `reward` scores the answers, or without it `metric`.
    """
    kind, more = _kind(recipe, model, metric, reward)
    trainer = kind(
        model=model,
        args=arguments_of(recipe, folder, precision, len(items.columns)),
        train_dataset=_table(items),
        eval_dataset=_table(unseen),
        processing_class=tokenizer,
        peft_config=adapter_config(recipe, model),
        callbacks=[*callbacks, *_pruning(recipe)],
        **more,
    )
    sampler.trainer = trainer
    trainer.scored = sampler.score if recipe.objective != "reward" else None
    if recipe.objective in REINFORCED:
        trainer.rewards = sampler.scores if reward is None else lambda: reward.scores(*sampler.given())
    if recipe.packing:
        _check_packing(trainer, tokenizer)
    return trainer


def _table(items: Items) -> Any:
    from datasets import Dataset

    return items.columns if isinstance(items.columns, Dataset) else Dataset.from_list(list(items.columns))


def _kind(recipe: Recipe, model: Any, metric: ItemMetric, reward: RewardModel | None) -> tuple[Any, dict[str, Any]]:
    """The trainer's class and what only it is given."""
    if recipe.objective == "sft":
        from training.run.packing import Pack
        from training.run.trainer import AnswerTrainer

        return AnswerTrainer, {"data_collator": Pack()} if recipe.packing else {}
    from training.run.objectives import TRAINERS, reward_by, reward_of

    if recipe.objective in REINFORCED:
        by = reward_of(metric.score) if reward is None else reward_by(reward.scores)
        return TRAINERS[recipe.objective], {"reward_funcs": by}
    return TRAINERS[recipe.objective], _reference(recipe)


def _reference(recipe: Recipe) -> dict[str, Any]:
    """Full fine-tuning is compared with a frozen copy of the base; an adapter is simply switched off."""
    if recipe.method != "full" or recipe.objective == "reward":
        return {}
    from training.run.model import load_base

    return {"ref_model": load_base(recipe)}


def _pruning(recipe: Recipe) -> list[Any]:
    if recipe.method != "adalora":
        return []
    from training.run.adalora import Allocate

    return [Allocate()]


def _check_packing(trainer: Any, tokenizer: Any) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    from training.run.packing import check_apart

    check_apart(trainer, DataCollatorForLanguageModeling(pad_token_id=tokenizer.pad_token_id))
