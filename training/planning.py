"""Working out a plan: decision, frozen rows, model and machine in; every value with its reason out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from advisor.decision import Decision
from advisor.sizing.architecture import Architecture
from chat.protocols import Tokenizer
from curation.example import Example
from curation.manifest import load_split, newest_dataset
from training.fit import architecture_of, fit_of
from training.hyperparameters import evals_for, facts_of, learning_rate, value, warnings
from training.machine import Machine, this_machine
from training.pace import seconds_for
from training.plan import DataFacts, Forecast, Plan
from training.recipe import Because, Method, Recipe
from workspace.artefact import hashes, read_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings, TrainingSettings

CLOSING = 4
"""Tokens that a chat template may put around an answer."""
ROUND = 8
PERSON = "set in rung.toml"
HIGH_RANK = 64
"""From here on the scale is alpha over the root of the rank."""


@dataclass
class _Draft:
    """Values and reasons as they are found."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, Because] = field(default_factory=dict)

    def put(self, name: str, value: Any, reason: Because) -> None:
        self.values[name] = value
        self.reasons[name] = reason

    def override(self, name: str, value: Any) -> None:
        """Take a person's value, where one is set."""
        if value is not None:
            self.put(name, value, Because(text=PERSON, rule="set-by-person", by="person"))


def make_plan(project: Project, settings: Settings, tokenizer: Tokenizer, *, machine: Machine | None = None) -> Plan:
    """The plan for the newest complete dataset. Nothing is written: see `plan.keep_plan`.

    Raises Refusal where the advice or a frozen dataset is missing, and where nothing fits this machine.
    """
    decision = _decision(project)
    folder = newest_dataset(project, complete=True)
    if folder is None:
        raise Refusal("No plan: no frozen dataset with a train split.", "rung data freeze")
    here = machine or this_machine()
    draft = _Draft()
    base = settings.model.base
    architecture = architecture_of(base)
    _method(draft, settings.training, decision, here)
    train, validation = load_split(folder, "train"), load_split(folder, "validation")
    facts = facts_of(draft.values["method"], len(train), architecture, bool(here.cards))
    _adapter(draft, settings.training, facts)
    lengths = [token_length(tokenizer, row, settings.training.system_prompt) for row in train]
    _lengths(draft, settings.training, lengths, architecture)
    data = _facts(tokenizer, train, validation, lengths, draft.values["max_length"])
    draft.put("learning_rate", *learning_rate(facts, architecture))
    draft.override("learning_rate", settings.training.learning_rate)
    _batch(draft, settings.training, data, facts)
    _rest(draft, settings, data, facts)
    recipe = _fitted(Recipe(base=base, **draft.values), draft, here)
    return Plan(
        made_from=hashes(project.root, project.decision_file, folder / "manifest.json"),
        id="",
        dataset=folder.name,
        decision=decision.next_step,
        base_fingerprint=_fingerprint(base),
        recipe=recipe,
        because=draft.reasons,
        data=data,
        forecast=_forecast(project, recipe, data, here),
        notes=[*warnings(recipe, draft.reasons, facts), *_left_out(recipe, data)],
    )


def token_length(tokenizer: Tokenizer, example: Example, system_prompt: str | None) -> int:
    """Tokens of a whole row: the rendered question, the answer, and what the template puts behind it."""
    from training.run.rows import with_system

    asked = tokenizer.render(with_system(example.asked, system_prompt))
    return tokenizer.count(asked) + tokenizer.count(example.answer or "") + CLOSING


def _decision(project: Project) -> Decision:
    if not project.decision_file.is_file():
        raise Refusal("No plan: there is no advice yet.", "rung advise")
    return read_artefact(project.decision_file, Decision)


def _method(draft: _Draft, set_by: TrainingSettings, decision: Decision, here: Machine) -> None:
    advised = _advised(decision)
    draft.put("method", advised, Because(text="as advised", rule="decision-method"))
    if advised == "qlora" and not here.cards:
        text = "on a CPU 4 bit saves little and costs accuracy"
        draft.put("method", "lora", Because(text=text, rule="no-4-bit-on-cpu", source=("rung-measured",)))
    draft.override("method", set_by.method or None)
    quantised = draft.values["method"] == "qlora"
    reason = "4 bit under the adapter" if quantised else "weights as they are"
    draft.put("quantisation", "nf4" if quantised else "none", Because(text=reason, rule="decision-method"))


def _advised(decision: Decision) -> Method:
    name = str((decision.model_dump().get("method") or {}).get("name") or "lora")
    known: dict[str, Method] = {"qlora": "qlora", "full": "full"}
    return known.get(name, "lora")


def _adapter(draft: _Draft, set_by: TrainingSettings, facts: dict[str, Any]) -> None:
    if facts["method"] == "full":
        return
    draft.put("rank", *value("rank", facts))
    draft.override("rank", set_by.rank)
    high = draft.values["rank"] >= HIGH_RANK
    reason = Because(text=f"rank-stabilised from rank {HIGH_RANK}", rule="plain-high-rank", source=("peft-bench",))
    draft.put("rslora", high, reason)
    fixed, why = value("alpha", {**facts, "method": "rslora"} if high else facts)
    draft.put("alpha", fixed if high else 2 * draft.values["rank"], why)
    draft.override("alpha", set_by.alpha)
    draft.put("targets", *value("targets", facts))
    draft.put("dropout", *value("dropout", facts))


def _lengths(
    draft: _Draft, set_by: TrainingSettings, lengths: Sequence[int], architecture: Architecture | None
) -> None:
    longest = -(-max(lengths) // ROUND) * ROUND
    limit = architecture.context if architecture else longest
    text = f"the longest row has {max(lengths)} tokens"
    draft.put("max_length", max(8, min(longest, limit)), Because(text=text, rule="max_length"))
    draft.override("max_length", set_by.max_length)


def _facts(
    tokenizer: Tokenizer, train: Sequence[Example], validation: Sequence[Example], lengths: list[int], limit: int
) -> DataFacts:
    return DataFacts(
        train=len(train),
        validation=len(validation),
        longest=max(lengths),
        median=sorted(lengths)[len(lengths) // 2],
        answer=max(tokenizer.count(row.answer or "") for row in train),
        tokens=sum(length for length in lengths if length <= limit),
        left_out=[number for number, length in enumerate(lengths, 1) if length > limit],
    )


def _batch(draft: _Draft, set_by: TrainingSettings, data: DataFacts, facts: dict[str, Any]) -> None:
    rows = data.train - len(data.left_out)
    if rows < 1:
        raise Refusal(f"No row is within max_length = {draft.values['max_length']} tokens.", "rung plan")
    draft.put("batch", *value("effective_batch", facts))
    draft.override("batch", set_by.batch)
    per_epoch = math.ceil(rows / draft.values["batch"])
    draft.put("epochs", *value("epochs", facts))
    draft.override("epochs", set_by.epochs)
    steps = math.ceil(draft.values["epochs"] * per_epoch)
    draft.put("steps", steps, Because(text=f"{draft.values['epochs']:g} x {per_epoch}", rule="your-data"))


def _rest(draft: _Draft, settings: Settings, data: DataFacts, facts: dict[str, Any]) -> None:
    draft.put("grad_norm", *value("gradient_clip", facts))
    draft.put("evals", *evals_for(facts, data.train, data.validation))
    for name in ("schedule", "warmup", "weight_decay", "patience", "keep_last"):
        draft.put(name, *value(name, facts))
    draft.values["seed"] = settings.training.seed
    draft.values["precision"] = settings.training.precision
    draft.values["threads"] = settings.model.threads
    draft.values["report_to"] = settings.training.report_to
    draft.override("system_prompt", settings.training.system_prompt)


def _fitted(recipe: Recipe, draft: _Draft, here: Machine) -> Recipe:
    """The recipe with the largest batch that fits, the rest accumulated; then with checkpointing. The step stays."""
    wanted = recipe.batch
    for checkpointing in (False, True):
        for batch in [n for n in range(wanted, 0, -1) if wanted % n == 0]:
            shaped = {"batch": batch, "accumulation": wanted // batch, "checkpointing": checkpointing}
            tried = recipe.model_copy(update=shaped)
            fit = fit_of(tried, here)
            if fit is None or fit.fits:
                if tried != recipe:
                    draft.reasons["accumulation"] = Because(text=f"{wanted} rows at once do not fit", rule="plan-fits")
                return tried
    return recipe


def _fingerprint(base: str) -> str:
    from chat.local.load import find_model, fingerprint

    place, hub = find_model(base)
    return "" if hub else fingerprint(Path(place))


def _forecast(project: Project, recipe: Recipe, data: DataFacts, here: Machine) -> Forecast:
    fit = fit_of(recipe, here)
    seconds = seconds_for(project, recipe, data)
    return Forecast(
        low=fit and round(fit.low, 2),
        expected=fit and round(fit.expected, 2),
        high=fit and round(fit.high, 2),
        has=round(here.memory_gib, 1),
        where=here.where,
        seconds=seconds,
        cost_usd=0.0,
        because="own machine" if seconds is not None else "own machine; time unknown until a run was measured here",
    )


def _left_out(recipe: Recipe, data: DataFacts) -> list[str]:
    if not data.left_out:
        return []
    some = ", ".join(str(n) for n in data.left_out[:5])
    return [f"{len(data.left_out)} rows are over {recipe.max_length} tokens and left out: train line {some}"]
