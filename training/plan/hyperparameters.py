"""Values of a plan and the reasons for them: defaults and formulas out of rules/hyperparameters.toml."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NotRequired, TypedDict

from advisor.sizing.architecture import Architecture
from training.plan.recipe import LOW_RANK, Because, Method, Recipe
from workspace.errors import RungError
from workspace.json_types import JsonObject
from workspace.settings import TrainingSettings
from workspace.shipped_rules import rule_file

PERSON = "set by a person"


@dataclass
class PlanDraft:
    """`values` by the recipe's names, and for each that was worked out a reason."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, Because] = field(default_factory=dict)

    def put(self, name: str, value: Any, reason: Because) -> None:
        """Set a value with its reason."""
        self.values[name] = value
        self.reasons[name] = reason

    def override(self, name: str, value: Any) -> None:
        """Take a person's value, where one is set."""
        if value is not None:
            self.put(name, value, Because(text=PERSON, rule="set-by-person", by="person"))

    def put_defaults(self, facts: Mapping[str, Any], set_by: TrainingSettings, *names: str) -> None:
        """Set the defaults for these facts, or a person's values where they are set."""
        for name in names:
            self.put(name, *value(CHECKED.get(name, name), facts))
            self.override(name, getattr(set_by, name, None))


VALIDATION_SHARE = 0.1
"""Most of a run's time that validation may take."""
FORWARD = 1 / 3
"""Cost of a validation row, in training passes: forward without backward."""


SAME = ("rank", "alpha", "learning_rate", "epochs", "dropout", "warmup", "weight_decay", "virtual_tokens", "beta")
CHECKED = {**{name: name for name in SAME}, "grad_norm": "gradient_clip", "batch": "effective_batch"}
"""Values that a person may set, and the entry of rules/hyperparameters.toml that knows their usual range."""


class RunFacts(TypedDict):
    """Facts for rules/hyperparameters.toml; `model_b` in billions and `experts` in a layer, if known."""

    method: Method
    rows: int
    device: str
    objective: str
    model_b: NotRequired[float]
    experts: NotRequired[int]


def facts_of(
    method: Method, rows: int, architecture: Architecture | None, on_card: bool, objective: str = "sft"
) -> RunFacts:
    """Return the facts for the entries' conditions."""
    facts = RunFacts(method=method, rows=rows, device="cuda" if on_card else "cpu", objective=objective)
    if architecture is not None:
        facts["model_b"] = architecture.parameters / 1e9
        facts["experts"] = architecture.experts
    return facts


def value(name: str, facts: Mapping[str, Any]) -> tuple[Any, Because]:
    """Return the default and its reason."""
    found = default_of(name, facts)
    return found.get("default"), because(found)


def default_of(name: str, facts: Mapping[str, Any]) -> JsonObject:
    """Return the first entry of rules/hyperparameters.toml called `name` whose conditions hold for the facts.

    A fact that is not given fails its condition. Raises RungError if no entry holds.
    """
    for entry in rule_file("hyperparameters.toml")["value"]:
        if entry["id"] == name and _holds(entry.get("when", {}), facts):
            return dict(entry)
    raise RungError(f'rules/hyperparameters.toml has no "{name}" for {dict(facts)}.')


def _holds(when: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """True if all conditions are met. A list means any of its values; `{from, below}` is a range."""
    for key, wanted in when.items():
        fact = facts.get(key)
        if fact is None:
            return False
        if isinstance(wanted, list) and fact not in wanted:
            return False
        if isinstance(wanted, dict) and not wanted.get("from", fact) <= fact < wanted.get("below", math.inf):
            return False
    return True


def because(entry: JsonObject, text: str = "") -> Because:
    """Return an entry's reason, with what was counted put in front."""
    reason = f"{text}: {entry['because']}" if text else entry["because"]
    return Because(text=reason, rule=entry["id"], source=tuple(entry["source"]))


def learning_rate(
    facts: Mapping[str, Any], architecture: Architecture | None, breadth: str = "narrow"
) -> tuple[float, Because]:
    """Return the rate: fitted to family and width for low-rank SFT, else the default; half with several jobs."""
    rate, why = _fastest(facts, architecture)
    if breadth != "several":
        return rate, why
    source = (*why.source, "lin-2026")
    text = f"half of {rate:g} ({why.text}): the model has several jobs, and a lower rate forgets less"
    return rate / 2, Because(text=text, rule="learning_rate", source=source)


def _fastest(facts: Mapping[str, Any], architecture: Architecture | None) -> tuple[float, Because]:
    formula = next(entry for entry in rule_file("hyperparameters.toml")["formula"] if entry["id"] == "learning_rate")
    family = architecture.family if architecture else ""
    power = next((p for name, p in formula["power"].items() if family.startswith(name)), None)
    fitted = facts["method"] in LOW_RANK and facts["objective"] == "sft"
    if architecture is None or power is None or not fitted:
        return value("learning_rate", facts)
    rate = formula["base"] * formula["lora"] * (2000 / architecture.hidden) ** power
    text = f"fitted for {family} at hidden size {architecture.hidden}; a smaller model bears more"
    return float(f"{rate:.1e}"), Because(text=text, rule="learning_rate", source=tuple(formula["source"]))


def evals_for(facts: Mapping[str, Any], train_rows: int, validation_rows: int) -> tuple[int, Because]:
    """Return evaluations an epoch: the default, or fewer so that they take a tenth of the time."""
    found = default_of("evaluate", facts)
    most = int(VALIDATION_SHARE * train_rows / max(1.0, FORWARD * validation_rows))
    if most >= found["default"]:
        return int(found["default"]), because(found)
    return max(1, most), because(found, f"{max(1, most)} with {validation_rows} validation rows, a tenth of the time")


def warnings(recipe: Recipe, because_of: Mapping[str, Because], facts: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each value that looks wrong; the values stay."""
    method = "rslora" if recipe.rslora else recipe.method
    known = {**facts, **recipe.model_dump(), "effective_batch": recipe.rows_a_step, "method": method}
    checks = rule_file("hyperparameters.toml")["check"]
    said = [f"{check['text']} [{check['id']}]" for check in checks if _holds(check["when"], known)]
    for name, entry in CHECKED.items():
        reason = because_of.get(name)
        if reason is not None and reason.by == "person":
            said += _outside(name, known.get(entry, known.get(name)), entry, known)
    return said


def _outside(name: str, set_to: Any, entry: str, facts: Mapping[str, Any]) -> list[str]:
    """Return the table's warnings on a person's value: outside its range, or none of its choices."""
    try:
        found = default_of(entry, facts)
    except RungError:  # the table has nothing for this method
        return []
    if "range" not in found or not isinstance(set_to, int | float):
        return []
    low, high = found["range"]
    if low <= set_to <= high:
        return []
    return [f"{name} = {set_to:g} is outside {low:g} to {high:g}: {found['because']} [{found['id']}]"]
