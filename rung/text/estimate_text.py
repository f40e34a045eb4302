"""`rung estimate` in words and as documents: parameters, memory, GPUs, time and money."""

from collections.abc import Iterator
from datetime import date

from advisor.sizing.architecture import architecture_of
from advisor.sizing.cards import Card, cards, prices
from advisor.sizing.config import UnknownArchitecture
from advisor.sizing.memory import GIB, PARTS
from advisor.sizing.run_estimate import Estimate, methods_that_fit
from workspace.counted import counted, gib
from workspace.json_types import JsonObject
from workspace.shipped_rules import rule_file


def estimate_json(found: Estimate, card: Card | None) -> JsonObject:
    """Return the document of `--json`, with what fits the GPU if one was named."""
    document = found.as_json()
    if card is not None:
        document["fit"] = {
            "card": card.name,
            "memory_gib": card.memory_gib,
            "methods": [
                {
                    "method": m.method,
                    "fits": m.fits,
                    "memory_gib": m.memory.gib(),
                    "largest_batch": m.batch,
                    "largest_length": m.length,
                    "reason": m.reason,
                }
                for m in methods_that_fit(found.architecture, found.setup, card)
            ],
            "cards": _rentable(found),
        }
    return document


def _rentable(found: Estimate) -> list[dict[str, object]]:
    """Return GPUs that hold the run, with the cheapest dated price of each."""
    listed: list[dict[str, object]] = []
    for card in (card for card in cards() if found.memory.fits(card.memory_gib)):
        price = next(iter(prices(card.name, date.today())), None)
        entry: dict[str, object] = {"gpu": card.name, "memory_gib": card.memory_gib}
        entry["per_hour"] = price.per_hour if price else None
        entry["reason"] = (
            f"{price.provider}, {price.date}{', expired' if price.expired else ''}" if price else "no dated price"
        )
        listed.append(entry)
    return listed


def unknown_json(error: UnknownArchitecture) -> JsonObject:
    """Return the document of an unknown architecture: no figures, with the reason."""
    fields = ("parameters", "trainable", "adapter_mb", "memory_gib", "parts", "fits", "seconds", "cost_usd")
    document: JsonObject = {**dict.fromkeys(fields), "parameters": error.parameters}
    document["memory_gib"] = dict.fromkeys(("low", "expected", "high"))
    document["parts"] = dict.fromkeys(PARTS)
    document["fits"] = []
    document["reasons"] = dict.fromkeys(fields[0 if error.parameters is None else 1 :], error.message)
    return document


def estimate_lines(found: Estimate, card: Card | None) -> Iterator[str]:
    """Yield parameters, memory by part, GPUs, time and money."""
    memory, setup = found.memory.gib(), found.setup
    shape = f"{setup.batch} x {counted(setup.length, 'token')} on {counted(setup.gpus, 'GPU')}"
    yield f"{found.architecture.name}, {setup.method}, {shape}"
    yield ""
    share = found.trainable / found.parameters
    yield f"parameters   {found.parameters:,}, of which {found.trainable:,} are trained ({share:.2%})"
    yield f"adapter      {_or_unknown(found, 'adapter_mb', found.adapter_mb, '{:.1f} MB')}"
    yield f"memory       {gib(memory['expected'], memory['low'], memory['high'])} on one GPU"
    for name, value in found.memory.parts.items():
        if value:
            yield f"  {name:<12} {value / GIB:.2f} GiB"
    fits = [card.name for card in cards() if found.memory.fits(card.memory_gib)]
    yield f"fits         {', '.join(fits) if fits else 'none of the GPUs in rules/hardware.toml'}"
    if setup.gpus > 1:
        yield f"             {setup.gpus} of them, sharded by {setup.strategy}"
    yield f"time         {_or_unknown(found, 'seconds', found.seconds, '{:,.0f} s')}"
    yield f"cost         {_or_unknown(found, 'cost_usd', found.cost_usd, '${:,.2f}')}"
    for note in found.notes:
        yield f"! {note}"
    if card is not None:
        yield from _fit_lines(found, card)


def _fit_lines(found: Estimate, card: Card) -> Iterator[str]:
    """Yield which methods fit the GPU, and GPUs that hold the chosen one."""
    yield ""
    yield f"On {card.name}:"
    methods = methods_that_fit(found.architecture, found.setup, card)
    for m in methods:
        yield f"{'✓' if m.fits else '✗'} {m.method:<8} {m.reason}"
    if any(m.fits for m in methods if m.method == found.setup.method):
        return
    yield ""
    if found.setup.strategy != "fsdp":
        yield "Several of these GPUs: rung estimate --gpus 4 --strategy fsdp, with the same options."
    cheapest = _rentable(found)[:4]
    yield "Single GPUs that hold it:" if cheapest else "No single GPU in rules/hardware.toml holds it."
    for entry in cheapest:
        hour = f"${entry['per_hour']:.2f} an hour" if entry["per_hour"] is not None else "price unknown"
        yield f"  {entry['gpu']:<20} {entry['memory_gib']:>6.1f} GiB   {hour} ({entry['reason']})"


def _or_unknown(found: Estimate, key: str, value: float | None, form: str) -> str:
    reason = found.reasons.get(key, "")
    if value is None:
        return f"unknown ({reason})"
    return form.format(value) + (f" ({reason})" if reason else "")


def catalogue() -> list[JsonObject]:
    """Return every model of the catalogue with its parameters."""
    listed: list[JsonObject] = []
    for entry in rule_file("models.toml")["model"]:
        count = entry.get("parameters") or architecture_of(entry["config"], entry["id"]).parameters
        listed.append({**{k: v for k, v in entry.items() if k != "config"}, "parameters": count})
    return listed


def catalogue_lines(listed: list[JsonObject]) -> Iterator[str]:
    """Yield one line for each model."""
    for item in listed:
        old = f"  superseded by {item['superseded']}" if item.get("superseded") else ""
        yield f"{item['id']:<24} {item['parameters'] / 1e9:>8.2f} B  {item['licence']}{old}"
