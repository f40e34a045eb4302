"""Building the trainer from a recipe and letting it run. Imports torch: only the process that trains comes here."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.manifest import load_split
from training.recipe import Recipe
from training.record import append_metric
from training.run.checkpoints import newest_checkpoint, step_of
from training.run.model import adapter_config, load_base, load_tokenizer, prepare, save, set_threads
from training.run.precision import choose_precision
from training.run.preflight import check, write_preflight
from training.run.rows import Encoded, encode
from training.run.samples import Sampler

if TYPE_CHECKING:
    from training.run.child import _Run

CHECKPOINTS = "checkpoints"


class Session:
    """One training session of a run: from loaded rows to saved weights."""

    def __init__(self, run: _Run) -> None:
        self.run = run
        self.folder = run.folder
        self.recipe: Recipe = run.admitted.plan.recipe
        self.data = run.admitted.project.datasets / run.admitted.plan.dataset
        self.sampler: Sampler | None = None
        self.trainer: Any = None

    def train(self) -> str:
        """Train to the end, the last good checkpoint, or the request to stop; returns the ending in a sentence."""
        threads = set_threads(self.recipe)
        tokenizer = load_tokenizer(self.recipe.base)
        rows = load_split(self.data, "train")
        encoded = encode(tokenizer, rows, self.recipe.system_prompt, self.recipe.max_length)
        validation = load_split(self.data, "validation")
        unseen = encode(tokenizer, validation, self.recipe.system_prompt, self.recipe.max_length)
        write_preflight(self.folder, check(tokenizer, encoded, self.recipe))
        model = load_base(self.recipe)
        precision = self._precision(model, encoded, threads)
        self.sampler = Sampler(tokenizer, validation, self.recipe)
        watch = self._watch()
        self.trainer = self._trainer(prepare(model, self.recipe), tokenizer, encoded, unseen, precision, watch)
        self.sampler.trainer = self.trainer
        watch.listen()
        self._go()
        self._save(tokenizer)
        return watch.ending or f"finished, best checkpoint step {self.run.record.best_step}"

    def _precision(self, model: Any, encoded: Encoded, threads: int) -> str:
        """Decided once a run and kept: a resumed run computes as an unbroken one."""
        resolved = self.run.record.resolved
        if "precision" not in resolved:
            precision, reason = choose_precision(self.recipe, model, encoded)
            resolved = {"precision": precision, "precision_because": reason, "threads": threads}
            self.run.write(resolved=resolved)
            append_metric(self.folder, {"kind": "note", "text": f"{precision}: {reason}"})
        return str(resolved["precision"])

    def _watch(self) -> Any:
        from training.run.watch import Watch

        assert self.sampler is not None
        return Watch(
            self.folder,
            self.recipe.patience,
            samples=self.sampler.outputs,
            tokens=lambda: self.trainer.tokens_seen,
            changed=self.run.write,
        )

    def _trainer(
        self, model: Any, tokenizer: Any, encoded: Encoded, unseen: Encoded, precision: str, watch: Any
    ) -> Any:
        from datasets import Dataset

        from training.run.trainer import AnswerTrainer

        return AnswerTrainer(
            model=model,
            args=self._arguments(precision, len(encoded.rows)),
            train_dataset=Dataset.from_list([{"input_ids": t.ids, "labels": t.labels} for t in encoded.rows]),
            eval_dataset=Dataset.from_list([{"input_ids": t.ids, "labels": t.labels} for t in unseen.rows]),
            processing_class=tokenizer,
            peft_config=adapter_config(self.recipe),
            callbacks=[watch],
        )

    def _arguments(self, precision: str, rows: int) -> Any:
        """The recipe in trl's words."""
        import torch
        from trl import SFTConfig

        recipe = self.recipe
        per_epoch = math.ceil(rows / (recipe.batch * recipe.accumulation))
        every = max(1, math.ceil(per_epoch / recipe.evals))
        return SFTConfig(
            output_dir=str(self.folder / CHECKPOINTS),
            use_cpu=not torch.cuda.is_available(),
            bf16=precision == "bf16",
            per_device_train_batch_size=recipe.batch,
            per_device_eval_batch_size=recipe.batch,
            gradient_accumulation_steps=recipe.accumulation,
            num_train_epochs=recipe.epochs,
            max_steps=recipe.steps,
            max_length=None,
            learning_rate=recipe.learning_rate,
            lr_scheduler_type=recipe.schedule,
            warmup_steps=recipe.warmup,
            weight_decay=recipe.weight_decay,
            max_grad_norm=recipe.grad_norm,
            activation_checkpointing=recipe.checkpointing,
            logging_steps=1,
            logging_nan_inf_filter=False,
            eval_strategy="steps",
            eval_steps=every,
            save_strategy="steps",
            save_steps=every,
            save_total_limit=recipe.keep_last,
            load_best_model_at_end=True,
            metric_for_best_model="eval_loss",
            greater_is_better=False,
            seed=recipe.seed,
            data_seed=recipe.seed,
            report_to=list(recipe.report_to) or "none",
            disable_tqdm=True,
            dataset_kwargs={"skip_prepare_dataset": True},
            dataloader_pin_memory=torch.cuda.is_available(),
        )

    def _go(self) -> None:
        """Train, from the newest whole checkpoint where there is one."""
        start = newest_checkpoint(self.folder / CHECKPOINTS)
        if start is not None:
            append_metric(self.folder, {"kind": "note", "text": f"goes on from step {step_of(start)}"})
        self.trainer.train(resume_from_checkpoint=str(start) if start else None)

    def _save(self, tokenizer: Any) -> None:
        """Save what the trainer ended with (the best by validation loss) beside the run, then move it into place."""
        made = self.folder / ".adapter.new"
        shutil.rmtree(made, ignore_errors=True)
        save(self.trainer, tokenizer, made)
        self.run.keep(made)
        self.run.write(step=int(self.trainer.state.global_step))


def checkpoints(folder: Path) -> list[Path]:
    """Checkpoints of a run, the oldest first."""
    return sorted((folder / CHECKPOINTS).glob("checkpoint-*"), key=step_of)
