"""The estimate of a run: parameters, memory, which GPUs hold it, time and money, with a reason for each unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from advisor.sizing.adapters import Adapter, adapter_of
from advisor.sizing.architecture import Architecture
from advisor.sizing.cards import Card, Price, cards, find_card, prices, rows_per_second
from advisor.sizing.memory import GIB, PARTS, Memory, memory_of
from advisor.sizing.setup import Setup
from workspace.json_types import JsonObject

SAVED_BYTES = 4
"""PEFT keeps and saves adapters in 32 bits."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Amount of work: without rows, time and cost are unknown. `tokens_per_second` is a measured value."""

    rows: int | None = None
    epochs: float = 1.0
    gpu: str = ""
    tokens_per_second: float | None = None
    price_per_hour: float | None = None
    as_of: date = field(default_factory=date.today)


@dataclass(frozen=True, slots=True)
class Fit:
    """Fit of a run on one GPU: it fits if the high estimate is at most the memory that a program can use."""

    gpu: str
    memory_gib: float
    fits: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """All of it. `seconds` and `cost_usd` are None with a reason in `reasons`; `adapter_mb` is 10^6 bytes."""

    architecture: Architecture
    setup: Setup
    parameters: int
    trainable: int
    adapter_mb: float | None
    memory: Memory
    fits: tuple[Fit, ...]
    seconds: float | None
    cost_usd: float | None
    price: Price | None
    reasons: Mapping[str, str]
    notes: tuple[str, ...]

    def as_json(self) -> JsonObject:
        """Return the document of `rung estimate --json`: the contract's fields first, then what else is known."""
        return {
            "parameters": self.parameters,
            "trainable": self.trainable,
            "adapter_mb": self.adapter_mb,
            "memory_gib": self.memory.gib(),
            "parts": {name: self.memory.parts[name] / GIB for name in PARTS},
            "fits": [{"gpu": f.gpu, "memory_gib": f.memory_gib, "fits": f.fits} for f in self.fits],
            "seconds": self.seconds,
            "cost_usd": self.cost_usd,
            "reasons": dict(self.reasons),
            "active_parameters": self.architecture.active,
            "peak_at": self.memory.moment,
            "model": self.architecture.name,
            "family": self.architecture.family,
            "notes": list(self.notes),
        }


def estimate(architecture: Architecture, setup: Setup | None = None, work: Workload | None = None) -> Estimate:
    """Estimate a run. Raises InputError if a target is no module of the architecture."""
    setup, work = setup or Setup(), work or Workload()
    adapter = adapter_of(
        architecture, setup.method, rank=setup.rank, targets=setup.targets, virtual_tokens=setup.virtual_tokens
    )
    memory = memory_of(architecture, setup)
    reasons: dict[str, str] = {}
    if setup.method == "full":
        reasons["adapter_mb"] = "full fine-tuning saves the whole model, no adapter"
    seconds = _seconds(architecture, setup, work, reasons)
    price, cost = _cost(setup, work, seconds, reasons)
    return Estimate(
        architecture=architecture,
        setup=setup,
        parameters=architecture.parameters,
        trainable=adapter.parameters,
        adapter_mb=None if setup.method == "full" else adapter.parameters * SAVED_BYTES / 1e6,
        memory=memory,
        fits=tuple(fit(memory, card) for card in cards()),
        seconds=seconds,
        cost_usd=cost,
        price=price,
        reasons=reasons,
        notes=(*architecture.notes, *_notes(architecture, setup, adapter, memory)),
    )


def fit(memory: Memory, card: Card) -> Fit:
    """Return the fit on this GPU."""
    return Fit(card.name, card.memory_gib, memory.high <= card.memory_gib * GIB)


def _seconds(a: Architecture, setup: Setup, work: Workload, reasons: dict[str, str]) -> float | None:
    if work.rows is None:
        reasons["seconds"] = "the number of rows was not given (--rows)"
        return None
    if work.tokens_per_second:
        return work.rows * work.epochs * setup.length / work.tokens_per_second
    if not work.gpu:
        reasons["seconds"] = "no speed was measured here and no GPU was named (--gpu, --tokens-per-second)"
        return None
    card = find_card(work.gpu)
    found = rows_per_second(card.name, setup.method, a.parameters, setup.length) if setup.gpus == 1 else None
    if found is None:
        reasons["seconds"] = (
            f"no measured speed of {setup.method} on {setup.gpus} x {card.name} for a model of this size and rows of "
            f"{setup.length} tokens; two dry steps of `rung plan` measure it"
        )
        return None
    speed, entry = found
    reasons["seconds"] = f"from {', '.join(entry['source'])}, {entry['date']}: {entry.get('note', entry['method'])}"
    return work.rows * work.epochs / speed


def _cost(
    setup: Setup, work: Workload, seconds: float | None, reasons: dict[str, str]
) -> tuple[Price | None, float | None]:
    if seconds is None:
        reasons["cost_usd"] = "the time is not known"
        return None, None
    hours = seconds / 3600 * setup.gpus
    if work.price_per_hour is not None:
        return None, hours * work.price_per_hour
    found = prices(find_card(work.gpu).name, work.as_of) if work.gpu else ()
    if not found:
        reasons["cost_usd"] = "no dated price of this GPU in rules/prices.toml (--price)"
        return None, None
    price = found[0]
    expired = ", expired" if price.expired else ""
    reasons["cost_usd"] = f"{price.provider}, ${price.per_hour:.2f} an hour on {price.date}{expired}"
    return price, hours * price.per_hour


def _notes(a: Architecture, setup: Setup, adapter: Adapter, memory: Memory) -> list[str]:
    found = []
    if setup.loss == "full":
        chunked = memory_of(a, setup.but(loss="chunked")).expected
        if chunked < 0.9 * memory.expected:
            found.append(
                f"scores over {a.vocab:,} tokens are held all at once; a loss computed in chunks (TRL 1.16 does) needs "
                f"{chunked / GIB:.1f} GiB in all: --loss chunked"
            )
    if a.experts and setup.method in ("qlora", "qdora"):
        found.append("transformers keeps stacked experts in 16 bits, so 4-bit loading saves little on this model")
    if any(m.part == "expert" for m in adapter.targets):
        found.append(
            "PEFT merges adapters of stacked experts into whole weights as it runs; attention alone needs less"
        )
    if setup.length > a.context > 0:
        found.append(f"rows of {setup.length:,} tokens are longer than the model's context of {a.context:,}")
    return found
