"""The values a run is made with: plain, typed, written to the plan's TOML; and the combinations known to fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, model_validator

from advisor.sizing.setup import LOW_RANK as LOW_RANK
from advisor.sizing.setup import QUANTISED as QUANTISED
from advisor.sizing.setup import Method as Method
from workspace.artefact import ArtefactPart, revised

Loss = Literal["last", "all"]
"""Assistant turns of a row that are trained."""
Objective = Literal["sft", "dpo", "reward", "grpo", "rloo"]

VIRTUAL = ("prefix", "prompt")
"""Methods of virtual tokens: nothing that could be merged into the weights."""
PAIRED = ("dpo", "reward")
"""Objectives that train on pairs of the review log: a better and a worse answer to one question."""
REINFORCED = ("grpo", "rloo")
"""Objectives whose rows are questions: the model answers, the metric of the project rewards."""
ROW_BY_ROW = "rung_rows"
"""The attention of packed rows (training/run/packing.py): of variable length, each row by itself."""
ADALORA_STEPS = 20
"""Fewer steps leave no room for the three phases: learn, prune, settle."""


def objections(recipe: Mapping[str, Any]) -> list[str]:
    """Return all reasons why these values cannot be trained together; empty if they can.

    Seen with torch 2.13, transformers 5.24, peft 0.21 and trl 1.16; the tests run every combination that passes.
    """
    method, objective = recipe["method"], recipe["objective"]
    other, virtual = objective != "sft", method in VIRTUAL
    rows, group = recipe["batch"] * recipe["accumulation"] * recipe["processes"], recipe["generations"]
    rules = (
        (recipe["packing"] and other, "packing: only with objective sft; the other trainers pad their rows."),
        (
            recipe["loss"] == "all" and other,
            'loss = "all": only with objective sft; the other objectives judge the last answer.',
        ),
        (
            recipe["replay"] and other,
            "replay: only with objective sft; the other objectives have no place for plain answers.",
        ),
        (
            recipe["packing"] and virtual,
            "packing with prefix or prompt tuning: the virtual tokens would come before the first row of a line only.",
        ),
        (
            objective == "reward" and virtual,
            "a reward model with prefix or prompt tuning: its new score head is not saved with virtual tokens.",
        ),
        (
            objective == "reward" and method in QUANTISED,
            "a reward model on a 4-bit base: trl casts the new score head to another precision than its input.",
        ),
        (
            recipe["checkpointing"] and method == "prefix",
            "prefix tuning with activation checkpointing: the prefix is in the cache, which checkpointing turns off.",
        ),
        (
            method == "adalora" and recipe["steps"] < ADALORA_STEPS,
            f"adalora in fewer than {ADALORA_STEPS} steps: its three phases do not fit; more epochs, or method lora.",
        ),
        (
            objective in REINFORCED and (group < 2 or rows % group),
            "grpo and rloo compare answers to one question: generations at least 2, and batch x accumulation a "
            "multiple.",
        ),
    )
    return [text for holds, text in rules if holds]


class Recipe(ArtefactPart):
    """All values that decide what a run computes. Two runs of one recipe on one dataset give the same weights.

    `batch` rows go through the model at once on each of `processes`, and `accumulation` such batches make one optimiser
    step. `max_length` is in tokens: a longer row is left out, never cut. `targets` are peft's names, `all-linear` for
    every linear layer. `precision` `auto` is bf16 where the machine computes in it, else fp32.
    `evals` is the number of evaluations an epoch; a checkpoint is kept at each. `patience` evaluations in a row above
    the best by more than its standard error end the run. `choose_by` names what the best checkpoint is best by: the
    loss, or the project's metric on `metric_rows` validation rows, drawn by their content.

    `objective` dpo and reward train on `signals` (SHA-256 of the pairs that the review log gives), dpo with `beta` as
    the weight of staying near the base. grpo and rloo train on `generations` sampled answers of at most
    `answer_tokens` to each question, rewarded by the metric `reward`; their `batch` counts answers.
    `virtual_tokens` is the length of a learned prefix or prompt.
    """

    base: str
    method: Method
    objective: Objective = "sft"
    rank: int = Field(default=0, ge=0)
    alpha: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str = "all-linear"
    rslora: bool = False
    virtual_tokens: int = Field(default=0, ge=0)
    quantisation: Literal["none", "nf4"] = "none"
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    grad_norm: float = Field(default=1.0, ge=0)
    batch: int = Field(ge=1)
    accumulation: int = Field(default=1, ge=1)
    processes: int = Field(default=1, ge=1)
    epochs: float = Field(gt=0)
    steps: int = Field(ge=1)
    max_length: int = Field(ge=8)
    packing: bool = False
    evals: int = Field(default=2, ge=1)
    choose_by: Literal["loss", "metric"] = "loss"
    metric_rows: int = Field(default=0, ge=0)
    patience: int = Field(default=2, ge=1)
    keep_last: int = Field(default=2, ge=1)
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    attention: str = "sdpa"
    checkpointing: bool = False
    threads: int = Field(default=0, ge=0)
    system_prompt: str | None = None
    enable_thinking: bool | None = None
    """As `[model] enable_thinking`: rows are rendered as the tuned model will be asked."""
    loss: Loss = "last"
    """Assistant turns of a row that are trained."""
    replay: int = Field(default=0, ge=0)
    """General questions whose answers by the base model train beside the rows."""
    report_to: tuple[str, ...] = ()
    beta: float = Field(default=0.0, ge=0)
    signals: str = ""
    reward: str = ""
    generations: int = Field(default=0, ge=0)
    answer_tokens: int = Field(default=0, ge=0)
    temperature: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _works(self) -> Any:
        """Refuse what is known not to work, all of it at once."""
        found = objections(self.model_dump())
        if found:
            raise ValueError(" ".join(found))
        return self

    @property
    def rows_a_step(self) -> int:
        """Rows of one optimiser step, over all processes."""
        return self.batch * self.accumulation * self.processes

    def alone(self) -> Recipe:
        """Return the same steps on one process."""
        return revised(self, processes=1, accumulation=self.accumulation * self.processes)

    @property
    def scale(self) -> float:
        """Return the factor of the adapter's product: alpha/r, with rank-stabilised LoRA alpha/sqrt(r)."""
        if not self.rank:
            return 1.0
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


class Because(ArtefactPart):
    """Reason for a value: a sentence, the rule's id with its sources, and who set it."""

    text: str
    rule: str
    by: Literal["computed", "person"] = "computed"
    source: tuple[str, ...] = ()
