"""The child of dry run and sweep: short trainings outside a run. Imports torch."""

from __future__ import annotations

import math
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from curation.example import Example
from evaluation.metrics.item_metrics import ItemMetric, item_metric
from training.plan.objective import metric_name, rows_of
from training.plan.plans import Plan, read_plan
from training.plan.recipe import REINFORCED, Recipe
from training.run.base_model import choose_precision, load_base, load_tokenizer, prepare, set_threads
from training.run.building import build
from training.run.checkpoints import newest_checkpoint
from training.run.inputs import Column, Items, items_of, picked
from training.run.reporting import held
from training.run.tokens import IGNORED, check, tokenise
from training.run.validation_answers import RewardModel, ValidationAnswers, reward_model_of
from training.trials.sweep import Point, Rung, Trial, admit_trials, append_point, read_points, steps_at, survivors
from workspace.files import sha256_bytes
from workspace.folder import Project
from workspace.settings import Settings, load_settings


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
    """Ask the gates before a model is loaded, then train rung after rung. Raises Refusal if a gate is closed.

    A point that is in the results is not measured twice; a trial that a rung keeps goes on from its checkpoint.
    """
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


TIMED = 2
"""Steps whose time counts, after the one that warms up."""
GIB = 2**30
HELD = ("RssAnon:", "RssFile:")
"""Anonymous memory and mapped files: weights are mapped from disk."""
EVERY = 0.01
"""Seconds between two looks at this process's memory."""


def measure(root: Path, plan_file: Path) -> dict[str, Any]:
    """Return rows as they are trained, and what steps cost on this machine; the weights are thrown away.

    The first step takes the longest rows (memory), the others rows as they come (speed).
    """
    import training.run.trainer  # noqa: F401  imported before memory is counted

    project, plan = Project(root), read_plan(plan_file)
    with Peak() as peak:
        ground = ground_of(project, load_settings(project.settings_file), plan)
        shown = check(ground.tokenizer, ground.items.encoded, plan.recipe)
        folder = Path(tempfile.mkdtemp(prefix=".dry-", dir=project.plans))
        try:
            timed = _steps(ground, plan.recipe, folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return {"rows": asdict(shown), **_rendering(ground), **timed, **peak.found()}


def _steps(ground: Ground, recipe: Recipe, folder: Path) -> dict[str, Any]:
    from torch.utils.data import SequentialSampler

    clock = Clock()
    started = time.monotonic()
    short = recipe.alone().model_copy(update={"steps": TIMED + 1, "epochs": 1.0})
    columns = _order(ground.items.columns, recipe.rows_a_step)
    trainer = trainer_of(ground, short, columns, folder, [clock])
    if recipe.objective not in REINFORCED:  # their sampler repeats each question
        trainer._get_train_sampler = lambda dataset=None: SequentialSampler(trainer.train_dataset)
    clock.tokens = lambda: trainer.tokens_seen
    loading = time.monotonic() - started
    trainer.train()
    trainer._save_checkpoint(trainer.model, None)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return {
        "precision": ground.precision,
        "loading_seconds": round(loading, 2),
        "steps": clock.steps,
        "checkpoint_bytes": size,
        "trained_parameters": sum(p.numel() for p in trainer.model.parameters() if p.requires_grad),
    }


def _order(columns: Sequence[Column], rows: int) -> Sequence[Column]:
    """Return the longest rows for the first step, then others evenly over the data; small sets go round."""
    sizes = [_size(column) for column in columns]
    by_length = sorted(range(len(sizes)), key=lambda place: -sizes[place])
    stride = max(1, len(sizes) // max(1, rows * TIMED))
    spread = list(range(len(sizes)))[::stride]
    wanted = rows * TIMED
    found = [*by_length[:rows], *(spread * (wanted // max(1, len(spread)) + 1))[:wanted]]
    return picked(columns, (found * (rows * (TIMED + 1) // len(found) + 1))[: rows * (TIMED + 1)])


def _size(column: Column) -> int:
    """Return tokens of an item, of all its parts; characters where it is a question still to be rendered."""
    return sum(len(part) for name, part in column.items() if name.endswith(("ids", "prompt")))


def _rendering(ground: Ground) -> dict[str, Any]:
    """Return the faults of rows as the template renders them, by line."""
    tokenizer, recipe = ground.tokenizer, ground.recipe
    template = str(tokenizer.chat_template or "")
    rows = recipe.objective == "sft"  # pairs, labels and questions are not numbered as train lines are
    return {
        "template_sha256": sha256_bytes(template.encode()),
        "answer_lost": list(_answers_lost(ground)) if rows else [],
        "double_start": sum(tokens.ids[:2] == [tokenizer.bos_token_id] * 2 for tokens in ground.items.encoded.rows),
        "lost_tokens": sum(
            tokenise(tokenizer, line, ground.train[line - 1], recipe.system_prompt, recipe.loss).trained
            for line in (ground.items.encoded.too_long if rows else ())
        ),
    }


def _answers_lost(ground: Ground) -> Iterator[int]:
    """Yield lines whose trained tokens do not hold the whole answer."""
    for tokens in ground.items.encoded.rows:
        ids = [token for token, label in zip(tokens.ids, tokens.labels, strict=True) if label != IGNORED]
        answer = ground.train[tokens.row - 1].answer or ""
        if _squeezed(answer) not in _squeezed(ground.tokenizer.decode(ids)):
            yield tokens.row


def _squeezed(text: str) -> str:
    return "".join(text.split())


class Clock(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Seconds and tokens of each optimiser step."""

    def __init__(self) -> None:
        self.steps: list[dict[str, float]] = []
        self.began = (0.0, 0)
        self.tokens: Any = lambda: 0

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        """Begin a step."""
        self.began = (time.monotonic(), self.tokens())

    def on_step_end(self, *_: Any, **__: Any) -> None:
        """End the step."""
        seconds, tokens = time.monotonic() - self.began[0], self.tokens() - self.began[1]
        self.steps.append({"seconds": round(seconds, 4), "tokens": tokens})


class Peak:
    """The most memory that this process held while the block ran: on a GPU the allocator's."""

    def __init__(self) -> None:
        self.most = self.base = 0
        self.ended = threading.Event()
        self.watcher = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Peak:
        self.base = self.most = held(*HELD)
        self.watcher.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.watcher.join()

    def _watch(self) -> None:
        while not self.ended.wait(EVERY):
            self.most = max(self.most, held(*HELD))

    def found(self) -> dict[str, Any]:
        """`peak_gib` above the imports, and on a GPU what its allocator had reserved."""
        import torch

        if torch.cuda.is_available():
            allocated, reserved = torch.cuda.max_memory_allocated(), torch.cuda.max_memory_reserved()
            return {"peak_gib": allocated / GIB, "reserved_gib": reserved / GIB, "imports_gib": self.base / GIB}
        return {"peak_gib": (self.most - self.base) / GIB, "reserved_gib": None, "imports_gib": self.base / GIB}
