"""A trainer for some steps outside a run: what the dry run, the sweep and the learning curve share. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.example import Example
from evaluation.metrics.registry import ItemMetric, item_metric
from training.lines import rows_of
from training.plan import Plan
from training.recipe import Recipe
from training.reward import metric_name
from training.run.building import build
from training.run.items import Items, items_of
from training.run.model import load_base, load_tokenizer, prepare, set_threads
from training.run.precision import choose_precision
from training.run.reward_model import RewardModel, reward_model_of
from training.run.samples import Sampler
from workspace.folder import Project
from workspace.settings import Settings


@dataclass
class Ground:
    """What stays the same from one short training to the next: rows, tokenizer, metric, precision."""

    recipe: Recipe
    tokenizer: Any
    items: Items
    unseen: Items
    train: Sequence[Example]
    validation: Sequence[Example]
    metric: ItemMetric
    reward: RewardModel | None = None
    precision: str = ""


def ground_of(project: Project, settings: Settings, plan: Plan) -> Ground:
    """Read and tokenise what the plan trains on."""
    recipe = plan.recipe
    set_threads(recipe)
    folder = project.datasets / plan.dataset
    tokenizer = load_tokenizer(recipe.base)
    train, validation = rows_of(folder, "train", settings), rows_of(folder, "validation", settings)
    metric = item_metric(metric_name(recipe, settings), project.root)
    items, unseen = items_of(project, settings, folder, recipe, tokenizer, tests=metric.by_tests)
    reward = reward_model_of(project, recipe)
    return Ground(recipe, tokenizer, items, unseen, train, validation, metric, reward)


def trainer_of(
    ground: Ground, recipe: Recipe, columns: Sequence[dict[str, Any]], folder: Path, callbacks: list[Any]
) -> Any:
    """A trainer on a fresh base for these columns: it evaluates and saves only when a callback asks it to.

    One process makes the steps, whatever the plan says.
    """
    recipe = recipe.alone()
    model = load_base(recipe)
    if not ground.precision:
        ground.precision = choose_precision(recipe, model, ground.items.encoded)[0]
    trainer = build(
        recipe,
        prepare(model, recipe),
        ground.tokenizer,
        items=Items(columns, ground.items.encoded),
        unseen=ground.unseen,
        precision=ground.precision,
        folder=folder,
        metric=ground.metric,
        reward=ground.reward,
        sampler=Sampler(ground.tokenizer, ground.validation, recipe, ground.metric),
        callbacks=callbacks,
    )
    trainer.scored = None
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    trainer.args.load_best_model_at_end = False
    return trainer
