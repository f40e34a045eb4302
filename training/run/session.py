"""Building the trainer from a recipe and letting it run. Imports torch: only the process that trains comes here."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from evaluation.metrics.registry import item_metric
from training.lines import rows_of
from training.recipe import Recipe
from training.record import append_metric
from training.reward import metric_name
from training.run.beat import line_to_beat
from training.run.building import build
from training.run.checkpoints import newest_checkpoint, step_of
from training.run.items import Items, items_of
from training.run.loading import told_by_layer
from training.run.model import load_base, load_tokenizer, prepare, save, set_threads
from training.run.precision import choose_precision
from training.run.preflight import check, write_preflight
from training.run.reward_model import reward_model_of
from training.run.samples import Sampler
from training.run.world import agreed

if TYPE_CHECKING:
    from training.run.child import _Run

CHECKPOINTS = "checkpoints"


class Session:
    """One training session of a run: from loaded rows to saved weights."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.folder = run.folder
        self.recipe: Recipe = run.admitted.plan.recipe
        self.project = run.admitted.project
        self.data = self.project.datasets / run.admitted.plan.dataset
        self.metric = item_metric(metric_name(self.recipe, run.admitted.settings), self.project.root)
        self.sampler: Sampler | None = None
        self.trainer: Any = None

    def train(self) -> str:
        """Train to the end, the last good checkpoint, or the request to stop; returns the ending in a sentence."""
        threads = set_threads(self.recipe)
        tokenizer = load_tokenizer(self.recipe.base)
        validation = rows_of(self.data, "validation", self.run.admitted.settings)
        items, unseen = items_of(
            self.project, self.run.admitted.settings, self.data, self.recipe, tokenizer, tests=self.metric.by_tests
        )
        seen = check(tokenizer, items.encoded, self.recipe)
        if self.run.leads:
            write_preflight(self.folder, seen)
        with told_by_layer(self._loaded):
            model = load_base(self.recipe)
        precision = self._precision(model, items, threads)
        self.sampler = Sampler(tokenizer, validation, self.recipe, self.metric)
        watch = self._watch()
        self.trainer = build(
            self.recipe,
            prepare(model, self.recipe),
            tokenizer,
            items=items,
            unseen=unseen,
            precision=precision,
            folder=self.folder / CHECKPOINTS,
            metric=self.metric,
            reward=reward_model_of(self.project, self.recipe),
            sampler=self.sampler,
            callbacks=[watch],
        )
        watch.listen()
        self._go()
        self._save(tokenizer)
        return watch.ending or f"finished, best checkpoint step {self.run.record.best_step}"

    def _loaded(self, done: int, of: int) -> None:
        """A line of metrics.jsonl: how many layers of the base are loaded."""
        if self.run.leads:
            append_metric(self.folder, {"kind": "loading", "done": done, "of": of})

    def _precision(self, model: Any, items: Items, threads: int) -> str:
        """Decided once a run and kept: a resumed run computes as an unbroken one."""
        resolved = self.run.record.resolved
        if "precision" not in resolved:
            precision, reason = agreed(choose_precision(self.recipe, model, items.encoded))
            resolved = {"precision": precision, "precision_because": reason, "threads": threads}
            self.run.write(resolved=resolved)
            self.run.note(f"{precision}: {reason}")
        return str(resolved["precision"])

    def _watch(self) -> Any:
        from training.run.watch import Watch

        assert self.sampler is not None
        return Watch(
            self.folder,
            self.recipe,
            writes=self.run.leads,
            samples=self.sampler.shown,
            tokens=lambda: self.trainer.tokens_seen,
            changed=self.run.write,
            beat=line_to_beat(self.project, self.data, self.metric.spec),
        )

    def _go(self) -> None:
        """Train, from the newest whole checkpoint where there is one."""
        start = agreed(newest_checkpoint(self.folder / CHECKPOINTS) if self.run.leads else None)
        if start is not None:
            self.run.note(f"goes on from step {step_of(start)}")
        self.trainer.train(resume_from_checkpoint=str(start) if start else None)

    def _save(self, tokenizer: Any) -> None:
        """Save what the trainer ended with (the best by validation loss) beside the run, then move it into place."""
        if not self.run.leads:
            return
        made = self.folder / ".adapter.new"
        shutil.rmtree(made, ignore_errors=True)
        save(self.trainer, tokenizer, made)
        self.run.keep(made)
        self.run.write(step=int(self.trainer.state.global_step))
