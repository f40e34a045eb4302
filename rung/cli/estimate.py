"""`rung estimate`: parameters, memory, cards, time and money of a run, from a config.json. No project, no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.sizing import Card, Estimate, Setup, UnknownArchitecture, Way, Workload

HINT = "rung estimate --help"


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("estimate")(estimate_command)


Method = Annotated[str, typer.Option(help="full, lora, qlora, dora, qdora, rslora, adalora, ia3, prefix, prompt.")]
Targets = Annotated[str, typer.Option(help="all-linear, attention, mlp, qv, or module names with commas.")]
Checkpointing = Annotated[bool, typer.Option(help="Recompute activations in the backward pass (TRL's default).")]
Optimizer = Annotated[str, typer.Option(help="adamw, adamw_8bit, paged_adamw, paged_adamw_8bit, adafactor, sgd.")]
Loss = Annotated[
    str,
    typer.Option(help="full; chunked (TRL 1.16 and Liger never hold all scores); answer (trained tokens only)."),
]
Reference = Annotated[str, typer.Option(help="DPO's reference: none, shared (adapter off), model (a frozen copy).")]


def estimate_command(
    model: Annotated[str, typer.Option(help="A model folder, a config.json, or a catalogue id (see --list).")] = "",
    method: Method = "lora",
    rank: Annotated[str, typer.Option(help="Rank of a low-rank adapter.")] = "16",
    targets: Targets = "all-linear",
    batch: Annotated[str, typer.Option(help="Rows in one forward pass on one card.")] = "4",
    length: Annotated[str, typer.Option(help="Tokens of a row.")] = "1024",
    checkpointing: Checkpointing = True,
    dtype: Annotated[str, typer.Option(help="bf16, fp16 or fp32; fp32 unless told on --device cpu.")] = "",
    mixed: Annotated[bool, typer.Option(help="Full fine-tuning with 32-bit master weights.")] = False,
    optimizer: Optimizer = "adamw",
    loss: Loss = "full",
    answer: Annotated[str, typer.Option(help="With --loss answer: trained tokens of a row.")] = "0",
    attention: Annotated[str, typer.Option(help="sdpa, flash or eager.")] = "sdpa",
    dropout: Annotated[str, typer.Option(help="Dropout of the adapter.")] = "0",
    padded: Annotated[bool, typer.Option(help="Rows of a batch differ in length.")] = False,
    objective: Annotated[str, typer.Option(help="sft or dpo.")] = "sft",
    reference: Reference = "",
    accumulation: Annotated[str, typer.Option(help="Forward passes in one step.")] = "1",
    virtual_tokens: Annotated[str, typer.Option(help="Virtual tokens of prefix and prompt tuning.")] = "20",
    gpus: Annotated[str, typer.Option(help="How many cards.")] = "1",
    strategy: Annotated[str, typer.Option(help="ddp, fsdp, zero1, zero2 or zero3.")] = "ddp",
    device: Annotated[str, typer.Option(help="cuda or cpu.")] = "cuda",
    gpu: Annotated[str, typer.Option(help="The card that time and cost are asked for.")] = "",
    rows: Annotated[str, typer.Option(help="Rows of the training set, for time and cost.")] = "",
    epochs: Annotated[str, typer.Option(help="Passes over the rows.")] = "1",
    tokens_per_second: Annotated[str, typer.Option(help="A speed that you measured.")] = "",
    price: Annotated[str, typer.Option(help="Dollars an hour for one card.")] = "",
    fit: Annotated[str, typer.Option(help="What fits this card: a size such as 24GB, or a card's name.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List the catalogue.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """How much memory, time and money a training run needs, before it starts."""
    options = dict(locals())
    if options.pop("list_"):
        _list(as_json)
        return
    ref, fit_text, _ = options.pop("model"), options.pop("fit"), options.pop("as_json")
    setup, work, card = _checked(options, fit_text, ref)
    from advisor.sizing import UnknownArchitecture, estimate, read_architecture

    try:
        architecture = read_architecture(ref)
    except UnknownArchitecture as unknown:
        _unknown(unknown, as_json)
        return
    found = estimate(architecture, setup, work)
    if as_json:
        _emit(found, card)
    else:
        _print(found, card)


def _checked(options: dict[str, Any], fit: str, ref: str) -> tuple[Setup, Workload, Card | None]:
    """All options turned into values, with every problem of all of them in one error."""
    from advisor.sizing import Setup, Workload, find_card
    from workspace.errors import InputError, Problem

    problems: list[Problem] = []
    if not ref:
        problems.append(
            Problem(
                "no model is named: a folder, a config.json, or one of rung estimate --list.",
                "--model",
                "a folder, a config.json or a catalogue id",
                "",
            )
        )
    _numbers(options, problems)
    options.update(ALIASES.get(options["method"], {}))
    options["dtype"] = options["dtype"] or ("fp32" if options["device"] == "cpu" else "bf16")
    options["reference"] = options["reference"] or ("model" if options["method"] == "full" else "shared")
    work = {key: options.pop(key) for key in ("rows", "epochs", "gpu", "tokens_per_second")}
    work["price_per_hour"] = options.pop("price")
    setup: Setup | None = None
    setup = _collect(problems, lambda: Setup(**options))
    card = _collect(problems, lambda: find_card(fit)) if fit else None
    if work["gpu"]:
        _collect(problems, lambda: find_card(work["gpu"]))
    if problems or setup is None:
        raise InputError(problems, HINT)
    return setup, Workload(**work), card


def _collect(problems: list[Any], make: Callable[[], Any]) -> Any:
    from workspace.errors import InputError

    try:
        return make()
    except InputError as error:
        problems.extend(error.problems)
        return None


ALIASES = {
    "dpo": {"method": "lora", "objective": "dpo"},
    "prefix-tuning": {"method": "prefix"},
    "prompt-tuning": {"method": "prompt"},
}
"""Names that people use for a method and its objective together, or in full."""
WHOLE = ("answer", "rank", "batch", "length", "accumulation", "virtual_tokens", "gpus", "rows")
LARGEST = {"rows": 10**12, "epochs": 10**6, "tokens_per_second": 10**9, "price": 10**6}


def _numbers(options: dict[str, Any], problems: list[Any]) -> None:
    """Turn texts into numbers in place; what is no number is reported and takes a harmless value."""
    from workspace.errors import Problem

    for key in (*WHOLE, "dropout", "epochs", "tokens_per_second", "price"):
        text = options[key]
        if text == "":
            options[key] = None
            continue
        kind: type[int] | type[float] = int if key in WHOLE else float
        name, what = f"--{key.replace('_', '-')}", "a whole number" if key in WHOLE else "a number"
        try:
            value = kind(text) if len(text) < 40 else kind("?")
            if key in LARGEST and not 0 < value <= LARGEST[key]:
                raise ValueError
        except ValueError:
            problems.append(
                Problem(f'"{text[:40]}" is not {what} above 0 that makes sense here.', name, what, text[:40])
            )
            value = kind(1 if key in WHOLE else 0.5)
        options[key] = value


def _emit(found: Estimate, card: Card | None) -> None:
    from dataclasses import asdict

    from advisor.sizing import methods_that_fit, ways_to_fit
    from rung.cli.output import emit

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
            "ways": [asdict(way) for way in ways_to_fit(found.architecture, found.setup, card)],
        }
    emit(document)


def _rentable(found: Estimate) -> list[dict[str, object]]:
    """Cards that hold the run, with the cheapest dated price of each."""
    from datetime import date

    from advisor.sizing import cards_that_fit, prices

    listed: list[dict[str, object]] = []
    for card in cards_that_fit(found.architecture, found.setup):
        price = next(iter(prices(card.name, date.today())), None)
        entry: dict[str, object] = {"gpu": card.name, "memory_gib": card.memory_gib}
        entry["per_hour"] = price.per_hour if price else None
        entry["reason"] = (
            f"{price.provider}, {price.date}{', expired' if price.expired else ''}" if price else "no dated price"
        )
        listed.append(entry)
    return listed


def _unknown(error: UnknownArchitecture, as_json: bool) -> None:
    """An architecture that is not known gives no figures, and says why."""
    from rung.cli.output import emit, say

    if not as_json:
        say(f"unknown ({error.message})")
        say(f"-> {error.hint}")
        return
    from advisor.sizing.memory import PARTS

    fields = ("parameters", "trainable", "adapter_mb", "memory_gib", "parts", "fits", "seconds", "cost_usd")
    document: dict[str, object] = dict.fromkeys(fields)
    document["memory_gib"] = dict.fromkeys(("low", "expected", "high"))
    document["parts"] = dict.fromkeys(PARTS)
    document["fits"] = []
    document["reasons"] = dict.fromkeys(fields, error.message)
    emit(document)


def _print(found: Estimate, card: Card | None) -> None:
    from advisor.sizing import GIB
    from rung.cli.output import say

    memory, setup = found.memory.gib(), found.setup
    say(f"{found.architecture.name}, {setup.method}, {setup.batch} x {setup.length:,} tokens on {setup.gpus} card(s)")
    say()
    say(f"parameters   {found.parameters:,}, of which {found.trainable:,} are trained ({_share(found)})")
    say(f"adapter      {_or_unknown(found, 'adapter_mb', found.adapter_mb, '{:.1f} MB')}")
    say(f"memory       {memory['expected']:.1f} GiB ({memory['low']:.1f} to {memory['high']:.1f}) on one card")
    for name, value in found.memory.parts.items():
        if value:
            say(f"  {name:<12} {value / GIB:.2f} GiB")
    fits = [f.gpu for f in found.fits if f.fits]
    say(f"fits         {', '.join(fits) if fits else 'none of the cards in rules/hardware.toml'}")
    if setup.gpus > 1:
        say(f"             {setup.gpus} of them, sharing by {setup.strategy}")
    say(f"time         {_or_unknown(found, 'seconds', found.seconds, '{:,.0f} s')}")
    say(f"cost         {_or_unknown(found, 'cost_usd', found.cost_usd, '${:,.2f}')}")
    for note in found.notes:
        say(f"! {note}")
    if card is not None:
        _print_fit(found, card)


def _print_fit(found: Estimate, card: Card) -> None:
    """Methods on the card, ways round it for the method that was asked for, and cards that hold it."""
    from advisor.sizing import methods_that_fit, ways_to_fit
    from rung.cli.output import say

    say()
    say(f"On {card.name}:")
    methods = methods_that_fit(found.architecture, found.setup, card)
    for m in methods:
        say(f"{'✓' if m.fits else '✗'} {m.method:<8} {m.reason}")
    if any(m.fits for m in methods if m.method == found.setup.method):
        return
    say()
    say(f"{found.setup.method} on more than one such card, or with the CPU's memory:")
    for way in ways_to_fit(found.architecture, found.setup, card):
        say(f"{'✓' if way.cards else '✗'} {way.name:<11}{_needs(way)}{way.reason}  [{', '.join(way.source)}]")
    say()
    cheapest = _rentable(found)[:4]
    say("Cards that hold it alone:" if cheapest else "No card of rules/hardware.toml holds it alone.")
    for entry in cheapest:
        hour = f"${entry['per_hour']:.2f} an hour" if entry["per_hour"] is not None else "price unknown"
        say(f"  {entry['gpu']:<20} {entry['memory_gib']:>6.1f} GiB   {hour} ({entry['reason']})")


def _needs(way: Way) -> str:
    if way.cards is None:
        return "not on 16 of them: " if way.name != "offload" and way.memory_gib is None else ""
    ram = f" and {way.ram_gib:.0f} GiB of RAM" if way.ram_gib else ""
    return (
        f"{way.cards} cards, {way.memory_gib:.1f} GiB each: " if way.cards > 1 else f"{way.memory_gib:.1f} GiB{ram}: "
    )


def _share(found: Estimate) -> str:
    return f"{found.trainable / found.parameters:.2%}"


def _or_unknown(found: Estimate, key: str, value: float | None, form: str) -> str:
    reason = found.reasons.get(key, "")
    if value is None:
        return f"unknown ({reason})"
    return form.format(value) + (f" ({reason})" if reason else "")


def _list(as_json: bool) -> None:
    from advisor.sizing import architecture_of, load_table
    from rung.cli.output import emit, say

    listed: list[dict[str, Any]] = []
    for entry in load_table("models")["model"]:
        count = architecture_of(entry["config"], entry["id"]).parameters if "config" in entry else None
        listed.append({**{k: v for k, v in entry.items() if k != "config"}, "parameters": count})
    if as_json:
        emit(listed)
        return
    for item in listed:
        size = f"{item['parameters'] / 1e9:.2f} B" if item["parameters"] else "unknown"
        old = "  superseded" if item.get("superseded") else ""
        say(f"{item['id']:<24} {size:>10}  {item['licence']}{old}")
