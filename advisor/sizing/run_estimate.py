"""The estimate of a run: parameters, memory, time and money, with a reason for each unknown; and what fits a GPU."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple

from advisor.sizing.architecture import Architecture, architecture_of
from advisor.sizing.cards import Card, cards, find_card, prices, rows_per_second
from advisor.sizing.memory import GIB, PARTS, Memory, memory_of
from advisor.sizing.setup import RANGES, Adapter, Setup, adapter_of
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file

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
class Estimate:
    """All of it. `seconds` and `cost_usd` are None with a reason in `reasons`; `adapter_mb` is 10^6 bytes."""

    architecture: Architecture
    setup: Setup
    parameters: int
    trainable: int
    adapter_mb: float | None
    memory: Memory
    seconds: float | None
    cost_usd: float | None
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
            "fits": [
                {"gpu": c.name, "memory_gib": c.memory_gib, "fits": self.memory.fits(c.memory_gib)} for c in cards()
            ],
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
    adapter = adapter_of(architecture, setup)
    memory = memory_of(architecture, setup)
    reasons: dict[str, str] = {}
    if setup.method == "full":
        reasons["adapter_mb"] = "full fine-tuning saves the whole model, no adapter"
    seconds = _seconds(architecture, setup, work, reasons)
    return Estimate(
        architecture=architecture,
        setup=setup,
        parameters=architecture.parameters,
        trainable=adapter.parameters,
        adapter_mb=None if setup.method == "full" else adapter.parameters * SAVED_BYTES / 1e6,
        memory=memory,
        seconds=seconds,
        cost_usd=_cost(setup, work, seconds, reasons),
        reasons=reasons,
        notes=(*architecture.notes, *_notes(architecture, setup, adapter, memory)),
    )


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


def _cost(setup: Setup, work: Workload, seconds: float | None, reasons: dict[str, str]) -> float | None:
    if seconds is None:
        reasons["cost_usd"] = "the time is not known"
        return None
    hours = seconds / 3600 * setup.gpus
    if work.price_per_hour is not None:
        return hours * work.price_per_hour
    found = prices(find_card(work.gpu).name, work.as_of) if work.gpu else ()
    if not found:
        reasons["cost_usd"] = "no dated price of this GPU in rules/prices.toml (--price)"
        return None
    price = found[0]
    expired = ", expired" if price.expired else ""
    reasons["cost_usd"] = f"{price.provider}, ${price.per_hour:.2f} an hour on {price.date}{expired}"
    return hours * price.per_hour


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


class BaseChoice(NamedTuple):
    """A base model of the catalogue, and why it."""

    id: str
    parameters: int
    reason: str


def largest_batch(architecture: Architecture, setup: Setup, memory_gib: float) -> int:
    """Return the largest batch that fits for sure (by `high`); 0 where not even one row does."""
    batches = range(1, int(RANGES["batch"][1]) + 1)
    return bisect_left(batches, 1, key=lambda n: not memory_of(architecture, setup.but(batch=n)).fits(memory_gib))


def largest_length(architecture: Architecture, setup: Setup, memory_gib: float) -> int:
    """Return the longest rows that fit for sure, not above the model's context; 0 if none do."""
    lengths = range(1, (architecture.context or int(RANGES["length"][1])) + 1)
    return bisect_left(lengths, 1, key=lambda n: not memory_of(architecture, setup.but(length=n)).fits(memory_gib))


def methods_that_fit(architecture: Architecture, setup: Setup, card: Card) -> tuple[MethodFit, ...]:
    """Full, LoRA and QLoRA (and the method asked for) on one GPU, each with its reason."""
    order = (*METHOD_ORDER, *((setup.method,) if setup.method not in METHOD_ORDER else ()))
    return tuple(_method_fit(architecture, setup.but(method=name, mixed=None), card) for name in order)


def base_for(
    memory_gb: float | None, *, method: str = "qlora", length: int = 2048, batch: int = 4
) -> BaseChoice | None:
    """Return the largest proposed base model that `method` can train on a GPU of this size; None if none fits.

    `memory_gb` None or 0 means no GPU: then the smallest model is proposed, for a CPU. The loss is taken as computed in
    chunks, as Rung's own trainer does.
    """
    setup = Setup(method=method, batch=batch, length=length, loss="chunked")
    entries = [e for e in rule_file("models.toml")["model"] if "tier" in e and not e.get("superseded")]
    entries = sorted(entries, key=lambda entry: int(entry["tier"]))
    if not memory_gb:
        smallest = architecture_of(entries[0]["config"], entries[0]["id"])
        return BaseChoice(smallest.name, smallest.parameters, "no GPU: a model this small trains on a CPU in minutes")
    for entry in reversed(entries):
        architecture = architecture_of(entry["config"], entry["id"])
        memory = memory_of(architecture, setup)
        if memory.fits(memory_gb):
            reason = (
                f"the largest proposed model that {method} trains within {memory_gb:g} GB: "
                f"{memory.expected / GIB:.1f} GiB expected, {memory.high / GIB:.1f} at most, "
                f"at {batch} rows of {length:,} tokens"
            )
            return BaseChoice(architecture.name, architecture.parameters, reason)
    return None


def _method_fit(architecture: Architecture, setup: Setup, card: Card) -> MethodFit:
    memory = memory_of(architecture, setup)
    fits = memory.fits(card.memory_gib)
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
