"""Default values of a plan from rules/hyperparameters.toml, each with its reason and sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from workspace.errors import RungError, did_you_mean
from workspace.shipped_rules import rule_file


@dataclass(frozen=True, slots=True)
class Default:
    """One value. `value` is None if `rule` computes it; `range` is what passes without a word."""

    id: str
    value: Any
    rule: str
    range: tuple[float, float] | None
    because: str
    source: tuple[str, ...]


def default_of(name: str, facts: Mapping[str, Any] | None = None) -> Default:
    """The first entry called `name` whose conditions hold for `facts` (method, objective, rows, model_b, device).

    A fact that is not given fails its condition. Raises RungError if no entry holds.
    """
    entries = rule_file("hyperparameters.toml")["value"]
    for entry in entries:
        if entry["id"] == name and holds(entry.get("when", {}), facts or {}):
            bounds = entry.get("range")
            value, rule = entry.get("default"), entry.get("rule", "")
            span = (bounds[0], bounds[1]) if bounds else None
            return Default(name, value, rule, span, entry["because"], tuple(entry["source"]))
    hint = did_you_mean(name, {entry["id"] for entry in entries})
    raise RungError(f'rules/hyperparameters.toml has no "{name}" for {dict(facts or {})}.{hint}')


def warnings_of(facts: Mapping[str, Any]) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
    """Return (id, sentence, sources) of every check of the plan whose conditions are met."""
    found = [c for c in rule_file("hyperparameters.toml")["check"] if holds(c["when"], facts)]
    return tuple((c["id"], c["text"], tuple(c["source"])) for c in found)


def holds(when: Mapping[str, Any], facts: Mapping[str, Any]) -> bool:
    """True if all conditions are met. A list means any of its values; `{from, below}` is a range."""
    return all(_holds(wanted, facts.get(key)) for key, wanted in when.items())


def _holds(wanted: Any, value: Any) -> bool:
    if value is None:
        return False
    if isinstance(wanted, dict):
        return bool(wanted.get("from", value) <= value and ("below" not in wanted or value < wanted["below"]))
    return value in wanted if isinstance(wanted, list) else bool(value == wanted)
