"""The plan that a command is about: its own values, the project, the plan in its file; and a sweep of such values."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from advisor.answer_file import load_answers
from chat.endpoint import DEFAULTS, model_place
from chat.local.load import EMBEDDED
from chat.privacy import is_own
from curation.split.manifest import newest_dataset
from rung.cli.options import goes_with
from rung.cli.output import ProgressLine, note, show, show_locked
from rung.status.following import after_sweep
from rung.text.training_text import sweep_lines
from training.gates.clearance import Locked, override
from training.gates.gate import GateOverride, policy_of
from training.plan.memory_fit import Machine, with_cards
from training.plan.planning import make_plan
from training.plan.plans import Plan, keep_plan
from training.run.base_model import PlanTokenizer, load_tokenizer
from training.run.inputs import items_of
from training.run.tokens import TokenCheck, check
from training.trials.sweep import (
    Point,
    Spec,
    begin,
    budget,
    cleared,
    lay_out,
    outcome,
    parse_space,
    put_away,
    run_trials,
)
from workspace.counted import counted, duration
from workspace.errors import InputError, Problem, Refusal, did_you_mean
from workspace.folder import Project, folder_named, require_project
from workspace.settings import Settings, TrainingSettings, load_settings
from workspace.trust import is_this_machine


@dataclass(frozen=True, slots=True)
class NamedValues:
    """Values that were named for one plan alone; `values` are NAME=VALUE."""

    method: str = ""
    objective: str = ""
    packing: bool = False
    values: Sequence[str] = ()

    @property
    def pairs(self) -> list[str]:
        """NAME=VALUE of each."""
        named = {"method": self.method, "objective": self.objective, "packing": "true" * self.packing}
        return [*(f"{name}={value}" for name, value in named.items() if value), *self.values]


@dataclass(frozen=True, slots=True)
class MadePlan:
    """A plan in its file. `settings` hold the values that were named for it; `by_hand`: whether any were."""

    project: Project
    settings: Settings
    path: Path
    plan: Plan
    by_hand: bool = False


def make(named: NamedValues, *, card: str = "", cards: int = 1) -> MadePlan:
    """Work the plan out, with the values that were named, for this machine or a GPU elsewhere."""
    project, settings = _settings(named.pairs)
    path, plan = work_out(project, settings, card=card, cards=cards)
    return MadePlan(project, settings, path, plan, bool(named.pairs or card))


def _settings(values: Sequence[str]) -> tuple[Project, Settings]:
    """Return the project and its settings, with values of [training] for this plan alone."""
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


def work_out(
    project: Project,
    settings: Settings,
    *,
    card: str = "",
    cards: int = 1,
    machine: Machine | None = None,
) -> tuple[Path, Plan]:
    """Work the plan out from the artefacts of today and keep it; an equal one of before stays as it was written."""
    _must_be_possible(project, settings)
    machine = with_cards(card, cards) if card else machine
    tokenizer = PlanTokenizer(settings.model.base, settings.model.enable_thinking)
    made = make_plan(project, settings, tokenizer, machine=machine)
    path, kept = keep_plan(project, made)
    return path, made if card else kept  # the forecast in the file may be another machine's


def _must_be_possible(project: Project, settings: Settings) -> None:
    """Check what a plan needs before a missing extra is reported and the model's tokenizer is loaded.

    Raises Refusal for a hosted model and for a name that only its server knows: neither has weights to be trained; and
    where there is no advice or no dataset with training rows.
    """
    model = settings.model
    place = None if model.provider == "local" else model_place(model.base_url, model.provider)
    host = place.hostname or "" if place else ""
    is_here = model.base == EMBEDDED or folder_named(model.base).is_dir()
    unknown = bool(host) and not ("/" in model.base or is_here)
    if place and unknown and (is_this_machine(host) or is_own(place.netloc.lower(), settings.privacy.own_hosts)):
        text = f"No plan: [model] base = {model.base} is a name on {host}, which does not say what weights it has."
        raise Refusal(text, "its id on the Hub (OWNER/NAME) or its folder, in rung.toml", where="rung.toml")
    if host and (unknown or host in DEFAULTS[model.provider]):
        text = f"No plan: [model] base = {model.base} is a hosted model of {host}, which is not trained here."
        raise Refusal(text, "rung plan managed, or an open model: provider and base in rung.toml", where="rung.toml")
    if not project.decision_file.is_file():
        raise Refusal("No plan: there is no advice yet.", "rung advise")
    load_answers(project.answers_file)  # the gates read them when the plan is written already
    if newest_dataset(project, complete=True) is None:
        raise Refusal("No plan: no frozen dataset with a train split.", "rung data freeze")


def set_aside(names: Sequence[str] | None, by: str, reason: str) -> list[GateOverride]:
    """Return the gates that a person sets aside. Raises RungError if a name or reason is there without a gate."""
    goes_with("--override", names, "--override GATE", {"--by": by, "--reason": reason})
    if not names:
        return []
    policy = policy_of(require_project())
    return [override(name, by, reason, policy) for name in names]


def row_check(made: MadePlan) -> TokenCheck:
    """Return the plan's rows as they will be trained."""
    recipe = made.plan.recipe
    tokenizer = load_tokenizer(recipe.base, recipe.enable_thinking)
    folder = made.project.datasets / made.plan.dataset
    items, _ = items_of(made.project, made.settings, folder, recipe, tokenizer)
    return check(tokenizer, items.encoded, recipe)


def sweep_plan(
    made: MadePlan, texts: Sequence[str], *, minutes: float | None, overrides: Sequence[GateOverride], as_json: bool
) -> None:
    """Halve the combinations until one is left; prints them best first."""
    space = parse_space(texts)
    try:
        plan = cleared(made.project, made.settings, made.path, overrides)
    except Locked as locked:
        show_locked(locked.gates, as_json)
    tokenizer = PlanTokenizer(plan.recipe.base, plan.recipe.enable_thinking)
    spec = lay_out(made.project, made.settings, made.path, plan, space, tokenizer)
    steps, whole = budget(spec)
    counts = " > ".join(f"{rung.count} to {rung.share:.0%}" for rung in spec.rungs)
    tried = f"{counted(len(spec.trials), 'combination')}, {counts} of their steps"
    note(f"Sweep of {plan.id}: {tried}; best on validation stays.")
    note(f"Budget: {counted(steps, 'step')} instead of {whole:,}; {_time(plan, steps, minutes)}")
    folder, points, spent = _run(made, spec, overrides, minutes)
    found = outcome(spec, space, points, "the budget was spent" if spent else "")
    path = put_away(folder, found)
    best = after_sweep([f"{name}={value}" for name, value in found.best.values.items()])
    written = f"Written: {made.project.relative(path)}   Next: {best}"
    show(as_json, {**found.model_dump(mode="json"), "path": str(path)}, [*sweep_lines(found), "", written])


def _time(plan: Plan, steps: int, minutes: float | None) -> str:
    """Return the duration of the steps by the plan's forecast. Raises InputError if it exceeds the budget."""
    if plan.forecast.seconds is None:
        limit = f"; ends after {minutes:g} min" if minutes else ""
        return f"time unknown until something was measured here (rung plan check){limit}."
    seconds = plan.forecast.seconds / plan.recipe.steps * steps
    if minutes is not None and seconds > minutes * 60:
        text = f"--budget {minutes:g}: about {duration(seconds)} are needed; nothing was started."
        raise InputError([Problem(text)], "fewer values, a smaller --set epochs=, or a larger --budget")
    return f"about {duration(seconds)} on this machine, $0.00."


def _run(
    made: MadePlan, spec: Spec, overrides: Sequence[GateOverride], minutes: float | None
) -> tuple[Path, list[Point], bool]:
    """Return the folder, its points, and whether the budget ended it."""
    folder = begin(made.project, spec)
    line = ProgressLine(folder.name, every=0.0)

    def progress(done: int, total: int, text: str) -> None:
        if done:
            line(done, total)
        note(f"{folder.name}  {text}")

    points = run_trials(made.project, made.settings, folder, overrides, progress, minutes * 60 if minutes else None)
    total = sum(rung.count for rung in spec.rungs)
    if not points:
        raise Refusal("The budget was spent before anything was measured.", "a larger --budget")
    return folder, points, len(points) < total
