"""What may help where one card is too small: several of them, layers spread over cards, the CPU's memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from advisor.sizing.adapters import QUANTISED
from advisor.sizing.architecture import Architecture
from advisor.sizing.cards import Card
from advisor.sizing.memory import GIB, Memory, memory_of
from advisor.sizing.setup import Setup
from workspace.rules import rule_file

COUNTS = (2, 4, 8, 16)
GATHERED = 2
"""Layers that lie on the card at once while the others wait in the CPU's memory: one works, the next is fetched."""


@dataclass(frozen=True, slots=True)
class Way:
    """One way round a card that is too small. `cards` None: no number that was tried is enough.

    `memory_gib` is the high estimate of one card, `ram_gib` what the CPU's memory must hold.
    """

    name: str
    cards: int | None
    memory_gib: float | None
    ram_gib: float
    reason: str
    source: tuple[str, ...]


def ways_to_fit(architecture: Architecture, setup: Setup, card: Card) -> tuple[Way, ...]:
    """FSDP over several cards, `device_map`, and offloading to the CPU, each with what it needs or why it cannot."""
    alone = setup.but(gpus=1, strategy="ddp")
    return tuple(_ways(architecture, alone, memory_of(architecture, alone), card))


def _ways(a: Architecture, setup: Setup, memory: Memory, card: Card) -> Iterator[Way]:
    room = card.memory_gib * GIB
    sharded = {n: memory_of(a, setup.but(gpus=n, strategy="fsdp")).high for n in COUNTS}
    count = next((n for n, high in sharded.items() if high <= room), None)
    yield _said("fsdp", count, sharded[count] / GIB if count else None)
    spread = {n: _spread(memory, n) for n in COUNTS}
    count = next((n for n, high in spread.items() if high <= room), None)
    yield _said("device_map", count, spread[count] / GIB if count else None)
    if setup.method in QUANTISED:
        yield _said("offload", None, None, rule="offload_4bit")
        return
    held, ram = _offloaded(a, memory)
    yield _said("offload", 1 if held <= room else None, held / GIB, ram / GIB)


def _said(name: str, cards: int | None, memory_gib: float | None, ram_gib: float = 0.0, rule: str = "") -> Way:
    entry: dict[str, Any] = next(way for way in rule_file("memory.toml")["way"] if way["id"] == (rule or name))
    return Way(name, cards, memory_gib, ram_gib, entry["text"], tuple(entry["source"]))


def _spread(memory: Memory, cards: int) -> float:
    """High estimate of the fullest card: its share of the layers, and all of the scores (they lie on the last one)."""
    parts = memory.parts
    shared = sum(parts[name] for name in ("weights", "adapter", "gradients", "optimizer", "activations"))
    return (shared / cards + parts["logits"] + parts["overhead"]) * memory.high / memory.expected


def _offloaded(a: Architecture, memory: Memory) -> tuple[float, float]:
    """(bytes on the card, bytes in the CPU's memory): weights, gradients and optimiser wait there, layer by layer."""
    parts = memory.parts
    away = sum(parts[name] for name in ("weights", "adapter", "gradients", "optimizer"))
    held = parts["activations"] + parts["logits"] + parts["overhead"] + away * GATHERED / a.layers
    return held * memory.high / memory.expected, away
