"""The questions the other way round: what fits a GPU, and which base model a GPU can carry."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from advisor.sizing.architecture import Architecture, architecture_of
from advisor.sizing.cards import Card, cards
from advisor.sizing.memory import GIB, Memory, memory_of
from advisor.sizing.setup import RANGES, Setup
from workspace.shipped_rules import rule_file

METHOD_ORDER = ("full", "lora", "qlora")
"""Methods from the most memory to the least."""


@dataclass(frozen=True, slots=True)
class MethodFit:
    """One method on one GPU: its largest `batch` at this length, its longest `length` at batch 1; 0: none."""

    method: str
    memory: Memory
    fits: bool
    batch: int
    length: int
    reason: str


@dataclass(frozen=True, slots=True)
class BaseChoice:
    """A base model of the catalogue, why it, and what else fits."""

    id: str
    hub: str
    parameters: int
    method: str
    memory: Memory
    reason: str
    source: tuple[str, ...]
    others: tuple[str, ...]


def largest_batch(architecture: Architecture, setup: Setup, memory_gib: float) -> int:
    """Return the largest batch that fits for sure (by `high`); 0 where not even one row does."""
    return _largest(lambda n: _holds(architecture, setup.but(batch=n), memory_gib), int(RANGES["batch"][1]))


def largest_length(architecture: Architecture, setup: Setup, memory_gib: float) -> int:
    """Return the longest rows that fit for sure, not above the model's context; 0 if none do."""
    limit = architecture.context or int(RANGES["length"][1])
    return _largest(lambda n: _holds(architecture, setup.but(length=n), memory_gib), limit)


def methods_that_fit(architecture: Architecture, setup: Setup, card: Card) -> tuple[MethodFit, ...]:
    """Full, LoRA and QLoRA (and the method asked for) on one GPU, each with its reason."""
    order = (*METHOD_ORDER, *((setup.method,) if setup.method not in METHOD_ORDER else ()))
    return tuple(_method_fit(architecture, setup.but(method=name, mixed=None), card) for name in order)


def cards_that_fit(architecture: Architecture, setup: Setup) -> tuple[Card, ...]:
    """Return GPUs that hold the run, the smallest first."""
    high = memory_of(architecture, setup).high
    return tuple(card for card in cards() if high <= card.memory_gib * GIB)


def base_for(
    memory_gb: float | None, *, method: str = "qlora", length: int = 2048, batch: int = 4
) -> BaseChoice | None:
    """Return the largest proposed base model that `method` can train on a GPU of this size; None if none fits.

    `memory_gb` None or 0 means no GPU: then the smallest models are proposed, for a CPU. The loss is taken as
    computed in chunks, as Rung's own trainer does.
    """
    setup = Setup(method=method, batch=batch, length=length, loss="chunked")
    if not memory_gb:
        return _on_cpu(setup)
    held = []
    for entry in _proposed():
        architecture = architecture_of(entry["config"], entry["id"])
        memory = memory_of(architecture, setup)
        if memory.high <= memory_gb * GIB:
            held.append((entry, architecture, memory))
    if not held:
        return None
    entry, architecture, memory = held[-1]
    high, expected = memory.high / GIB, memory.expected / GIB
    reason = (
        f"the largest proposed model that {method} trains within {memory_gb:g} GB: {expected:.1f} GiB expected, "
        f"{high:.1f} at most, at {batch} rows of {length:,} tokens"
    )
    others = tuple(item[0]["id"] for item in reversed(held[:-1]))
    return _choice(entry, architecture, method, memory, reason, others)


def _on_cpu(setup: Setup) -> BaseChoice:
    setup = setup.but(method="lora", device="cpu", dtype="fp32", batch=1, length=512, mixed=None)
    entry, *more = _proposed()
    architecture = architecture_of(entry["config"], entry["id"])
    reason = "no GPU: a model this small trains on a CPU in minutes"
    others = tuple(item["id"] for item in more[:1])
    return _choice(entry, architecture, "lora", memory_of(architecture, setup), reason, others)


def _proposed() -> list[Mapping[str, Any]]:
    entries = [e for e in rule_file("models.toml")["model"] if "tier" in e and not e.get("superseded")]
    return sorted(entries, key=lambda entry: int(entry["tier"]))


def _choice(
    entry: Mapping[str, Any], a: Architecture, method: str, memory: Memory, reason: str, others: tuple[str, ...]
) -> BaseChoice:
    source = tuple(entry["source"])
    return BaseChoice(entry["id"], entry["hub"], a.parameters, method, memory, reason, source, others)


def _method_fit(architecture: Architecture, setup: Setup, card: Card) -> MethodFit:
    memory = memory_of(architecture, setup)
    fits = memory.high <= card.memory_gib * GIB
    batch = largest_batch(architecture, setup, card.memory_gib)
    length = largest_length(architecture, setup.but(batch=1), card.memory_gib)
    needs = (
        f"needs {memory.expected / GIB:.1f} GiB (at most {memory.high / GIB:.1f}), the GPU has {card.memory_gib:.1f}"
    )
    if fits:
        reason = f"{needs}: up to {batch} rows of {setup.length:,} tokens"
    elif length:
        reason = f"{needs}: one row of up to {length:,} tokens would fit"
    else:
        biggest = max(memory.parts, key=lambda name: memory.parts[name])
        reason = f"{needs}: not even one token fits; most of it is {biggest}"
    return MethodFit(setup.method, memory, fits, batch, length, reason)


def _holds(architecture: Architecture, setup: Setup, memory_gib: float) -> bool:
    return memory_of(architecture, setup).high <= memory_gib * GIB


def _largest(holds: Callable[[int], bool], limit: int) -> int:
    """Return the largest n from 1 to `limit` that holds, 0 for none; `holds` is true up to a point and false beyond."""
    if not holds(1):
        return 0
    low, high = 1, 2
    while high <= limit and holds(high):
        low, high = high, high * 2
    high = min(high, limit + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    return low
