"""Settings of a run, checked whole, and what its method trains. Counts equal PEFT's (tests/sizing compares)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from advisor.sizing.architecture import Architecture, Matrix
from workspace.errors import InputError, Problem, did_you_mean

Method = Literal["full", "lora", "qlora", "dora", "qdora", "rslora", "adalora", "ia3", "prefix", "prompt"]
METHODS: tuple[str, ...] = get_args(Method)
LOW_RANK = ("lora", "qlora", "dora", "qdora", "rslora", "adalora")
QUANTISED = ("qlora", "qdora")
GROUPS = ("all-linear", "attention", "mlp", "qv")
ADALORA_START = 1.5
"""AdaLoRA starts above its target rank (PEFT: init_r 12 for target_r 8) and prunes down to it."""

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


SHARED: dict[str, tuple[str, ...]] = {
    "ddp": (),
    "zero1": ("optimizer",),
    "zero2": ("gradients", "optimizer"),
    "zero3": ("weights", "gradients", "optimizer"),
    "fsdp": ("weights", "gradients", "optimizer"),
}
"""The parts of a run that each strategy shares between GPUs (FSDP: full shard)."""


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

    def shards(self, part: str) -> int:
        """Return the number of GPUs that share the weights, gradients or optimizer; 1: each holds the whole part."""
        return self.gpus if part in SHARED[self.strategy] else 1

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
class Adapter:
    """The trainable part. `parameters` are trainable; `targets` the matrices an adapter sits on."""

    parameters: int
    targets: tuple[Matrix, ...] = ()
    rank: int = 0


def adapter_of(architecture: Architecture, setup: Setup) -> Adapter:
    """Return the matrices that the method trains. Raises InputError if a target is no module of this architecture."""
    method, rank = setup.method, setup.rank
    if method == "full":
        return Adapter(architecture.parameters)
    if method == "prefix":
        return Adapter(setup.virtual_tokens * 2 * architecture.layers * architecture.prefix_width)
    if method == "prompt":
        return Adapter(setup.virtual_tokens * architecture.hidden)
    if method == "ia3":
        return _ia3(architecture, setup.targets)
    chosen = find_targets(architecture, setup.targets)
    if method == "adalora":
        rank = round(rank * ADALORA_START)
    return Adapter(sum(_low_rank(matrix, method, rank) for matrix in chosen), chosen, rank)


def find_targets(architecture: Architecture, targets: str | Sequence[str]) -> tuple[Matrix, ...]:
    """Return the matrices that a group or a list of module names means."""
    if isinstance(targets, str) and targets in GROUPS:
        return _group(architecture, targets)
    names = [name.strip() for name in (targets.split(",") if isinstance(targets, str) else targets) if name.strip()]
    known = {name for m in architecture.matrices if m.count for name in _names(m)}
    problems = [
        Problem(
            f'target "{name}" is no module of {architecture.family}.{did_you_mean(name, sorted(known | set(GROUPS)))}',
            "targets",
            "one of " + ", ".join(sorted(known | set(GROUPS))),
            name,
        )
        for name in names
        if name not in known
    ]
    if problems or not names:
        raise InputError(problems or [Problem("no target is named.", "targets", "all-linear or module names", "")])
    return tuple(m for m in architecture.matrices if m.count and not _names(m).isdisjoint(names) and _asked(m, names))


def _group(architecture: Architecture, group: str) -> tuple[Matrix, ...]:
    everything = [m for m in architecture.matrices if m.ranks and m.count]
    if group == "all-linear":
        return tuple(everything)
    if group == "qv":
        wanted = {"q_proj", "v_proj", "qkv_proj", "query_key_value", "c_attn"}
        return tuple(m for m in everything if m.name in wanted)
    parts = ("attention",) if group == "attention" else ("mlp", "expert")
    return tuple(m for m in everything if m.part in parts)


def _names(matrix: Matrix) -> set[str]:
    """Return every name that PEFT matches: the module's, its last part, and its former names."""
    return {matrix.name, matrix.name.split(".")[-1], *filter(None, matrix.also)}


def _asked(matrix: Matrix, names: Sequence[str]) -> bool:
    """True if the names mean this matrix. A fused expert matrix needs all its names; PEFT skips some dense ones."""
    if matrix.part == "expert":
        return all(name in names for name in matrix.also)
    return bool(matrix.ranks) or matrix.part in ("head", "embedding")


def _low_rank(matrix: Matrix, method: str, rank: int) -> int:
    inner = rank * max(1, matrix.ranks)
    each = inner * (matrix.n_in + matrix.n_out)
    if method in ("dora", "qdora"):
        each += matrix.n_out
    if method == "adalora":
        each += inner + 1  # the singular values, and PEFT counts ranknum as trained
    return matrix.count * each


def _ia3(architecture: Architecture, targets: str | Sequence[str]) -> Adapter:
    """Return one scale for each output of attention matrices, one for each input of feed-forward ones."""
    names: str | Sequence[str] = architecture.ia3 if targets in GROUPS or not targets else targets
    chosen = find_targets(architecture, names)
    each = [m.count * (m.n_in if m.part == "mlp" else m.n_out) for m in chosen]
    return Adapter(sum(each), chosen)
