"""What `rung plan` was asked for, and carrying it out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from training.gate import Gate, Override
    from training.plan import Plan
    from workspace.folder import Project
    from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Asked:
    """The options of `rung plan`, by their names there."""

    pairs: list[str] | None
    method: str
    objective: str
    packing: bool
    values: list[str] | None
    preset: str
    card: str
    tokens: bool
    explain: bool
    preflight: bool
    html: Path | None
    export: str
    out: Path | None
    cards: int
    sweep: str
    curve: bool
    sizes: str
    budget: float | None
    managed: bool
    override: list[str] | None
    by: str
    reason: str
    as_json: bool

    @property
    def own(self) -> list[str]:
        """NAME=VALUE of each value that was named for this plan alone."""
        named = {"method": self.method, "objective": self.objective, "packing": "true" * self.packing}
        return [f"{name}={value}" for name, value in named.items() if value] + (self.values or [])


def carry_out(asked: Asked) -> None:
    """Make the plan and do with it what was asked: show, export, try it out, or train parts of it."""
    _check_together(asked)
    if asked.managed:
        return _managed(asked.as_json)
    project, settings = _project([*_preset(asked.preset), *asked.own])
    aside = _set_aside(project, asked.override or [], asked.by, asked.reason)
    rows = checked(asked.export, asked.sweep, asked.pairs or [], asked.sizes)
    path, made = work_out(project, settings, preset=asked.preset, card=asked.card, cards=asked.cards)
    if asked.export:
        from rung.cli.plan_export import export_plan

        more: dict[str, Any] = {"out": asked.out, "cards": asked.cards, "overrides": aside, "as_json": asked.as_json}
        return export_plan(project, settings, path, asked.export, **more)
    if asked.preflight:
        from rung.cli.plan_preflight import preflight_plan

        return preflight_plan(project, path, asked.html, asked.as_json)
    if asked.sweep or asked.curve:
        return _trials(project, settings, path, asked, rows, aside)
    return _show(project, settings, path, made, asked)


def _check_together(asked: Asked) -> None:
    """Raise RungError for options of which one would be passed over in silence."""
    from rung.cli.options import at_most_one, goes_with
    from workspace.files import check_page

    sweep, curve, export = asked.sweep, asked.curve, asked.export
    one = {"--managed": asked.managed, "--export": export, "--preflight": asked.preflight}
    at_most_one({**one, "--sweep": sweep, "--curve": curve})
    goes_with("--export", export, "rung plan --export KIND", {"--out": asked.out})
    goes_with("--curve", curve, "rung plan --curve", {"--sizes": asked.sizes})
    goes_with("--sweep or --curve", sweep or curve, "rung plan --curve", {"--budget": asked.budget})
    trained = "--export, --sweep or --curve"
    goes_with(trained, export or sweep or curve, "rung plan --export KIND", {"--override": asked.override})
    goes_with("--override", asked.override, "rung plan --override GATE", {"--by": asked.by, "--reason": asked.reason})
    check_page(asked.html)


def _trials(
    project: Project, settings: Settings, path: Path, asked: Asked, rows: list[int], aside: list[Override]
) -> None:
    from rung.cli.plan_trials import curve_plan, sweep_plan

    more: dict[str, Any] = {"minutes": asked.budget, "overrides": aside, "as_json": asked.as_json}
    if asked.sweep:
        return sweep_plan(project, settings, path, [asked.sweep, *(asked.pairs or [])], **more)
    return curve_plan(project, settings, path, rows, **more)


def _show(project: Project, settings: Settings, path: Path, made: Plan, asked: Asked) -> None:
    """The plan itself, with what was asked for besides."""
    from rung.cli.output import emit
    from training.clearance import check_gates

    if asked.html is not None:
        from dataclasses import asdict

        from rung.cli.plan_preflight import write_page

        write_page(asked.html, made, asdict(_preflight(project, settings, made)), None)
    gates = check_gates(project, settings, made)
    if asked.as_json:
        shown = [gate.model_dump(mode="json") for gate in gates]
        return emit({**made.model_dump(mode="json"), "path": str(path), "gates": shown})
    _say(project, settings, made, gates, asked)
    closed = next((gate for gate in gates if not gate.opens), None)
    train = f"rung train {made.id}" if asked.own or asked.preset or asked.card else "rung train"
    return _end(f"Written: {project.relative(path)}   Next: {closed.opener if closed else train}")


def _say(project: Project, settings: Settings, made: Plan, gates: Sequence[Gate], asked: Asked) -> None:
    from rung.cli.output import say
    from rung.cli.plan_explain import explain_lines
    from rung.report.plan_words import plan_lines, token_lines
    from training.clearance import policy_of

    for line in plan_lines(made, gates):
        say(line)
    for line in ["", *explain_lines(made, gates, policy_of(project))] if asked.explain else []:
        say(line)
    for line in ["", *token_lines(_preflight(project, settings, made))] if asked.tokens else []:
        say(line)


def _end(text: str) -> None:
    from rung.cli.output import say

    say()
    say(text)


def _set_aside(project: Project, names: Sequence[str], by: str, reason: str) -> list[Override]:
    if not names:
        return []
    from training.clearance import override, policy_of

    return [override(name, by, reason, policy_of(project)) for name in names]


def checked(export: str, sweep: str, pairs: Sequence[str], sizes: str) -> list[int]:
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


def _project(values: list[str]) -> tuple[Project, Settings]:
    """The project and its settings, with values of [training] for this plan alone."""
    import os

    from workspace.errors import InputError, Problem, did_you_mean
    from workspace.folder import require_project
    from workspace.settings import TrainingSettings, load_settings

    problems, named = [], {}
    for value in values:
        name, is_pair, text = value.partition("=")
        key = name.strip().lower().replace("-", "_")
        if not is_pair:
            problems.append(Problem(f'--set {value}: not NAME=VALUE, as in "rank=8".', found=value))
        elif key not in TrainingSettings.model_fields:
            hint = did_you_mean(key, TrainingSettings.model_fields)
            problems.append(Problem(f'--set {value}: [training] has no "{name}".{hint}', where="--set", found=name))
        else:
            named[f"RUNG_TRAINING__{key.upper()}"] = text
    if problems:
        raise InputError(problems, "rung plan --explain lists every value")
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

    _must_be_possible(project, settings)
    machine = with_cards(card, cards) if card else None
    made = make_plan(project, settings, PlanTokenizer(settings.model.base), machine=machine)
    path, kept = keep_plan(project, with_preset(made, preset) if preset else made)
    return path, kept.model_copy(update={"forecast": made.forecast}) if card else kept


def _must_be_possible(project: Project, settings: Settings) -> None:
    """What a plan needs first is said before a missing extra is, and before the model's tokenizer is loaded.

    Raises Refusal for a hosted model whose weights nobody has here, and where there is no advice or no dataset with
    training rows.
    """
    from curation.manifest import newest_dataset
    from workspace.errors import Refusal

    model = settings.model
    if model.provider == "anthropic" or (model.provider == "openai" and not model.base_url):
        text = (
            f"No plan: [model] base = {model.base} is a hosted model of {model.provider}'s, which is not trained here."
        )
        raise Refusal(text, "rung plan --managed, or an open model: provider and base in rung.toml", where="rung.toml")
    if not project.decision_file.is_file():
        raise Refusal("No plan: there is no advice yet.", "rung advise")
    if newest_dataset(project, complete=True) is None:
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
