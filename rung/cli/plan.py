"""`rung plan`: every value of the run with its reason, and the gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rung.cli.runs import Json

if TYPE_CHECKING:
    from training.plan import Plan
    from workspace.folder import Project
    from workspace.settings import Settings


def register(app: typer.Typer) -> None:
    """Add this group's commands."""
    app.command("plan")(plan)


def plan(
    tokens: Annotated[bool, typer.Option("--tokens", help="Show the trained tokens of five rows.")] = False,
    explain: Annotated[
        bool, typer.Option("--explain", help="Every gate with its evidence, every value's rule.")
    ] = False,
    export: Annotated[
        str, typer.Option(help="For another trainer: trl, axolotl, llama-factory, unsloth or openai.")
    ] = "",
    out: Annotated[Path | None, typer.Option("-o", "--out", help="Folder of the export.")] = None,
    cards: Annotated[int, typer.Option(min=1, help="Cards that the export is launched on.")] = 1,
    managed: Annotated[bool, typer.Option("--managed", help="Tuning as a service: dated advice.")] = False,
    override: Annotated[list[str] | None, typer.Option(help="Export with this gate set aside.")] = None,
    by: Annotated[str, typer.Option(help="Who sets it aside.")] = "",
    reason: Annotated[str, typer.Option(help="Why.")] = "",
    as_json: Json = False,
) -> None:
    """Work out the training plan: every value with its reason, and the gates."""
    from rung.cli.output import emit, say
    from rung.cli.training_words import plan_lines, token_lines
    from training.clearance import check_gates

    if managed:
        return _managed(as_json)
    project, settings = _project()
    path, made = work_out(project, settings)
    if export:
        from rung.cli.plan_export import export_plan
        from training.clearance import override as set_aside

        aside = [set_aside(name, by, reason) for name in override or []]
        return export_plan(project, settings, path, export, out=out, cards=cards, overrides=aside, as_json=as_json)
    gates = check_gates(project, settings, made)
    if as_json:
        emit({**made.model_dump(mode="json"), "path": str(path), "gates": [g.model_dump(mode="json") for g in gates]})
        return
    for line in plan_lines(made, gates):
        say(line)
    if explain:
        _explain(made, gates)
    if tokens:
        say()
        for line in token_lines(_preflight(project, made)):
            say(line)
    closed = next((gate for gate in gates if not gate.opens), None)
    say()
    say(f"Written: {project.relative(path)}   Next: {closed.opener if closed else 'rung train'}")


def _project() -> tuple[Project, Settings]:
    from workspace.folder import require_project
    from workspace.settings import load_settings

    project = require_project()
    return project, load_settings(project.settings_file)


def work_out(project: Project, settings: Settings) -> tuple[Path, Plan]:
    """Work the plan out from what stands there now; where an equal one was written before, that one."""
    from training.plan import keep_plan
    from training.planning import make_plan
    from training.run.model import PlanTokenizer

    return keep_plan(project, make_plan(project, settings, PlanTokenizer(settings.model.base)))


def _managed(as_json: bool) -> None:
    from rung.cli.plan_export import show_managed
    from training.plan import read_plans
    from workspace.folder import find_project

    project = find_project()
    plans = read_plans(project) if project else []
    show_managed(plans[-1][1] if plans else None, as_json)


def _preflight(project: Project, made: Plan) -> Any:
    from curation.manifest import load_split
    from training.run.model import load_tokenizer
    from training.run.preflight import check
    from training.run.rows import encode

    tokenizer = load_tokenizer(made.recipe.base)
    rows = load_split(project.datasets / made.dataset, "train")
    encoded = encode(tokenizer, rows, made.recipe.system_prompt, made.recipe.max_length)
    return check(tokenizer, encoded, made.recipe)


def _explain(made: Plan, gates: Any) -> None:
    from rung.cli.output import say

    say()
    for name, found in made.because.items():
        say(f"{name} = {getattr(made.recipe, name)}   {found.text}   [{found.rule}] {', '.join(found.source)}")
    for gate in gates:
        say(f"{gate.symbol} {gate.name}   {', '.join(f'{k} {v}' for k, v in gate.evidence.items())}")
