"""`rung plan`, and the commands behind the word: check, sweep, export and managed."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.options import By, Json, Reason, at_most_one
from rung.cli.output import note, show, show_locked
from rung.cli.tree import Group
from rung.status.following import SCORES, after_plan
from workspace.errors import InputError, Problem, RungError
from workspace.folder import find_project

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rung.cli.planned import MadePlan
    from training.gates.gate import Gate, GateOverride

Method = Annotated[str, typer.Option(help="lora, qlora, full, dora, rslora, adalora, ia3, prefix, prompt ...")]
Objective = Annotated[str, typer.Option(help="sft, dpo, reward, grpo or rloo.")]
Packing = Annotated[bool, typer.Option("--packing", help="Put the rows of a batch into one sequence without padding.")]
Values = Annotated[list[str] | None, typer.Option("--set", help="One value of [training], for this plan: rank=8.")]
Card = Annotated[str, typer.Option(help="Plan for this GPU (24GB, or a name) instead of this machine.")]
Cards = Annotated[int, typer.Option(min=1, help="Number of GPUs.")]
Budget = Annotated[float | None, typer.Option(min=0.01, help="Time limit of the whole sweep, in minutes.")]
Aside = Annotated[list[str] | None, typer.Option(help="Override a gate: decision, review or machine.")]

WORDS = {"--managed": "managed", "--export": "export", "--preflight": "check", "--sweep": "sweep"}
"""Former options, each with the subcommand that replaced it."""
BEHIND = {"-o": "export", "--out": "export", "--budget": "sweep", "--override": "export",
          "--by": "export", "--reason": "export"}  # fmt: skip
"""Options of one subcommand that `rung plan` itself does not take."""


class PlanGroup(Group):
    """`rung plan` with its subcommands; a former option (`--sweep`) is read as the subcommand."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        """Parse the words in today's spelling."""
        return super().parse_args(ctx, args if args and args[0] in self.commands else todays(args))


plan_app = typer.Typer(cls=PlanGroup)


def todays(args: list[str]) -> list[str]:
    """Return the arguments with a former option as the subcommand that replaced it; stderr names the new spelling.

    Raises RungError for two such options, and for an option or value that belongs to a word which is not there.
    """
    names = [arg.partition("=")[0] for arg in args]
    old = [name for name in WORDS if name in names]
    at_most_one(dict.fromkeys(old, True))
    if not old:
        _belongs(args, names)
        return args
    option = old[0]
    place = names.index(option)
    before, after = args[:place], args[place + 1 :]
    value = [args[place].partition("=")[2]] if "=" in args[place] else []
    words = [WORDS[option], *before, *value, *after]
    if "--quiet" not in args:
        note(f"rung plan {option} is now: rung plan {WORDS[option]}")
    return words


def _belongs(args: Sequence[str], names: Sequence[str]) -> None:
    for name in names:
        if word := BEHIND.get(name):
            raise RungError(f"{name} goes with rung plan {word}.", f"rung plan {word} {name} ...", where=name)
    if args and "=" in args[0] and not args[0].startswith("-"):
        hint = f"rung plan --set {args[0]}   (for this plan), or rung plan sweep {args[0]},..."
        raise InputError([Problem(f'"{args[0]}" belongs to no option.', found=args[0])], hint)


@plan_app.callback(invoke_without_command=True)
def plan(
    context: typer.Context,
    method: Method = "",
    objective: Objective = "",
    packing: Packing = False,
    values: Values = None,
    card: Card = "",
    cards: Cards = 1,
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the trained tokens of five rows.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Evidence of every gate, rule of every value.")] = False,
    as_json: Json = False,
) -> None:
    """Compute the training plan: every value with its reason, and the state of the gates."""
    from rung.cli.planned import NamedValues, make
    from training.gates.clearance import check_gates

    named = NamedValues(method, objective, packing, values or [])
    if (word := context.invoked_subcommand) is not None:
        if named.pairs or card or tokens or explain or as_json:
            raise RungError(f"Options follow the subcommand: rung plan {word} ...", f"rung plan {word} --help")
        return None
    made = make(named, card=card, cards=cards)
    gates = check_gates(made.project, made.settings, made.plan)
    shown = [gate.model_dump(mode="json") for gate in gates]
    document = {**made.plan.model_dump(mode="json"), "path": str(made.path), "gates": shown}
    show(as_json, document, () if as_json else _lines(made, gates, tokens=tokens, explain=explain))
    return None


def _lines(made: MadePlan, gates: Sequence[Gate], *, tokens: bool, explain: bool) -> list[str]:
    """Return the lines of the plan, the requested extras, and the next step."""
    from rung.cli.planned import row_check
    from rung.text.training_text import explain_lines, plan_lines, token_lines
    from training.gates.gate import policy_of

    lines = list(plan_lines(made.plan, gates))
    lines += ["", *explain_lines(made.plan, gates, policy_of(made.project))] if explain else []
    lines += ["", *token_lines(row_check(made))] if tokens else []
    closed = next((gate for gate in gates if not gate.opens), None)
    step = after_plan(made.plan.id, closed.opener if closed else "", named=made.by_hand)
    return [*lines, "", f"Written: {made.project.relative(made.path)}   Next: {step}"]


@plan_app.command("check")
def check(
    method: Method = "",
    objective: Objective = "",
    packing: Packing = False,
    values: Values = None,
    as_json: Json = False,
) -> None:
    """Measure memory and speed in a few training steps, and check the rows. Exit 1 if something must be fixed."""
    from rung.cli.planned import NamedValues, make
    from rung.text.training_text import dry_run_lines
    from training.trials.dry_run import place_of, preflight

    made = make(NamedValues(method, objective, packing, values or []))
    note(f"Dry run of {made.path.stem}: three steps on this machine; nothing is kept but the figures.")
    found = preflight(made.project, made.path)
    place = place_of(made.project, found.plan)
    step = "put that right first" if found.blocked else after_plan(found.plan, "", named=True)
    written = f"\nWritten: {made.project.relative(place)}   Next: {step}"
    show(as_json, {**found.model_dump(mode="json"), "path": str(place)}, [*dry_run_lines(found), written])
    if found.blocked:
        raise typer.Exit(1)


@plan_app.command("sweep")
def sweep(
    pairs: Annotated[list[str], typer.Argument(metavar="NAME=V,V ...", help="Values to try: lr=1e-4,2e-4 rank=8,16.")],
    method: Method = "",
    objective: Objective = "",
    packing: Packing = False,
    values: Values = None,
    budget: Budget = None,
    override: Aside = None,
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Compare values in short training runs (successive halving). Validation decides; the test set is not read."""
    from rung.cli.planned import NamedValues, make, set_aside, sweep_plan
    from training.trials.sweep import parse_space

    parse_space(pairs)
    aside = set_aside(override, by, reason)
    made = make(NamedValues(method, objective, packing, values or []))
    sweep_plan(made, pairs, minutes=budget, overrides=aside, as_json=as_json)


@plan_app.command("export")
def export(
    kind: Annotated[
        str,
        typer.Argument(
            help="trl, axolotl, llama-factory, unsloth, skypilot, dstack, notebook, openai, together or fireworks."
        ),
    ],
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the export.")] = None,
    method: Method = "",
    objective: Objective = "",
    packing: Packing = False,
    values: Values = None,
    card: Card = "",
    cards: Cards = 1,
    override: Aside = None,
    by: By = "",
    reason: Reason = "",
    as_json: Json = False,
) -> None:
    """Write the plan and its rows for another trainer, if the gates are open. Nothing is uploaded."""
    from rung.cli.planned import NamedValues, make, set_aside
    from training.export.export_folder import check_kind

    check_kind(kind)
    aside = set_aside(override, by, reason)
    made = make(NamedValues(method, objective, packing, values or []), card=card, cards=cards)
    _export(made, kind, out=out, cards=cards, overrides=aside, as_json=as_json)


@plan_app.command("managed")
def managed(as_json: Json = False) -> None:
    """Show what providers of tuning offer, with dates, and how many tokens they would bill."""
    from advisor.dated_tables import managed as offers
    from rung.text.training_text import managed_lines
    from training.plan.plans import read_plans

    project = find_project()
    plans = read_plans(project) if project else []
    plan = plans[-1][1] if plans else None
    tokens = round(plan.data.tokens * plan.recipe.epochs) if plan else None
    found = offers()
    document = {"training_tokens": tokens, "providers": [asdict(one) for one in found]}
    show(as_json, document, managed_lines(found, plan.id if plan else "", tokens or 0))


def _export(
    made: MadePlan, kind: str, *, out: Path | None, cards: int, overrides: Sequence[GateOverride], as_json: bool
) -> None:
    """Write the export and say how it is run; with a closed gate print all six and leave with 1."""
    from rung.text.training_text import gate_lines
    from training.export.bundle import pack
    from training.export.export_folder import KINDS, write_export
    from training.gates.clearance import Locked
    from training.run.base_model import PlanTokenizer

    project, settings, plan = made.project, made.settings, made.plan
    tokenizer = PlanTokenizer(plan.recipe.base, plan.recipe.enable_thinking)
    try:
        bundle = pack(project, settings, made.path, tokenizer, kind=kind, cards=cards, overrides=overrides)
    except Locked as locked:
        show_locked(locked.gates, as_json)
    folder = out or project.root / "exports" / f"{plan.id}-{kind}"
    written = write_export(project, settings, bundle, kind, folder)
    names = [path.relative_to(folder).as_posix() for path in written]
    lines = [
        f"{plan.id} for {kind}: {len(bundle.rows['train']):,} train and {len(bundle.rows['validation']):,} validation",
        f"rows, {sum(map(len, bundle.left_out.values()))} left out as too long. Nothing was uploaded.",
        "",
        *gate_lines(bundle.clearance.gates),
        "",
        *(f"  {name}" for name in names),
        "",
        f"Run, in {folder}: {KINDS[kind].run}",
        f"Next, with its outcomes: {SCORES}",
    ]
    show(as_json, {"folder": str(folder), "kind": kind, "files": names, "left_out": dict(bundle.left_out)}, lines)
