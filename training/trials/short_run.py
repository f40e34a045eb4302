"""The child of dry run and sweep: short trainings outside a run.

The gates are checked again before a model is loaded. A point that is in the results is not measured twice, and a trial
that a rung keeps goes on from its checkpoint. Imports torch.
"""

import math
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from curation.example import Example
from evaluation.metrics.item_metrics import ItemMetric, item_metric
from training.plan.objective import metric_name, rows_of
from training.plan.plans import Plan, read_plan
from training.plan.recipe import Recipe
from training.run.base_model import choose_precision, load_base, load_tokenizer, prepare, set_threads
from training.run.building import build
from training.run.checkpoints import newest_checkpoint
from training.run.inputs import Column, Items, items_of
from training.run.reward_model import RewardModel, reward_model_of
from training.run.validation_answers import ValidationAnswers
from training.trials.sweep import Point, Rung, Trial, admit_trials, append_point, read_points, steps_at, survivors
from workspace.folder import Project
from workspace.settings import Settings


@dataclass
class Ground:
    """Shared by all short trainings: rows, tokenizer, metric, precision."""

    recipe: Recipe
    tokenizer: Any
    items: Items
    unseen: Items
    train: Sequence[Example]
    validation: Sequence[Example]
    metric: ItemMetric
    precision: str
    reward: RewardModel | None = None


def ground_of(project: Project, settings: Settings, plan: Plan) -> Ground:
    """Read and tokenise what the plan trains on."""
    recipe = plan.recipe
    set_threads(recipe)
    folder = project.datasets / plan.dataset
    tokenizer = load_tokenizer(recipe.base, recipe.enable_thinking)
    train, validation = rows_of(folder, "train", settings), rows_of(folder, "validation", settings)
    metric = item_metric(metric_name(recipe, settings), project.root)
    items, unseen = items_of(project, settings, folder, recipe, tokenizer, tests=metric.by_tests)
    reward = reward_model_of(project, recipe)
    return Ground(recipe, tokenizer, items, unseen, train, validation, metric, choose_precision(recipe)[0], reward)


def trainer_of(ground: Ground, recipe: Recipe, columns: Sequence[Column], folder: Path, callbacks: list[Any]) -> Any:
    """Return a one-process trainer on a fresh base, which evaluates and saves only when a callback asks it to."""
    recipe = recipe.alone()
    trainer = build(
        prepare(load_base(recipe), recipe),
        ValidationAnswers(ground.tokenizer, ground.validation, recipe, ground.metric),
        (Items(columns, ground.items.encoded), ground.unseen),
        precision=ground.precision,
        folder=folder,
        reward=ground.reward,
    )
    for callback in callbacks:
        trainer.add_callback(callback)
    trainer.scored = None
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    trainer.args.load_best_model_at_end = False
    return trainer


def work(project: Project, settings: Settings, folder: Path) -> None:
    """Ask the gates, then train rung after rung. Raises Refusal if a gate is closed."""
    spec = admit_trials(project, settings, folder)
    ground = ground_of(project, settings, read_plan(project.plans / f"{spec.plan}.toml"))
    left = [trial.name for trial in spec.trials]
    for number, rung in enumerate(spec.rungs):
        done = {(point.trial, point.rung) for point in read_points(folder)}
        goes_on = number + 1 < len(spec.rungs)
        for trial in spec.trials:
            if trial.name in left and (trial.name, number) not in done:
                append_point(folder, train_trial(ground, folder / trial.name, trial, rung, number, keep=goes_on))
        if goes_on:
            kept = survivors(read_points(folder), number, spec.rungs[number + 1].count)
            for name in set(left) - set(kept):
                shutil.rmtree(folder / name, ignore_errors=True)
            left = kept


def train_trial(ground: Any, folder: Path, trial: Trial, rung: Rung, number: int, *, keep: bool) -> Point:
    """Train a trial up to the rung and look at validation; where it may go on, leave a checkpoint."""
    started = time.monotonic()
    until = steps_at(trial, rung)
    trainer = trainer_of(ground, trial.recipe, ground.items.columns, folder, [Until(until, keep=keep)])
    start = newest_checkpoint(folder)
    trainer.train(resume_from_checkpoint=str(start) if start else None)
    found = trainer.evaluate()
    if not keep:
        shutil.rmtree(folder, ignore_errors=True)
    loss = float(found["eval_loss"])
    return Point(
        trial=trial.name,
        rung=number,
        step=int(trainer.state.global_step),
        loss=loss if math.isfinite(loss) else None,
        error=float(found.get("eval_error") or 0.0),
        seconds=round(time.monotonic() - started, 2),
    )


class Until(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Stops at a step, with a checkpoint where the trial may go on."""

    def __init__(self, step: int, *, keep: bool) -> None:
        self.step = step
        self.keep = keep

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> Any:
        """Stop here?"""
        if state.global_step >= self.step:
            control.should_training_stop = True
            control.should_save = self.keep
        return control
