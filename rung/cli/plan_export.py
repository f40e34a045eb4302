"""`rung plan --export KIND`: the vetted plan for another trainer; `rung plan --managed`: tuning as a service, dated."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from training.gate import Override
    from training.plan import Plan
    from workspace.folder import Project
    from workspace.settings import Settings


def export_plan(
    project: Project,
    settings: Settings,
    plan_file: Path,
    kind: str,
    *,
    out: Path | None,
    cards: int,
    overrides: Sequence[Override],
    as_json: bool,
) -> None:
    """Write the export and say how it is run; with a closed gate print all six and leave with 1."""
    from rung.cli.locked import show_locked
    from rung.cli.output import emit, say
    from rung.report.gate_words import gate_lines
    from training.clearance import Locked
    from training.export.bundle import pack
    from training.export.make import RUN, check_kind, write_export
    from training.plan import read_plan
    from training.run.model import PlanTokenizer

    check_kind(kind)
    plan = read_plan(plan_file)
    tokenizer = PlanTokenizer(plan.recipe.base)
    try:
        bundle = pack(project, settings, plan_file, tokenizer, kind=kind, cards=cards, overrides=overrides)
    except Locked as locked:
        show_locked(locked.gates, as_json)
    folder = out or project.root / "exports" / f"{plan.id}-{kind}"
    written = write_export(project, settings, bundle, kind, folder)
    names = [path.relative_to(folder).as_posix() for path in written]
    if as_json:
        emit({"folder": str(folder), "kind": kind, "files": names, "left_out": dict(bundle.left_out)})
        return
    say(f"{plan.id} for {kind}: {len(bundle.rows['train']):,} train and {len(bundle.rows['validation']):,} validation")
    say(f"rows, {sum(map(len, bundle.left_out.values()))} left out as too long. Nothing was uploaded.")
    say()
    for line in gate_lines(bundle.clearance.gates):
        say(line)
    say()
    for name in names:
        say(f"  {name}")
    say()
    say(f"Run, in {folder}: {RUN[kind]}")
    say("Next, with its outcomes: rung verdict --scores FILE")


def show_managed(plan: Plan | None, as_json: bool) -> None:
    """Every provider with its status and date, and the tokens that it would be billed for."""
    from advisor.managed import managed
    from rung.cli.output import emit, say

    tokens = round(plan.data.tokens * plan.recipe.epochs) if plan else None
    found = managed()
    if as_json:
        emit({"training_tokens": tokens, "providers": [asdict(one) for one in found]})
        return
    say("Tuning as a service. Advice with a date; Rung uploads nothing.")
    if plan is not None:
        say(f"{plan.id} trains {tokens:,} tokens by its own base model's tokenizer; theirs will differ.")
    for one in found:
        until = f", no new jobs after {one.until}" if one.until else ""
        say()
        say(f"{one.name}   {one.status}{until}   (read {one.read}{', expired: look again' if one.old else ''})")
        for text in (one.advice, f"models: {', '.join(one.models)}", f"rows:   {one.form}", f"price:  {one.price}"):
            say(f"  {text}")
        say(f"  {', '.join(one.source)}")
