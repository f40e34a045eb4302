"""Trainable parameters of a method: how many, in which matrices. Counts equal PEFT's (tests/sizing compares)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from advisor.sizing.architecture import Architecture, Matrix
from workspace.errors import InputError, Problem, did_you_mean

Method = Literal["full", "lora", "qlora", "dora", "qdora", "rslora", "adalora", "ia3", "prefix", "prompt"]
METHODS: tuple[str, ...] = get_args(Method)
LOW_RANK = ("lora", "qlora", "dora", "qdora", "rslora", "adalora")
QUANTISED = ("qlora", "qdora")
GROUPS = ("all-linear", "attention", "mlp", "qv")
ADALORA_START = 1.5
"""AdaLoRA starts above its target rank (PEFT: init_r 12 for target_r 8) and prunes down to it."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """The trainable part. `parameters` are trainable; `targets` the matrices an adapter sits on."""

    parameters: int
    targets: tuple[Matrix, ...] = ()
    rank: int = 0
    virtual_tokens: int = 0


def adapter_of(
    architecture: Architecture,
    method: str,
    *,
    rank: int = 16,
    targets: str | Sequence[str] = "all-linear",
    virtual_tokens: int = 20,
) -> Adapter:
    """Return the matrices that `method` trains on `architecture`. `targets` is a group (GROUPS) or module names.

    Raises InputError if a target is no module of this architecture.
    """
    if method == "full":
        return Adapter(architecture.parameters)
    if method == "prefix":
        width = 2 * architecture.layers * architecture.prefix_width
        return Adapter(virtual_tokens * width, virtual_tokens=virtual_tokens)
    if method == "prompt":
        return Adapter(virtual_tokens * architecture.hidden, virtual_tokens=virtual_tokens)
    if method == "ia3":
        return _ia3(architecture, targets)
    chosen = find_targets(architecture, targets)
    if method == "adalora":
        rank = round(rank * ADALORA_START)
    each = [_low_rank(matrix, method, rank) for matrix in chosen]
    return Adapter(sum(each), chosen, rank)


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
