"""trl's SFTTrainer with three changes: the language head runs at answer positions only, rows of similar length go
together in an order that a resumed run repeats, and validation keeps each row's own loss.

What every trainer of a run keeps besides (`RunTrainer`) is here too.

Imports torch and trl: only the process that trains imports this module.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Sampler
from transformers import TrainerCallback
from trl import SFTTrainer

from training.run.checkpoints import mark_complete
from training.run.packing import row_of
from training.run.processes import all_of, in_turn, unshared
from training.run.tokens import IGNORED

GIVEN = ("input_ids", "attention_mask", "position_ids", "row_lengths")
"""Arguments of the model; `row_lengths` is passed through to the attention of packed rows."""


Batch = dict[str, Any]


class ByLength(Sampler[int]):
    """Row numbers so that neighbours are of similar length; another order each epoch, the same for the same seed.

    Rows are shuffled, cut into groups of 16 batches, sorted by length inside a group, and the batches shuffled.
    """

    def __init__(self, lengths: list[int], batch: int, seed: int, trainer: SFTTrainer) -> None:
        self.lengths = lengths
        self.batch = batch
        self.seed = seed
        self.trainer = trainer

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        epoch = self.trainer.state.global_step // max(1, math.ceil(len(self) / self.batch))
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self), generator=generator).tolist()
        size = self.batch * 16
        groups = [sorted(order[i : i + size], key=lambda n: -self.lengths[n]) for i in range(0, len(order), size)]
        batches = [group[i : i + self.batch] for group in groups for i in range(0, len(group), self.batch)]
        whole = [batch for batch in batches if len(batch) == self.batch]
        rest = [n for batch in batches if len(batch) < self.batch for n in batch]
        for place in torch.randperm(len(whole), generator=generator).tolist():
            yield from whole[place]
        yield from rest


class RunTrainer:
    """Shared by all trainers of a run: complete checkpoints, a token count, answers scored at each check.

    `tokens_seen` counts those of this process. `scored` gives the metric on validation rows, where the best
    checkpoint is chosen by it; of two with the same score the one with the lower loss is the best.
    """

    tokens_seen = 0
    scored: Callable[[], float | None] | None = None
    control: Any

    def held_out_loss(self) -> tuple[float, float]:
        """Return the loss of a check and its standard error."""
        raise NotImplementedError

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Return the metrics of a check with the score of the answers; logged, and shown to the callbacks."""
        this: Any = self
        this.model.eval()
        loss, error = self.held_out_loss()
        metrics = {"eval_loss": loss, "eval_error": error}
        score = self.scored() if self.scored else None
        if score is not None:
            metrics |= {"eval_score": score, "eval_choice": score - 1e-6 * min(metrics["eval_loss"], 1e3)}
        this.log(dict(metrics))
        this.model.train()
        self.control = this.callback_handler.on_evaluate(this.args, this.state, self.control, metrics)
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        this: Any = self
        super()._save_checkpoint(model, trial)  # type: ignore[misc]
        folder = Path(this.args.output_dir) / f"checkpoint-{this.state.global_step}"
        all_of("each has written what is its own")
        if this.args.should_save:
            if prunes(this.model):
                remember(this.model, folder)
            mark_complete(folder)
        all_of("the mark is there")

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """Return a loader that gives every process every batch, so that results do not depend on their number."""
        return unshared(super().get_eval_dataloader(eval_dataset))  # type: ignore[misc]

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        this: Any = self
        if prunes(this.model):
            recall(this.model, Path(resume_from_checkpoint))
        else:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]

    def _load_best_model(self) -> None:
        this: Any = self
        if prunes(this.model):
            recall(this.model, Path(this.state.best_model_checkpoint))
        else:
            super()._load_best_model()  # type: ignore[misc]

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: Rung writes its own card at release, with the facts."""


def prunes(model: Any) -> bool:
    """True if the model carries an AdaLoRA adapter."""
    return hasattr(getattr(model, "base_model", None), "rankallocator")


class AnswerTrainer(RunTrainer, SFTTrainer):  # type: ignore[misc]  # trl ships no types
    """Trains on rows that are tokenised and labelled already."""

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Mean negative log-likelihood of the trained tokens: what trl computes, without the head elsewhere."""
        losses, _ = self.answer_losses(model, inputs)
        seen = inputs.get("attention_mask")
        self.tokens_seen += inputs["input_ids"].numel() if seen is None else int(seen.sum())
        count = losses.numel() if num_items_in_batch is None else num_items_in_batch
        loss = losses.sum() / torch.as_tensor(count).clamp(min=1)
        if num_items_in_batch is not None:  # counted over all processes, over which the gradient is averaged
            loss = loss * self.args.world_size
        if prunes(self.model):
            loss = loss + orthogonality(self.model) / self.args.gradient_accumulation_steps
        return (loss, {}) if return_outputs else loss

    def answer_losses(self, model: Any, inputs: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the loss of each trained token of the batch, and the row that each belongs to."""
        targets = inputs["labels"][:, 1:]
        mask = targets != IGNORED
        base = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        given = {name: inputs[name] for name in GIVEN if name in inputs}
        with _head_at(base.get_output_embeddings(), mask):
            found = model(**given, use_cache=False)
        logits = found.logits.reshape(-1, found.logits.size(-1)).float()
        losses = torch.nn.functional.cross_entropy(logits, targets[mask], reduction="none")
        row, place = mask.nonzero(as_tuple=True)
        return losses, row_of(inputs["row_lengths"], place + 1) if "row_lengths" in inputs else row

    def held_out_loss(self) -> tuple[float, float]:
        """Validation loss over all trained tokens, with the standard error of the rows' own mean losses."""
        mine = islice(self.get_eval_dataloader(), self.args.process_index, None, self.args.world_size)
        with torch.no_grad():
            batches = in_turn(all_of([self._row_sums(inputs) for inputs in mine]))
        counts = [count for _, found in batches for count in found]
        return mean_and_error([value for found, _ in batches for value in found], counts)

    def _row_sums(self, inputs: Batch) -> tuple[list[float], list[int]]:
        """Return the loss summed over the trained tokens of each row of a batch, and how many those are."""
        losses, rows = self.answer_losses(self.model, self._prepare_inputs(inputs))
        size = len(inputs["row_lengths"]) if "row_lengths" in inputs else inputs["input_ids"].size(0)
        sums = torch.zeros(size).index_add_(0, rows.cpu(), losses.float().cpu()).tolist()
        return sums, torch.bincount(rows.cpu(), minlength=size).tolist()

    def _get_train_sampler(self, train_dataset: Any = None) -> Sampler[int]:
        rows = train_dataset if train_dataset is not None else self.train_dataset
        lengths = [len(ids) for ids in rows["input_ids"]]
        return ByLength(
            lengths,
            self.args.train_batch_size * self.args.gradient_accumulation_steps * self.args.world_size,
            self.args.seed,
            self,
        )


@contextlib.contextmanager
def _head_at(head: Any, mask: torch.Tensor) -> Iterator[None]:
    """Give `head` only the positions before a trained token inside the block, all rows in one line.

    A hook, so that the model's own forward runs whole: autocast, adapters and soft caps stay as they are.
    """

    def pick(_: Any, args: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        hidden = args[0][:, -mask.size(1) - 1 : -1]
        return (hidden[mask].unsqueeze(0), *args[1:])

    handle = head.register_forward_pre_hook(pick)
    try:
        yield
    finally:
        handle.remove()


def mean_and_error(sums: Sequence[float], counts: Sequence[int]) -> tuple[float, float]:
    """Return the mean of all that the rows count, and its standard error over rows (0 for fewer than two).

    A row weighs by its count: the trained tokens of which `sums` holds the summed loss.
    """
    total, n = sum(counts), len(counts)
    mean = sum(sums) / max(1, total)
    spread = sum((s - mean * c) ** 2 for s, c in zip(sums, counts, strict=True))
    return mean, math.sqrt(spread * n / (n - 1)) / total if n > 1 and total else 0.0


MEMORY = "rank_allocator.pt"
REMEMBERED = ("ipt", "exp_avg_ipt", "exp_avg_unc")


class Allocate(TrainerCallback):  # type: ignore[misc]  # transformers is not followed by mypy
    """Lets peft prune ranks between the optimiser's step and the clearing of the gradients, where it needs both."""

    def on_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **_: Any) -> None:
        """Peft counts steps from 1; `global_step` is raised after this."""
        model.base_model.update_and_allocate(state.global_step + 1)


def orthogonality(model: Any) -> Any:
    """Peft's penalty on directions that are not orthogonal, which it adds only to losses that it computes itself."""
    config = model.peft_config["default"]
    norms = []
    for name, weight in model.named_parameters():
        if "lora_A.default" in name or "lora_B.default" in name:
            product = weight @ weight.T if "lora_A" in name else weight.T @ weight
            norms.append(torch.linalg.matrix_norm(product - torch.eye(len(product), device=weight.device)))
    return config.orth_reg_weight * torch.stack(norms).mean()


def remember(model: Any, folder: Path) -> None:
    """Write all trained weights, the importance of each rank and the ranks given out beside a checkpoint.

    Peft saves a checkpoint without the pruned ranks: such weights do not fit back into a model that still trains.
    """
    allocator = model.base_model.rankallocator
    memory = {name: getattr(allocator, name) for name in REMEMBERED}
    weights = {name: weight.detach() for name, weight in model.named_parameters() if weight.requires_grad}
    pattern = model.peft_config["default"].rank_pattern
    torch.save({"memory": memory, "weights": weights, "rank_pattern": pattern}, folder / MEMORY)


def recall(model: Any, folder: Path) -> None:
    """Take them back, so that a resumed run prunes as an unbroken one."""
    kept = torch.load(folder / MEMORY, weights_only=True)
    model.peft_config["default"].rank_pattern = kept["rank_pattern"]
    for name, value in kept["memory"].items():
        setattr(model.base_model.rankallocator, name, value)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name in kept["weights"]:
                weight.copy_(kept["weights"][name])
