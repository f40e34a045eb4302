"""`rung plan`: every value of the run with its reason, and the gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.runs import Json

if TYPE_CHECKING:
    from training.gate import Override
    from training.plan import Plan
    from workspace.folder import Project
    from workspace.settings import Settings


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
    if managed:
        return _managed(as_json)
    wanted = [f"method={method}"] * bool(method) + [f"objective={objective}"] * bool(objective)
    wanted += ["packing=true"] * packing + (values or [])
    project, settings = _project([*_preset(preset), *wanted])
    aside = _set_aside(override or [], by, reason)
    rows = _checked(export, sweep, pairs or [], sizes)
    path, made = work_out(project, settings, preset=preset, card=card, cards=cards)
    if export:
        from rung.cli.plan_export import export_plan

        return export_plan(project, settings, path, export, out=out, cards=cards, overrides=aside, as_json=as_json)
    if preflight:
        from rung.cli.plan_preflight import preflight_plan

        return preflight_plan(project, path, html, as_json)
    if sweep or curve:
        return _trials(
            project, settings, path, sweep, pairs or [], rows, minutes=budget, overrides=aside, as_json=as_json
        )
    return _show(
        project,
        settings,
        path,
        made,
        tokens=tokens,
        explain=explain,
        html=html,
        named=bool(wanted or preset or card),
        as_json=as_json,
    )


def _show(
    project: Project,
    settings: Settings,
    path: Path,
    made: Plan,
    *,
    tokens: bool,
    explain: bool,
    html: Path | None,
    named: bool,
    as_json: bool,
) -> None:
    """The plan itself, with what was asked for besides."""
    from rung.cli.output import emit, say
    from rung.cli.training_words import plan_lines, token_lines
    from training.clearance import check_gates

    if html is not None:
        from dataclasses import asdict

        from rung.cli.plan_preflight import write_page

        write_page(html, made, asdict(_preflight(project, settings, made)), None)
    gates = check_gates(project, settings, made)
    if as_json:
        return emit(
            {**made.model_dump(mode="json"), "path": str(path), "gates": [g.model_dump(mode="json") for g in gates]}
        )
    for line in plan_lines(made, gates):
        say(line)
    if explain:
        from rung.cli.plan_explain import explain_lines

        say()
        for line in explain_lines(made, gates):
            say(line)
    if tokens:
        say()
        for line in token_lines(_preflight(project, settings, made)):
            say(line)
    closed = next((gate for gate in gates if not gate.opens), None)
    say()
    train = f"rung train {made.id}" if named else "rung train"
    say(f"Written: {project.relative(path)}   Next: {closed.opener if closed else train}")
    return None


def _set_aside(names: list[str], by: str, reason: str) -> list[Override]:
    if not names:
        return []
    from training.clearance import override

    return [override(name, by, reason) for name in names]


def _checked(export: str, sweep: str, pairs: list[str], sizes: str) -> list[int]:
    """The sizes of a curve; raises InputError for what is wrong with any of these, before a plan is written."""
    from workspace.errors import InputError, Problem

    if pairs and not sweep:
        problems = [Problem(f'"{pair}" belongs to no option.') for pair in pairs]
        raise InputError(problems, f"rung plan --set {pairs[0]}   (for this plan), or --sweep {pairs[0]},...")
    if export:
        from training.export.make import check_kind

        check_kind(export)
    if sweep:
        from training.sweep import parse_space

        parse_space([sweep, *pairs])
    try:
        return [int(part) for part in sizes.split(",") if part.strip()]
    except ValueError:
        text = f"--sizes {sizes}: not whole numbers with commas."
        raise InputError([Problem(text)], "--sizes 50,100,200,400") from None


def _trials(
    project: Project, settings: Settings, path: Path, sweep: str, pairs: list[str], rows: list[int], **more: Any
) -> None:
    from rung.cli.plan_trials import curve_plan, sweep_plan

    if sweep:
        return sweep_plan(project, settings, path, [sweep, *pairs], **more)
    return curve_plan(project, settings, path, rows, **more)


def _project(values: list[str]) -> tuple[Project, Settings]:
    """The project and its settings, with values of [training] for this plan alone."""
    import os

    from workspace.errors import InputError, Problem
    from workspace.folder import require_project
    from workspace.settings import load_settings

    bare = [value for value in values if not value.partition("=")[1]]
    if bare:
        problems = [Problem(f'--set {value}: not NAME=VALUE, as in "rank=8".') for value in bare]
        raise InputError(problems, "rung plan --help")
    named = {f"RUNG_TRAINING__{name.strip().upper()}": text for name, _, text in (v.partition("=") for v in values)}
    project = require_project()
    return project, load_settings(project.settings_file, {**os.environ, **named})


def _preset(name: str) -> list[str]:
    if not name:
        return []
    from training.presets import preset_values

    return [f"{key}={value}" for key, value in preset_values(name).items()]


def work_out(
    project: Project, settings: Settings, *, preset: str = "", card: str = "", cards: int = 1
) -> tuple[Path, Plan]:
    """Work the plan out from what stands there now; where an equal one was written before, that one."""
    from training.machine import with_cards
    from training.plan import keep_plan
    from training.planning import make_plan
    from training.presets import with_preset
    from training.run.model import PlanTokenizer

    _must_be_possible(project)
    machine = with_cards(card, cards) if card else None
    made = make_plan(project, settings, PlanTokenizer(settings.model.base), machine=machine)
    path, kept = keep_plan(project, with_preset(made, preset) if preset else made)
    return path, kept.model_copy(update={"forecast": made.forecast}) if card else kept


def _must_be_possible(project: Project) -> None:
    """What a plan needs first is said before a missing extra is: nobody installs torch to read that.

    Raises Refusal where torch is not installed, and no dataset with training rows is frozen either.
    """
    from curation.manifest import newest_dataset
    from workspace.errors import Refusal
    from workspace.extras import installed

    if not installed("torch") and newest_dataset(project, complete=True) is None:
        raise Refusal("No plan: no frozen dataset with a train split.", "rung data freeze")


def _managed(as_json: bool) -> None:
    from rung.cli.plan_export import show_managed
    from training.plan import read_plans
    from workspace.folder import find_project

    project = find_project()
    plans = read_plans(project) if project else []
    show_managed(plans[-1][1] if plans else None, as_json)


def _preflight(project: Project, settings: Settings, made: Plan) -> Any:
    from training.run.items import items_of
    from training.run.model import load_tokenizer
    from training.run.preflight import check

    tokenizer = load_tokenizer(made.recipe.base)
    items, _ = items_of(project, settings, project.datasets / made.dataset, made.recipe, tokenizer)
    return check(tokenizer, items.encoded, made.recipe)
