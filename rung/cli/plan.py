"""`rung plan`: every value of the run with its reason, and the gates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from rung.cli.options import Json

Pairs = Annotated[list[str] | None, typer.Argument(help="More values for --sweep.", metavar="[NAME=V,V ...]")]
Method = Annotated[str, typer.Option(help="lora, qlora, full, dora, rslora, adalora, ia3, prefix, prompt ...")]
Objective = Annotated[str, typer.Option(help="sft, dpo, kto, reward, grpo or rloo.")]
Packing = Annotated[bool, typer.Option("--packing", help="Rows of a batch in one line, each seen by itself.")]
Values = Annotated[list[str] | None, typer.Option("--set", help="One value of [training], for this plan: rank=8.")]
Preset = Annotated[str, typer.Option(help="A whole set of values: source.")]
Card = Annotated[str, typer.Option(help="Plan for this card (24GB, or a name) instead of this machine.")]
Tokens = Annotated[bool, typer.Option("--tokens", help="Show the trained tokens of five rows.")]
Explain = Annotated[bool, typer.Option("--explain", help="Every gate with its evidence, every value's rule.")]
Preflight = Annotated[bool, typer.Option("--preflight", help="Measure memory and speed in a few dry steps.")]
Html = Annotated[Path | None, typer.Option(help="With --tokens or --preflight: a page of the rows.")]
Export = Annotated[str, typer.Option(help="For another trainer: trl, axolotl, llama-factory, unsloth or openai.")]
OutFolder = Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the export.")]
Cards = Annotated[int, typer.Option(min=1, help="Cards that the export is launched on.")]
Sweep = Annotated[
    str,
    typer.Option(help="Try values on validation, halving: --sweep lr=1e-4,2e-4 rank=8,16.", metavar="NAME=V,V ..."),
]
Curve = Annotated[bool, typer.Option("--curve", help="Train on parts of the rows: would more of them help?")]
Sizes = Annotated[str, typer.Option(help="With --curve: rows to train on, as 50,100,200,400.")]
Budget = Annotated[float | None, typer.Option(min=0.01, help="Minutes that a sweep or curve may take.")]
Managed = Annotated[bool, typer.Option("--managed", help="Tuning as a service: dated advice.")]
Aside = Annotated[list[str] | None, typer.Option(help="With --export, --sweep, --curve: set this gate aside.")]
By = Annotated[str, typer.Option(help="Who sets it aside.")]
Reason = Annotated[str, typer.Option(help="Why.")]


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("plan")(plan)


def plan(
    pairs: Pairs = None,
    method: Method = "",
    objective: Objective = "",
    packing: Packing = False,
    values: Values = None,
    preset: Preset = "",
    card: Card = "",
    tokens: Tokens = False,
    explain: Explain = False,
    preflight: Preflight = False,
    html: Html = None,
    export: Export = "",
    out: OutFolder = None,
    cards: Cards = 1,
    sweep: Sweep = "",
    curve: Curve = False,
    sizes: Sizes = "",
    budget: Budget = None,
    managed: Managed = False,
    override: Aside = None,
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Work out the training plan: every value with its reason, and the gates."""
    wish = locals()
    from rung.cli.plan_asked import Asked, carry_out

    carry_out(Asked(**wish))
