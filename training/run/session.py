"""One training session of a run: load, train, save. Imports torch: only the process that trains comes here."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.split.manifest import read_manifest
from evaluation.measurement_report import newest_report
from evaluation.metrics.item_metrics import item_metric
from training.plan.objective import metric_name, rows_of
from training.plan.recipe import Recipe
from training.run.base_model import choose_precision, load_base, load_tokenizer, prepare, save, set_threads
from training.run.building import build, has_stacked_experts
from training.run.checkpoints import newest_checkpoint, step_of
from training.run.inputs import items_of, replayed, with_replay
from training.run.processes import agreed
from training.run.tokens import check
from training.run.validation_answers import ValidationAnswers, reward_model_of
from training.runs import PREFLIGHT, append_metric
from workspace.files import write_text
from workspace.folder import Project

if TYPE_CHECKING:
    from training.run.lifecycle import _Run

CHECKPOINTS = "checkpoints"


class TrainingSession:
    """One training session of a run: from loaded rows to saved weights."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.folder = run.folder
        self.recipe: Recipe = run.admitted.plan.recipe
        self.project = run.admitted.project
        self.data = self.project.datasets / run.admitted.plan.dataset
        self.metric = item_metric(metric_name(self.recipe, run.admitted.settings), self.project.root)
        self.trainer: Any = None

    def train(self) -> str:
        """Train to the end, the last good checkpoint, or the request to stop; returns the ending in a sentence."""
        from training.run.reporting import RunReporter

        threads = set_threads(self.recipe)
        tokenizer = load_tokenizer(self.recipe.base, self.recipe.enable_thinking)
        validation = rows_of(self.data, "validation", self.run.admitted.settings)
        items, unseen = items_of(
            self.project, self.run.admitted.settings, self.data, self.recipe, tokenizer, tests=self.metric.by_tests
        )
        seen = check(tokenizer, items.encoded, self.recipe)
        if self.run.leads:
            write_text(self.folder / PREFLIGHT, json.dumps(asdict(seen), ensure_ascii=False, indent=1) + "\n")
        if self.recipe.replay:
            rows = replayed(self.recipe, self.folder)
            self.run.note(f"replay: {len(rows)} of {self.recipe.replay} general questions were answered in full")
            items = with_replay(items, rows, tokenizer, self.recipe, self.folder)

        def loaded(done: int, of: int) -> None:
            if self.run.leads:
                append_metric(self.folder, {"kind": "loading", "done": done, "of": of})

        with told_by_layer(loaded):
            model = load_base(self.recipe)
        if self.recipe.dropout and has_stacked_experts(model):
            self.run.note("no dropout: peft adapts the stacked weights of experts only without")
        precision = self._precision(threads)
        sampler = ValidationAnswers(tokenizer, validation, self.recipe, self.metric)
        self.trainer = build(
            prepare(model, self.recipe),
            sampler,
            (items, unseen),
            precision=precision,
            folder=self.folder / CHECKPOINTS,
            reward=reward_model_of(self.project, self.recipe),
        )
        beat = line_to_beat(self.project, self.data, self.metric.spec)
        watch = RunReporter(self.folder, sampler, changed=self.run.write, beat=beat, writes=self.run.leads)
        self.trainer.add_callback(watch)
        watch.listen()
        start = agreed(newest_checkpoint(self.folder / CHECKPOINTS) if self.run.leads else None)
        if start is not None:
            self.run.note(f"goes on from step {step_of(start)}")
        self.trainer.train(resume_from_checkpoint=str(start) if start else None)
        self._save(tokenizer)
        return watch.ending or f"finished, best checkpoint step {self.run.record.best_step}"

    def _precision(self, threads: int) -> str:
        """Decided once a run and kept: a resumed run computes as an unbroken one."""
        resolved = self.run.record.resolved
        if "precision" not in resolved:
            precision, reason = agreed(choose_precision(self.recipe))
            resolved = {"precision": precision, "precision_because": reason, "threads": threads}
            self.run.write(resolved=resolved)
            self.run.note(f"{precision}: {reason}")
        return str(resolved["precision"])

    def _save(self, tokenizer: Any) -> None:
        """Save what the trainer ended with (the best by validation loss) beside the run, then move it into place."""
        if not self.run.leads:
            return
        made = self.folder / ".adapter.new"
        shutil.rmtree(made, ignore_errors=True)
        save(self.trainer, tokenizer, made)
        self.run.keep(made)
        self.run.write(step=int(self.trainer.state.global_step))


def line_to_beat(project: Project, dataset: Path, metric: str) -> Mapping[str, Any] | None:
    """`{"arm", "score", "metric", "report"}` of the chosen prompted arm; None if it was not measured by `metric`.

    Its score is on the validation rows that it was chosen on, which is kind to it.
    """
    test = read_manifest(dataset).splits.get("test")
    found = newest_report(project, "baseline", test_sha256=test.sha256) if test else None
    if found is None or found[1].metric != metric:
        return None
    arms = [arm for arm in found[1].arms if arm.prompted and arm.validation is not None]
    arm = next((arm for arm in arms if arm.arm == found[1].chosen), arms[0] if arms else None)
    if arm is None:
        return None
    return {"arm": arm.arm, "score": arm.validation, "metric": metric, "report": found[1].id}


LAYER = re.compile(r"\.(\d+)\.")
LOADING = "Loading weights"
"""Name of transformers' loop over the weights."""
EVERY = 0.5
"""Seconds between two tellings."""


@contextmanager
def told_by_layer(tell: Callable[[int, int], None]) -> Iterator[None]:
    """Call `tell(complete layers, all layers)` as models load inside the block."""
    from transformers.utils import logging

    def hook(make: Callable[..., Any], args: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        line = make(*args, **named)
        return _heard(line, list(args[0]), tell) if named.get("desc") == LOADING and args else line

    before = logging.set_tqdm_hook(hook)
    try:
        yield
    finally:
        logging.set_tqdm_hook(before)


def _heard(line: Iterable[Any], weights: list[tuple[str, Any]], tell: Callable[[int, int], None]) -> Iterator[Any]:
    """Yield the same weights, `(name, what it is made of)`, in the order of their layers."""
    layers = [found[1] if (found := LAYER.search(name)) else "" for name, _ in weights]
    total = len({*layers} - {""})
    begun: set[str] = set()
    last = 0.0
    for number, weight in zip(layers, line, strict=True):
        if number and number not in begun:
            begun.add(number)
            if time.monotonic() - last >= EVERY:
                last = time.monotonic()
                tell(len(begun) - 1, total)
        yield weight
    if total:
        tell(total, total)
