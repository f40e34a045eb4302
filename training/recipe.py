"""The values a run is made with: plain, typed, written to the plan's TOML."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Method = Literal["lora", "qlora", "full"]


class Recipe(BaseModel):
    """Everything that decides what a run computes. Two runs of one recipe on one dataset give the same weights.

    `batch` rows go through the model at once and `accumulation` such batches make one optimiser step. `max_length` is
    in tokens: a longer row is left out, never cut. `targets` are peft's names, `all-linear` for every linear layer.
    `precision` `auto` times two steps in bf16 and in fp32 at the start and keeps the quicker. `evals` is the number
    of evaluations an epoch; a checkpoint is kept at each. `patience` evaluations in a row above the best by more than
    its standard error end the run.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    base: str
    method: Method
    rank: int = Field(default=0, ge=0)
    alpha: int = Field(default=0, ge=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    targets: str = "all-linear"
    rslora: bool = False
    quantisation: Literal["none", "nf4"] = "none"
    learning_rate: float = Field(gt=0)
    schedule: Literal["cosine", "linear", "constant_with_warmup"] = "cosine"
    warmup: float = Field(default=0.0, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    grad_norm: float = Field(default=1.0, ge=0)
    batch: int = Field(ge=1)
    accumulation: int = Field(default=1, ge=1)
    epochs: float = Field(gt=0)
    steps: int = Field(ge=1)
    max_length: int = Field(ge=8)
    packing: Literal[False] = False
    evals: int = Field(default=2, ge=1)
    patience: int = Field(default=2, ge=1)
    keep_last: int = Field(default=2, ge=1)
    seed: int = 0
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    attention: str = "sdpa"
    checkpointing: bool = False
    threads: int = Field(default=0, ge=0)
    system_prompt: str | None = None
    report_to: tuple[str, ...] = ()

    @property
    def scale(self) -> float:
        """What the adapter's product is multiplied with: alpha/r, with rank-stabilised LoRA alpha/sqrt(r)."""
        if not self.rank:
            return 1.0
        return self.alpha / (self.rank**0.5 if self.rslora else self.rank)


class Because(BaseModel):
    """Why a value is what it is: a sentence, the rule's id with its sources, and who set it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    text: str
    rule: str
    by: Literal["computed", "person"] = "computed"
    source: tuple[str, ...] = ()
