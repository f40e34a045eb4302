"""Working out a plan: decision, frozen rows, model and machine in; every value with its reason out."""

import math
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from advisor.decision import Decision
from advisor.sizing.architecture import Architecture
from advisor.sizing.run_estimate import Workload, estimate
from chat.local.load import find_model, fingerprint
from chat.protocols import Tokenizer
from curation.example import Example
from curation.split.manifest import newest_dataset
from training.gates.gate import policy_of
from training.plan.hyperparameters import PlanDraft, RunFacts, evals_for, facts_of, learning_rate, value, warnings
from training.plan.memory_fit import Machine, architecture_of, fit_of, setup_of, this_machine
from training.plan.objective import (
    REPLAY_TOKENS,
    WORDS,
    ObjectiveRows,
    material_of,
    put_choice,
    put_objective,
    replay_questions,
)
from training.plan.plans import DataFacts, Forecast, Plan, readable_plans, with_id
from training.plan.recipe import LOW_RANK, QUANTISED, REINFORCED, ROW_BY_ROW, VIRTUAL, Because, Method, Recipe
from training.run.building import tracker_problems
from training.run.tokens import with_system
from training.runs import read_runs
from training.trials.dry_run import read_preflight
from workspace.artefact import hashes, read_artefact
from workspace.errors import InputError, Problem, Refusal
from workspace.folder import Project
from workspace.settings import Settings, TrainingSettings
from workspace.trust import TRACKER, demand

CLOSING = 4
"""Tokens that a chat template may put around an answer."""
ROUND = 8
HIGH_RANK = 64
"""Above this rank the scale is alpha over the root of the rank."""


def make_plan(project: Project, settings: Settings, tokenizer: Tokenizer, *, machine: Machine | None = None) -> Plan:
    """Return the whole plan for the newest complete dataset, under its id. Nothing is written: see `plans.keep_plan`.

    `machine` is another one that the plan is for. Raises Refusal if the advice or a frozen dataset is missing,
    InputError where values cannot be trained together.
    """
    for tracker in settings.training.report_to:
        demand(project.root, TRACKER, tracker)
    if problems := tracker_problems(settings.training.report_to):
        raise InputError(problems, "[training] report_to")
    if not project.decision_file.is_file():
        raise Refusal("No plan: there is no advice yet.", "rung advise")
    decision = read_artefact(project.decision_file, Decision)
    folder = newest_dataset(project, complete=True)
    if folder is None:
        raise Refusal("No plan: no frozen dataset with a train split.", "rung data freeze")
    here = machine or this_machine()
    draft = PlanDraft()
    base = settings.model.base
    architecture = architecture_of(base)
    _method(draft, settings.training, decision, here)
    objective = settings.training.objective
    draft.put("objective", objective, Because(text=WORDS[objective], rule="objective"))
    draft.override("objective", None if objective == "sft" else objective)
    material = material_of(project, settings, folder, objective)
    draft.values["signals"] = material.signals
    facts = facts_of(draft.values["method"], len(material.train), architecture, bool(here.cards), objective)
    _adapter(draft, settings.training, facts, architecture)
    lengths = [
        [token_length(tokenizer, row, settings.training.system_prompt) for row in item] for item in material.seen()
    ]
    _lengths(draft, settings.training, [max(item) for item in lengths], architecture)
    data = _facts(tokenizer, material, lengths, draft.values["max_length"])
    draft.put("learning_rate", *learning_rate(facts, architecture, str(decision.answers.get("breadth"))))
    draft.override("learning_rate", settings.training.learning_rate)
    put_objective(draft, project, settings, facts, data)
    _batch(draft, settings.training, data, facts)
    _rest(draft, settings, data, facts)
    recipe = _fitting(base, draft, here, data.answer, policy_of(project).memory)
    place, hub = find_model(base)
    notes = [*warnings(recipe, draft.reasons, facts), *material.notes, *_left_out(recipe, data)]
    notes += _untrained(recipe, material)
    plan = Plan(
        made_from=hashes(project.root, project.decision_file, folder / "manifest.json"),
        id="",
        dataset=folder.name,
        decision=decision.next_step,
        base_fingerprint="" if hub else fingerprint(Path(place)),
        recipe=recipe,
        because=draft.reasons,
        data=data,
        forecast=forecast_of(project, recipe, data, here, elsewhere=machine is not None and bool(machine.cards)),
        notes=notes,
    )
    return with_id(project, plan)


def token_length(tokenizer: Tokenizer, example: Example, system_prompt: str | None) -> int:
    """Return tokens of a whole row: the rendered question, the answer, and what the template puts behind it.

    Raises RungError if the model's template leaves out a tool call of the answer.
    """
    if example.calls or example.row.get("tools"):
        turns = with_system(example.messages, system_prompt)
        return tokenizer.count(tokenizer.render_whole(turns, example.row.get("tools")))
    asked = tokenizer.render(with_system(example.asked, system_prompt))
    return tokenizer.count(asked) + tokenizer.count(example.answer or "") + CLOSING


def _method(draft: PlanDraft, set_by: TrainingSettings, decision: Decision, here: Machine) -> None:
    name = str((decision.model_dump().get("method") or {}).get("name"))
    advised: Method = "qlora" if name == "qlora" else "full" if name == "full" else "lora"
    draft.put("method", advised, Because(text="as advised", rule="decision-method"))
    if advised == "qlora" and not here.cards:
        text = "on a CPU 4 bit saves little and costs accuracy"
        draft.put("method", "lora", Because(text=text, rule="no-4-bit-on-cpu", source=("rung-measured",)))
    draft.override("method", set_by.method or None)
    quantised = draft.values["method"] in QUANTISED
    reason = "4 bit under the adapter" if quantised else "weights as they are"
    draft.put("quantisation", "nf4" if quantised else "none", Because(text=reason, rule="decision-method"))


def _adapter(draft: PlanDraft, set_by: TrainingSettings, facts: RunFacts, architecture: Architecture | None) -> None:
    """Size and place of what is trained beside the frozen weights."""
    method = facts["method"]
    if method in VIRTUAL:
        draft.put_defaults(facts, set_by, "virtual_tokens")
    if method == "ia3":
        names = ",".join(architecture.ia3) if architecture and architecture.ia3 else "default"
        text = "one scale for each key, value and feed-forward unit"
        draft.put("targets", names, Because(text=text, rule="ia3-targets", source=("peft",)))
    if method in LOW_RANK:
        _low_rank(draft, set_by, facts)


def _low_rank(draft: PlanDraft, set_by: TrainingSettings, facts: RunFacts) -> None:
    draft.put_defaults(facts, set_by, "rank")
    plain = facts["method"] in ("lora", "qlora")
    high = facts["method"] == "rslora" or (plain and draft.values["rank"] >= HIGH_RANK)
    text = "as the method says" if facts["method"] == "rslora" else f"rank-stabilised from rank {HIGH_RANK}"
    draft.put("rslora", high, Because(text=text, rule="plain-high-rank", source=("peft-bench",)))
    fixed, why = value("alpha", {**facts, "method": "rslora"} if high else facts)
    draft.put("alpha", fixed if high else 2 * draft.values["rank"], why)
    draft.override("alpha", set_by.alpha)
    draft.put_defaults(facts, set_by, "targets", "dropout")


def _lengths(
    draft: PlanDraft, set_by: TrainingSettings, lengths: Sequence[int], architecture: Architecture | None
) -> None:
    longest = -(-max(lengths) // ROUND) * ROUND
    limit = architecture.context if architecture else longest
    text = f"the longest row has {max(lengths)} tokens"
    if set_by.replay and longest < REPLAY_TOKENS:
        longest, text = REPLAY_TOKENS, f"{text}, an answer of the replay may have {REPLAY_TOKENS}"
    draft.put("max_length", max(8, min(longest, limit)), Because(text=text, rule="max_length"))
    draft.override("max_length", set_by.max_length)


def _facts(tokenizer: Tokenizer, material: ObjectiveRows, lengths: list[list[int]], limit: int) -> DataFacts:
    """Return the counts. A pair counts once as a row, and with the tokens of both its answers."""
    longest = [max(item) for item in lengths]
    return DataFacts(
        train=len(material.train),
        validation=len(material.validation),
        longest=max(longest),
        median=sorted(longest)[len(longest) // 2],
        answer=max(tokenizer.count(row.answer or "") for item in material.seen() for row in item),
        tokens=sum(sum(item) for item in lengths if max(item) <= limit),
        left_out=[number for number, length in enumerate(longest, 1) if length > limit],
    )


def _batch(draft: PlanDraft, set_by: TrainingSettings, data: DataFacts, facts: RunFacts) -> None:
    rows = data.train - len(data.left_out)
    _replay(draft, set_by, rows)
    if rows < 1:
        raise Refusal(f"No row is within max_length = {draft.values['max_length']} tokens.", "rung plan")
    draft.put_defaults(facts, set_by, "batch")
    if facts["objective"] in REINFORCED:
        _whole_groups(draft)
    _processes(draft, set_by)
    rows += draft.values["replay"]
    per_epoch = math.ceil(rows * max(1, draft.values.get("generations", 1)) / draft.values["batch"])
    draft.put_defaults(facts, set_by, "epochs")
    steps = math.ceil(draft.values["epochs"] * per_epoch)
    draft.put("steps", steps, Because(text=f"{draft.values['epochs']:g} x {per_epoch}", rule="your-data"))


def _replay(draft: PlanDraft, set_by: TrainingSettings, rows: int) -> None:
    """Set the number of general questions that train beside the rows; their length counts as a row's."""
    count = min(math.ceil(set_by.replay * rows), len(replay_questions()))
    draft.values["replay"] = count
    if count:
        text = f"beside {rows} rows, answered by the base model before it is trained"
        draft.put("replay", count, Because(text=text, rule="replay", source=("sa-sft-2026", "ssr-2024")))


def _processes(draft: PlanDraft, set_by: TrainingSettings) -> None:
    """One, or as many as a person says: then they share the rows of a step equally."""
    text = "one device; several, each with the whole model: [training] processes"
    draft.put("processes", 1, Because(text=text, rule="one-process"))
    draft.override("processes", set_by.processes)
    rows, processes = draft.values["batch"], draft.values["processes"]
    if rows % processes:
        problem = Problem(f"processes = {processes}: {rows} rows a step cannot be shared equally.")
        raise InputError([problem], f"--set batch={-(-rows // processes) * processes}")


def _whole_groups(draft: PlanDraft) -> None:
    """Make a step hold whole groups of answers to one question."""
    group, batch = draft.values["generations"], draft.values["batch"]
    if batch % group:
        text = f"{group} answers to a question, {-(-batch // group)} questions a step"
        draft.put("batch", -(-batch // group) * group, Because(text=text, rule="whole-groups"))


def _rest(draft: PlanDraft, settings: Settings, data: DataFacts, facts: RunFacts) -> None:
    draft.put_defaults(facts, settings.training, "grad_norm")
    draft.put("evals", *evals_for(facts, data.train, data.validation))
    draft.override("evals", settings.training.evals)
    put_choice(draft, settings, facts, data)
    draft.put("attention", *value("attention", {**facts, "max_length": draft.values["max_length"]}))
    _packing(draft, settings.training, facts)
    draft.put_defaults(facts, settings.training, "schedule", "warmup", "weight_decay", "patience", "keep_last")
    draft.values["seed"] = settings.training.seed
    draft.values["precision"] = settings.training.precision
    draft.values["threads"] = settings.model.threads
    draft.override("enable_thinking", settings.model.enable_thinking)
    draft.values["report_to"] = settings.training.report_to
    draft.override("system_prompt", settings.training.system_prompt)
    draft.override("loss", settings.training.loss if settings.training.loss != "last" else None)


def _packing(draft: PlanDraft, set_by: TrainingSettings, facts: RunFacts) -> None:
    """Rows of a batch in one line: only under attention that takes each row by itself."""
    draft.put("packing", *value("packing", facts))
    if not set_by.packing:
        return
    draft.override("packing", True)
    text = "packed rows must not see each other: attention of variable length, row by row"
    draft.put("attention", ROW_BY_ROW, Because(text=text, rule="packing", source=("rung-measured",)))


def _fitting(base: str, draft: PlanDraft, here: Machine, answer: int, usable: float) -> Recipe:
    """Return the recipe with the largest batch that fits, the rest accumulated; then with checkpointing. The step
    stays: its rows are shared by the processes. Where nothing fits, all rows at once.

    Raises InputError with every combination of values that does not work.
    """
    wanted = draft.values["batch"] // draft.values["processes"]
    first: Recipe | None = None
    for checkpointing in (False, True):
        for batch in [n for n in range(wanted, 0, -1) if wanted % n == 0]:
            shape = {"batch": batch, "accumulation": wanted // batch, "checkpointing": checkpointing}
            try:
                recipe = Recipe(base=base, **{**draft.values, **shape})
            except ValidationError as error:
                if first is None:
                    said = [str(d["ctx"]["error"]) if "ctx" in d else f"{d['loc']}: {d['msg']}" for d in error.errors()]
                    raise InputError(list(map(Problem, said)), "rung plan --method lora --objective sft") from error
                continue  # a method or objective that cannot take so few rows, or checkpointing
            first = first or recipe
            fit = fit_of(recipe, here, answer=answer, usable=usable)
            if fit is None or fit.fits:
                if recipe != first:
                    draft.reasons["accumulation"] = Because(text=f"{wanted} rows at once do not fit", rule="plan-fits")
                return recipe
    assert first is not None
    return first


def _left_out(recipe: Recipe, data: DataFacts) -> list[str]:
    if not data.left_out:
        return []
    some = ", ".join(str(n) for n in data.left_out[:5])
    return [f"{len(data.left_out)} rows are over {recipe.max_length} tokens and left out: train line {some}"]


def _untrained(recipe: Recipe, material: ObjectiveRows) -> list[str]:
    """Return a note on assistant turns that do not train."""
    if recipe.objective != "sft" or recipe.loss == "all":
        return []
    several = sum(any(turn["role"] == "assistant" for turn in row.asked) for item in material.seen() for row in item)
    if not several:
        return []
    said = "1 row has" if several == 1 else f"{several:,} rows have"
    return [f'{said} several assistant turns, and the last one trains; all: [training] loss = "all"']


OWN_MACHINE = "own machine"
LIKE = ("base", "method", "objective", "batch", "processes", "max_length", "checkpointing", "quantisation")
"""Values that decide how fast a step is: a dry run of a plan that shares them counts."""


def seconds_for(project: Project, recipe: Recipe, data: DataFacts) -> float | None:
    """Seconds from the newest finished run of this base and method, else from a dry run of a like plan, else None."""
    for run in reversed(read_runs(project)):
        alike = (run.base, run.method, run.processes) == (recipe.base, recipe.method, recipe.processes)
        if run.state == "finished" and alike and run.tokens:
            return round(run.seconds / run.tokens * data.tokens * recipe.epochs, 1)
    for path, other in readable_plans(project):
        found = read_preflight(project, path.stem)
        if found is not None and all(getattr(other.recipe, name) == getattr(recipe, name) for name in LIKE):
            return round(found.loading_seconds + data.tokens * recipe.epochs / found.tokens_per_second, 1)
    return None


def forecast_of(project: Project, recipe: Recipe, data: DataFacts, here: Machine, *, elsewhere: bool) -> Forecast:
    """Memory by the estimator. Time from what was measured here, on another machine from the dated tables or not."""
    fit = fit_of(recipe, here, answer=data.answer, usable=policy_of(project).memory)
    seconds, cost, why = (
        _rented(recipe, data, here) if elsewhere else (seconds_for(project, recipe, data), 0.0, OWN_MACHINE)
    )
    if seconds is None and not elsewhere:
        why = f"{OWN_MACHINE}; time unknown until something was measured here"
    return Forecast(
        low=fit and round(fit.low, 2),
        expected=fit and round(fit.expected, 2),
        high=fit and round(fit.high, 2),
        has=round(here.memory_gib, 1),
        where=here.where,
        seconds=seconds,
        cost_usd=cost,
        because=why,
    )


def _rented(recipe: Recipe, data: DataFacts, machine: Machine) -> tuple[float | None, float | None, str]:
    """(seconds, dollars, why) for a GPU elsewhere: a cited speed and a dated price, or unknown."""
    architecture, card = architecture_of(recipe.base), machine.cards[0][0]
    if architecture is None:
        return None, None, f"{card}; the model's size is unknown"
    rows = data.train - len(data.left_out)
    work = Workload(rows=rows, epochs=recipe.epochs, gpu=card)
    found = estimate(architecture, setup_of(recipe, on_card=True, answer=data.answer), work)
    reason = "time" if found.seconds is None else "price"
    known = found.reasons.get("seconds" if found.seconds is None else "cost_usd", "")
    return found.seconds, found.cost_usd, f"{card}; {reason}: {known}"
