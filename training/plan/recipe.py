"""The values a run is made with: plain, typed, written to the plan's TOML."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from training.plan.methods import Loss as Loss
from training.plan.methods import Method as Method
from training.plan.methods import Objective, objections
from workspace.artefact import ArtefactPart, revised


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
