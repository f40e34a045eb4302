"""`rung estimate`: parameters, memory, GPUs, time and money of a run, from a config.json. No project, no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import Json
from rung.cli.output import note, show
from workspace.errors import InputError, Problem
from workspace.folder import find_project
from workspace.json_types import JsonObject
from workspace.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from advisor.sizing.cards import Card
    from advisor.sizing.run_estimate import Workload
    from advisor.sizing.setup import Setup

HINT = "rung estimate --help"


Method = Annotated[str, typer.Option(help="full, lora, qlora, dora, qdora, rslora, adalora, ia3, prefix, prompt.")]
Targets = Annotated[str, typer.Option(help="all-linear, attention, mlp, qv, or module names with commas.")]
Checkpointing = Annotated[bool, typer.Option(help="Recompute activations in the backward pass (TRL's default).")]
Optimizer = Annotated[str, typer.Option(help="adamw, adamw_8bit, paged_adamw, paged_adamw_8bit, adafactor, sgd.")]
Mixed = Annotated[
    bool | None,
    typer.Option(help="32-bit master weights in full fine-tuning (default on a GPU: yes, as `rung plan` trains)."),
]
Loss = Annotated[
    str,
    typer.Option(help="full; chunked (TRL 1.16, Liger: never all logits at once); answer (trained tokens only)."),
]
Reference = Annotated[str, typer.Option(help="DPO's reference: none, shared (adapter off), model (a frozen copy).")]


def estimate(
    model: Annotated[str, typer.Option(help="A model folder, a config.json, or a catalogue id (see --list).")] = "",
    method: Method = "lora",
    rank: Annotated[str, typer.Option(help="Rank of a low-rank adapter.")] = "16",
    targets: Targets = "all-linear",
    batch: Annotated[str, typer.Option(help="Rows in one forward pass on one GPU.")] = "4",
    length: Annotated[str, typer.Option(help="Tokens of a row.")] = "1024",
    checkpointing: Checkpointing = True,
    dtype: Annotated[str, typer.Option(help="bf16, fp16 or fp32 (default on --device cpu: fp32).")] = "",
    mixed: Mixed = None,
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
    gpus: Annotated[str, typer.Option(help="Number of GPUs.")] = "1",
    strategy: Annotated[str, typer.Option(help="ddp, fsdp, zero1, zero2 or zero3.")] = "ddp",
    device: Annotated[str, typer.Option(help="cuda or cpu.")] = "cuda",
    gpu: Annotated[str, typer.Option(help="GPU for the estimate of time and cost.")] = "",
    rows: Annotated[str, typer.Option(help="Rows of the training set, for time and cost.")] = "",
    epochs: Annotated[str, typer.Option(help="Passes over the rows.")] = "1",
    tokens_per_second: Annotated[str, typer.Option(help="Measured speed.")] = "",
    price: Annotated[str, typer.Option(help="USD per GPU-hour.")] = "",
    fit: Annotated[str, typer.Option(help="List what fits this GPU: a size such as 24GB, or its name.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List the catalogue.")] = False,
    as_json: Json = False,
) -> None:
    """Estimate memory, time and cost of a training run."""
    options = dict(locals())
    if options.pop("list_"):
        from rung.text.estimate_text import catalogue, catalogue_lines

        listed = catalogue()
        return show(as_json, listed, catalogue_lines(listed))
    return _answer(options, options.pop("model"), options.pop("fit"), options.pop("as_json"))


def _answer(options: JsonObject, ref: str, fit: str, as_json: bool) -> None:
    from advisor.sizing.config import UnknownArchitecture
    from advisor.sizing.run_estimate import estimate as estimated
    from rung.text.estimate_text import estimate_json, estimate_lines, unknown_json
    from training.run.counted_model import find_architecture

    ref = ref or _model_at_hand(fit, options["method"])
    setup, work, card = _checked(options, fit, ref)
    try:
        architecture = find_architecture(ref)
    except UnknownArchitecture as unknown:
        told = [f"unknown ({unknown.message})", f"-> {unknown.hint}"]
        return show(as_json, unknown_json(unknown) if as_json else None, told)
    found = estimated(architecture, setup, work)
    show(as_json, estimate_json(found, card) if as_json else None, estimate_lines(found, card))


def _model_at_hand(fit: str, method: str) -> str:
    """Return the project's base model, else the largest of the catalogue that fits the GPU, if any."""
    from advisor.sizing.cards import find_card
    from advisor.sizing.run_estimate import base_for

    if not fit:
        return ""
    if (project := find_project()) is not None:
        base = load_settings(project.settings_file).model.base
        note(f"No --model given: using the project's, {base}.")
        return base
    try:
        card = find_card(fit)
        choice = base_for(card.memory_gib, method=method)
    except InputError:  # told with all other problems
        return ""
    if choice is None:
        return ""
    note(f"No --model given: using {choice.id}, {choice.reason}.")
    return choice.id


def _checked(options: JsonObject, fit: str, ref: str) -> tuple[Setup, Workload, Card | None]:
    """Return all options turned into values, with every problem of all of them in one error."""
    from advisor.sizing.cards import find_card
    from advisor.sizing.run_estimate import Workload
    from advisor.sizing.setup import Setup

    problems: list[Problem] = []
    if not ref:
        problems.append(
            Problem(
                "no model given. Expected a folder, a config.json, or an id from rung estimate --list.",
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
        _collect(problems, lambda: find_card(work["gpu"], "--gpu"))
    if problems or setup is None:
        raise InputError(problems, HINT)
    return setup, Workload(**work), card


def _collect(problems: list[Any], make: Callable[[], Any]) -> Any:
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


def _numbers(options: JsonObject, problems: list[Any]) -> None:
    """Turn texts into numbers in place; what is no number is reported and takes a harmless value."""
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
