"""Settings of a run: method, shapes, precision, optimiser, GPUs. Checked whole, all problems at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from advisor.sizing.adapters import METHODS, QUANTISED
from workspace.errors import InputError, Problem, did_you_mean

CHOICES: dict[str, tuple[str, ...]] = {
    "method": METHODS,
    "dtype": ("bf16", "fp16", "fp32"),
    "optimizer": ("adamw", "adamw_8bit", "paged_adamw", "paged_adamw_8bit", "adafactor", "sgd"),
    "loss": ("full", "chunked", "answer"),
    "attention": ("sdpa", "flash", "eager"),
    "objective": ("sft", "dpo"),
    "reference": ("none", "shared", "model"),
    "strategy": ("ddp", "fsdp", "zero1", "zero2", "zero3"),
    "device": ("cuda", "cpu"),
}
RANGES: dict[str, tuple[float, float]] = {
    "rank": (1, 65536),
    "batch": (1, 1 << 20),
    "length": (1, 1 << 24),
    "accumulation": (1, 1 << 20),
    "virtual_tokens": (1, 1 << 20),
    "gpus": (1, 1 << 16),
    "dropout": (0.0, 0.99),
    "answer": (0, 1 << 24),
}


@dataclass(frozen=True, slots=True)
class Setup:
    """One run. `batch` is per GPU; `length` the tokens of a row after padding or packing.

    `mixed`: fp32 master weights under autocast to `dtype` (full fine-tuning only): 4 bytes of weights, 4 of gradients
    and 8 of AdamW a parameter. None: as `rung plan` trains, with them on a GPU in 16 bits. `autocast`: 16-bit runs
    go under torch's autocast, as HF's Trainer does. `padded`: rows of a batch differ in length, so a mask is made.
    `reference`: DPO's second model: `none` (reference-free), `shared` (the same model with the adapter off), `model`
    (a frozen copy). `loss`: `chunked` where scores over the vocabulary are never held all at once, `answer` where
    they are computed for the trained tokens only, at most `answer` of a row.
    """

    method: str = "lora"
    rank: int = 16
    targets: str | Sequence[str] = "all-linear"
    batch: int = 4
    length: int = 1024
    checkpointing: bool = True
    dtype: str = "bf16"
    mixed: bool | None = None
    autocast: bool = True
    padded: bool = False
    optimizer: str = "adamw"
    loss: str = "full"
    answer: int = 0
    attention: str = "sdpa"
    dropout: float = 0.0
    objective: str = "sft"
    reference: str = "shared"
    accumulation: int = 1
    virtual_tokens: int = 20
    gpus: int = 1
    strategy: str = "ddp"
    device: str = "cuda"

    def __post_init__(self) -> None:
        problems = [p for key, known in CHOICES.items() if (p := _choice(key, getattr(self, key), known))]
        problems += [p for key, bounds in RANGES.items() if (p := _range(key, getattr(self, key), *bounds))]
        if self.mixed is None:
            object.__setattr__(self, "mixed", self.method == "full" and self.device == "cuda" and self.dtype != "fp32")
        problems += [] if problems else self._together()
        if problems:
            raise InputError(problems, "rung estimate --help")

    def _together(self) -> list[Problem]:
        found = []
        if self.mixed and self.method != "full":
            found.append(Problem("mixed precision with fp32 master weights is for full fine-tuning only.", "mixed"))
        if self.method in QUANTISED and self.gpus > 1 and self.strategy == "zero3":
            found.append(Problem("4-bit weights cannot be sharded by ZeRO-3; use fsdp or ddp.", "strategy"))
        if self.loss == "answer" and not self.answer:
            found.append(Problem("loss answer needs the trained tokens of a row.", "--answer", "a whole number", "0"))
        if self.objective == "dpo" and self.method == "full" and self.reference == "shared":
            found.append(
                Problem("full fine-tuning has no adapter to switch off: reference is model or none.", "reference")
            )
        return found

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass on one GPU: DPO sees two answers at once, virtual tokens of a prompt count."""
        length = self.length + (self.virtual_tokens if self.method == "prompt" else 0)
        return self.batch * length * (2 if self.objective == "dpo" else 1)

    @property
    def bytes(self) -> int:
        """Bytes of a number in the compute precision."""
        return 4 if self.dtype == "fp32" else 2

    def but(self, **changes: Any) -> Setup:
        """Return the same run with some values changed."""
        return dataclasses.replace(self, **changes)


def _choice(key: str, value: object, known: Sequence[str]) -> Problem | None:
    if value in known:
        return None
    hint = did_you_mean(str(value), known)
    return Problem(f'"{value}" is no {key}.{hint}', f"--{key}", "one of " + ", ".join(known), str(value))


def _range(key: str, value: Any, low: float, high: float) -> Problem | None:
    whole = isinstance(low, int)
    number = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
    if number and low <= value <= high:
        return None
    what = "a whole number" if whole else "a number"
    name = key.replace("_", "-")
    return Problem(f"{key} is {value!r}; it must be {what} from {low} to {high}.", f"--{name}", what, repr(value)[:60])


@dataclass(frozen=True, slots=True)
class Shards:
    """Divisors for one GPU; 1 means that every GPU holds the whole part."""

    weights: int = 1
    gradients: int = 1
    optimizer: int = 1


def shards_of(setup: Setup) -> Shards:
    """DDP shares nothing; ZeRO-1 the optimiser, ZeRO-2 gradients too, ZeRO-3 and FSDP (full shard) weights too."""
    n = setup.gpus
    return {
        "ddp": Shards(),
        "zero1": Shards(optimizer=n),
        "zero2": Shards(gradients=n, optimizer=n),
        "zero3": Shards(n, n, n),
        "fsdp": Shards(n, n, n),
    }[setup.strategy]
