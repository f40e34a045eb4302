"""The dry run in its child: a few optimiser steps before anything is spent.

The first step takes the longest rows (memory), the others rows as they come (speed). Weights are thrown away.
"""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from training.plan.plans import read_plan
from training.plan.recipe import REINFORCED, Recipe
from training.run.inputs import Column, picked
from training.run.reporting import held
from training.run.row_check import check
from training.run.tokens import IGNORED, tokenise
from training.trials.short_run import Ground, ground_of, trainer_of
from workspace.files import sha256_bytes
from workspace.folder import Project
from workspace.settings import load_settings

TIMED = 2
"""Steps whose time counts, after the one that warms up."""
GIB = 2**30
HELD = ("RssAnon:", "RssFile:")
"""Anonymous memory and mapped files: weights are mapped from disk."""
EVERY = 0.01
"""Seconds between two looks at this process's memory."""


def measure(root: Path, plan_file: Path) -> dict[str, Any]:
    """Return rows as they are trained, and what steps cost on this machine."""
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
