"""Trl's trainers for pairs and rewards, each kept and checked as supervised runs are.

Rows come tokenised by the same code that serves the model, so trl's own preparation is passed over. Imports torch and
trl: only the process that trains imports this module.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from trl import DPOTrainer, GRPOTrainer, RewardTrainer, RLOOTrainer

from chat.local.prompt import encode, read_answer
from evaluation.metrics.item_metrics import ItemMetric
from training.run.trainer import Batch, RunTrainer, mean_and_error, orthogonality, prunes
from training.run.validation_answers import RewardModel


class Compared(RunTrainer):
    """A trainer whose check is the mean loss of its validation pairs, one after another."""

    def _prepare_dataset(self, dataset: Any, *_: Any) -> Any:
        return dataset

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Trl's loss, with the tokens counted."""
        if model.training:
            self.tokens_seen += int(inputs["attention_mask"].sum())
        found = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]
        loss = (found[0] if return_outputs else found) + _penalty(self)
        return (loss, found[1]) if return_outputs else loss

    def held_out_loss(self) -> tuple[float, float]:
        """Return the mean loss, with its standard error over pairs."""
        this: Any = self
        losses = []
        for inputs in this.get_eval_dataloader():
            with torch.no_grad(), this.compute_loss_context_manager():
                losses.append(float(this.compute_loss(this.model, this._prepare_inputs(inputs))))
        return mean_and_error(losses, [1] * len(losses))


class PairTrainer(Compared, DPOTrainer):  # type: ignore[misc]  # trl ships no types
    """DPO on `prompt_ids`, `chosen_ids`, `rejected_ids`."""


class ScoreTrainer(Compared, RewardTrainer):  # type: ignore[misc]  # trl ships no types
    """A reward model on `chosen_ids` and `rejected_ids`, each the whole row."""


class Rewarded(RunTrainer):
    """Reinforcement: a check answers validation questions greedily; its loss is 1 - mean reward (`rewards`)."""

    rewards: Callable[[], Sequence[float]] | None = None

    def compute_loss(
        self, model: Any, inputs: Batch, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """Trl's loss, with the tokens counted."""
        self.tokens_seen += int(inputs["prompt_mask"].sum()) + int(inputs["completion_mask"].sum())
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)  # type: ignore[misc]
        return loss + _penalty(self)

    def held_out_loss(self) -> tuple[float, float]:
        """Return 1 - the mean reward of the answers to the validation questions, with its standard error."""
        scores = self.rewards() if self.rewards else []
        mean, error = mean_and_error(scores, [1] * len(scores))
        return 1 - mean, error

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, object]]:
        """Return questions come rendered, special tokens and all: as the local model is asked."""
        this: Any = self
        return [encode(this.processing_class, prompt) for prompt in prompts], None, {}


class GroupTrainer(Rewarded, GRPOTrainer):  # type: ignore[misc]  # trl ships no types
    """GRPO: each answer against its group."""


class LeaveOneOutTrainer(Rewarded, RLOOTrainer):  # type: ignore[misc]  # trl ships no types
    """RLOO: each answer against the mean of the others."""


def _penalty(trainer: Any) -> Any:
    """Return the penalty that AdaLoRA adds to a loss in training."""
    return orthogonality(trainer.model) if trainer.model.training and prunes(trainer.model) else 0.0


def reward_of(metric: ItemMetric, model: RewardModel | None) -> Callable[..., list[float]]:
    """Return trl's reward function: of each sampled answer the score by the reward model, given the row's `question`;
    without one by the metric, against the row's `expected`.
    """

    def reward(completions: Sequence[Any], expected: Sequence[str], question: Sequence[str], **_: Any) -> list[float]:
        texts = list(map(_answer, completions, question))
        return model.scores(question, texts) if model else list(map(metric.score, texts, expected))

    return reward


def _answer(completion: Any, question: str) -> str:
    """Return the answer's text (conversational rows come back as messages), with calls as one line of JSON."""
    text = completion if isinstance(completion, str) else str(completion[-1]["content"])
    tools = json.loads(question)["tools"]
    return read_answer(text, tools) if tools else text


TRAINERS: Mapping[str, Any] = {
    "dpo": PairTrainer,
    "reward": ScoreTrainer,
    "grpo": GroupTrainer,
    "rloo": LeaveOneOutTrainer,
}
