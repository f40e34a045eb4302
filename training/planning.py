"""Working out a plan: decision, frozen rows, model and machine in; every value with its reason out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from advisor.decision import Decision
from advisor.sizing.architecture import Architecture
from chat.protocols import Tokenizer
from curation.example import Example
from curation.manifest import newest_dataset
from training.draft import Draft
from training.fit import architecture_of, fit_of, usable_of
from training.hyperparameters import evals_for, facts_of, learning_rate, value, warnings
from training.machine import Machine, this_machine
from training.methods import LOW_RANK, QUANTISED, REINFORCED, ROW_BY_ROW, VIRTUAL
from training.objective import WORDS, Material, material_of, put_choice, put_objective
from training.pace import forecast_of
from training.plan import DataFacts, Plan
from training.recipe import Because, Method, Recipe
from training.trackers import tracker_problems
from workspace.artefact import hashes, read_artefact
from workspace.errors import InputError, Problem, Refusal
from workspace.folder import Project
from workspace.settings import Settings, TrainingSettings

CLOSING = 4
"""Tokens that a chat template may put around an answer."""
ROUND = 8
HIGH_RANK = 64
"""From here on the scale is alpha over the root of the rank."""


def make_plan(project: Project, settings: Settings, tokenizer: Tokenizer, *, machine: Machine | None = None) -> Plan:
    """The plan for the newest complete dataset. Nothing is written: see `plan.keep_plan`.

    Raises Refusal where the advice or a frozen dataset is missing, and where nothing fits this machine.
    """
    if problems := tracker_problems(settings.training.report_to):
        raise InputError(problems, "[training] report_to")
    decision = _decision(project)
    folder = newest_dataset(project, complete=True)
    if folder is None:
        raise Refusal("No plan: no frozen dataset with a train split.", "rung data freeze")
    here = machine or this_machine()
    draft = Draft()
    base = settings.model.base
    architecture = architecture_of(base)
    _method(draft, settings.training, decision, here)
    material = _material(draft, project, settings, folder)
    objective = settings.training.objective
    facts = facts_of(draft.values["method"], len(material.train), architecture, bool(here.cards), objective)
    _adapter(draft, settings.training, facts, architecture)
    lengths = [
        [token_length(tokenizer, row, settings.training.system_prompt) for row in item] for item in material.train
    ]
    _lengths(draft, settings.training, [max(item) for item in lengths], architecture)
    data = _facts(tokenizer, material, lengths, draft.values["max_length"])
    draft.put("learning_rate", *learning_rate(facts, architecture))
    draft.override("learning_rate", settings.training.learning_rate)
    put_objective(draft, project, settings, facts, data)
    _batch(draft, settings.training, data, facts)
    _rest(draft, settings, data, facts)
    recipe = _fitted(_recipe(base, draft), draft, here, data.answer, usable_of(project))
    return Plan(
        made_from=hashes(project.root, project.decision_file, folder / "manifest.json"),
        id="",
        dataset=folder.name,
        decision=decision.next_step,
        base_fingerprint=_fingerprint(base),
        recipe=recipe,
        because=draft.reasons,
        data=data,
        forecast=forecast_of(project, recipe, data, here, elsewhere=machine is not None and bool(machine.cards)),
        notes=[*warnings(recipe, draft.reasons, facts), *material.notes, *_left_out(recipe, data)],
    )


def _material(draft: Draft, project: Project, settings: Settings, folder: Path) -> Material:
    """What the objective trains on, with the objective put down."""
    objective = settings.training.objective
    by_person = objective != "sft"
    draft.put("objective", objective, Because(text=WORDS[objective], rule="objective"))
    draft.override("objective", objective if by_person else None)
    material = material_of(project, settings, folder, objective)
    draft.values["signals"] = material.signals
    return material


def _recipe(base: str, draft: Draft) -> Recipe:
    """The recipe. Raises InputError with every combination that does not work."""
    try:
        return Recipe(base=base, **draft.values)
    except ValidationError as error:
        problems = [
            Problem(str(d["ctx"]["error"]) if "ctx" in d else f"{d['loc']}: {d['msg']}") for d in error.errors()
        ]
        raise InputError(problems, "rung plan --method lora --objective sft") from error


def token_length(tokenizer: Tokenizer, example: Example, system_prompt: str | None) -> int:
    """Tokens of a whole row: the rendered question, the answer, and what the template puts behind it."""
    from training.run.rows import with_system

    asked = tokenizer.render(with_system(example.asked, system_prompt))
    return tokenizer.count(asked) + tokenizer.count(example.answer or "") + CLOSING


def _decision(project: Project) -> Decision:
    if not project.decision_file.is_file():
        raise Refusal("No plan: there is no advice yet.", "rung advise")
    return read_artefact(project.decision_file, Decision)


def _method(draft: Draft, set_by: TrainingSettings, decision: Decision, here: Machine) -> None:
    advised = _advised(decision)
    draft.put("method", advised, Because(text="as advised", rule="decision-method"))
    if advised == "qlora" and not here.cards:
        text = "on a CPU 4 bit saves little and costs accuracy"
        draft.put("method", "lora", Because(text=text, rule="no-4-bit-on-cpu", source=("rung-measured",)))
    draft.override("method", set_by.method or None)
    quantised = draft.values["method"] in QUANTISED
    reason = "4 bit under the adapter" if quantised else "weights as they are"
    draft.put("quantisation", "nf4" if quantised else "none", Because(text=reason, rule="decision-method"))


def _advised(decision: Decision) -> Method:
    name = str((decision.model_dump().get("method") or {}).get("name") or "lora")
    known: dict[str, Method] = {"qlora": "qlora", "full": "full"}
    return known.get(name, "lora")


def _adapter(draft: Draft, set_by: TrainingSettings, facts: dict[str, Any], architecture: Architecture | None) -> None:
    """Size and place of what is trained beside the frozen weights."""
    method = facts["method"]
    if method in VIRTUAL:
        draft.put("virtual_tokens", *value("virtual_tokens", facts))
        draft.override("virtual_tokens", set_by.virtual_tokens)
    if method == "ia3":
        names = ",".join(architecture.ia3) if architecture and architecture.ia3 else "default"
        text = "one scale for each key, value and feed-forward unit"
        draft.put("targets", names, Because(text=text, rule="ia3-targets", source=("peft",)))
    if method in LOW_RANK:
        _low_rank(draft, set_by, facts)


def _low_rank(draft: Draft, set_by: TrainingSettings, facts: dict[str, Any]) -> None:
    draft.put("rank", *value("rank", facts))
    draft.override("rank", set_by.rank)
    plain = facts["method"] in ("lora", "qlora")
    high = facts["method"] == "rslora" or (plain and draft.values["rank"] >= HIGH_RANK)
    text = "as the method says" if facts["method"] == "rslora" else f"rank-stabilised from rank {HIGH_RANK}"
    draft.put("rslora", high, Because(text=text, rule="plain-high-rank", source=("peft-bench",)))
    fixed, why = value("alpha", {**facts, "method": "rslora"} if high else facts)
    draft.put("alpha", fixed if high else 2 * draft.values["rank"], why)
    draft.override("alpha", set_by.alpha)
    draft.put("targets", *value("targets", facts))
    draft.override("targets", set_by.targets)
    draft.put("dropout", *value("dropout", facts))
    draft.override("dropout", set_by.dropout)


def _lengths(draft: Draft, set_by: TrainingSettings, lengths: Sequence[int], architecture: Architecture | None) -> None:
    longest = -(-max(lengths) // ROUND) * ROUND
    limit = architecture.context if architecture else longest
    text = f"the longest row has {max(lengths)} tokens"
    draft.put("max_length", max(8, min(longest, limit)), Because(text=text, rule="max_length"))
    draft.override("max_length", set_by.max_length)


def _facts(tokenizer: Tokenizer, material: Material, lengths: list[list[int]], limit: int) -> DataFacts:
    """What was counted. A pair counts once as a row, and with the tokens of both its answers."""
    longest = [max(item) for item in lengths]
    return DataFacts(
        train=len(material.train),
        validation=len(material.validation),
        longest=max(longest),
        median=sorted(longest)[len(longest) // 2],
        answer=max(tokenizer.count(row.answer or "") for item in material.train for row in item),
        tokens=sum(sum(item) for item in lengths if max(item) <= limit),
        left_out=[number for number, length in enumerate(longest, 1) if length > limit],
    )


def _batch(draft: Draft, set_by: TrainingSettings, data: DataFacts, facts: dict[str, Any]) -> None:
    rows = data.train - len(data.left_out)
    if rows < 1:
        raise Refusal(f"No row is within max_length = {draft.values['max_length']} tokens.", "rung plan")
    draft.put("batch", *value("effective_batch", facts))
    draft.override("batch", set_by.batch)
    if facts["objective"] in REINFORCED:
        _whole_groups(draft)
    _processes(draft, set_by)
    per_epoch = math.ceil(rows * max(1, draft.values.get("generations", 1)) / draft.values["batch"])
    draft.put("epochs", *value("epochs", facts))
    draft.override("epochs", set_by.epochs)
    steps = math.ceil(draft.values["epochs"] * per_epoch)
    draft.put("steps", steps, Because(text=f"{draft.values['epochs']:g} x {per_epoch}", rule="your-data"))


def _processes(draft: Draft, set_by: TrainingSettings) -> None:
    """One, or as many as a person says: then they share the rows of a step equally."""
    text = "one device; several, each with the whole model: [training] processes"
    draft.put("processes", 1, Because(text=text, rule="one-process"))
    draft.override("processes", set_by.processes)
    rows, processes = draft.values["batch"], draft.values["processes"]
    if rows % processes:
        problem = Problem(f"processes = {processes}: {rows} rows a step cannot be shared equally.")
        raise InputError([problem], f"--set batch={-(-rows // processes) * processes}")


def _whole_groups(draft: Draft) -> None:
    """A step holds whole groups of answers to one question."""
    group, batch = draft.values["generations"], draft.values["batch"]
    if batch % group:
        text = f"{group} answers to a question, {-(-batch // group)} questions a step"
        draft.put("batch", -(-batch // group) * group, Because(text=text, rule="whole-groups"))


def _rest(draft: Draft, settings: Settings, data: DataFacts, facts: dict[str, Any]) -> None:
    draft.put("grad_norm", *value("gradient_clip", facts))
    draft.override("grad_norm", settings.training.grad_norm)
    draft.put("evals", *evals_for(facts, data.train, data.validation))
    draft.override("evals", settings.training.evals)
    put_choice(draft, settings, facts, data)
    draft.put("attention", *value("attention", {**facts, "max_length": draft.values["max_length"]}))
    _packing(draft, settings.training, facts)
    for name in ("schedule", "warmup", "weight_decay", "patience", "keep_last"):
        draft.put(name, *value(name, facts))
        draft.override(name, getattr(settings.training, name, None))
    draft.values["seed"] = settings.training.seed
    draft.values["precision"] = settings.training.precision
    draft.values["threads"] = settings.model.threads
    draft.values["report_to"] = settings.training.report_to
    draft.override("system_prompt", settings.training.system_prompt)


def _packing(draft: Draft, set_by: TrainingSettings, facts: dict[str, Any]) -> None:
    """Rows of a batch in one line: only under attention that takes each row by itself."""
    draft.put("packing", *value("packing", facts))
    if not set_by.packing:
        return
    draft.override("packing", True)
    text = "packed rows must not see each other: attention of variable length, row by row"
    draft.put("attention", ROW_BY_ROW, Because(text=text, rule="packing", source=("rung-measured",)))


def _fitted(recipe: Recipe, draft: Draft, here: Machine, answer: int, usable: float) -> Recipe:
    """The recipe with the largest batch that fits, the rest accumulated; then with checkpointing. The step stays:
    where nothing fits too, the processes share its rows.
    """
    wanted = recipe.batch // recipe.processes
    recipe = recipe.model_copy(update={"batch": wanted})
    may_checkpoint = () if recipe.method == "prefix" else (True,)
    for checkpointing in (False, *may_checkpoint):
        for batch in [n for n in range(wanted, 0, -1) if wanted % n == 0]:
            shaped = {"batch": batch, "accumulation": wanted // batch, "checkpointing": checkpointing}
            tried = recipe.model_copy(update=shaped)
            fit = fit_of(tried, here, answer=answer, usable=usable)
            if fit is None or fit.fits:
                if batch != wanted or checkpointing:
                    draft.reasons["accumulation"] = Because(text=f"{wanted} rows at once do not fit", rule="plan-fits")
                return tried
    return recipe


def _fingerprint(base: str) -> str:
    from chat.local.load import find_model, fingerprint

    place, hub = find_model(base)
    return "" if hub else fingerprint(Path(place))


def _left_out(recipe: Recipe, data: DataFacts) -> list[str]:
    if not data.left_out:
        return []
    some = ", ".join(str(n) for n in data.left_out[:5])
    return [f"{len(data.left_out)} rows are over {recipe.max_length} tokens and left out: train line {some}"]
