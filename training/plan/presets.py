"""A whole set of values under one name: `rung plan --preset source` is the source's own snippet, as it runs today."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from training.plan.recipe import Because, Recipe
from workspace.errors import InputError, Problem, did_you_mean
from workspace.shipped_rules import rule_file

SETTINGS = ("method", "rank", "alpha", "dropout", "targets", "epochs", "batch", "learning_rate")
"""Values of a preset that are settings of the same name."""


def preset_values(name: str) -> dict[str, str]:
    """`[training]` settings of a preset, as texts. Raises InputError for an unknown name."""
    entry = _entry(name)
    found = {key: _text(entry[key]) for key in SETTINGS if key in entry}
    if entry.get("evaluate") == "epoch":
        found["evals"] = "1"
    return found


def preset_reasons(name: str, recipe: Recipe, because: Mapping[str, Because]) -> dict[str, Because]:
    """The reasons, with the preset named for each value that the recipe has from it."""
    reason = Because(text=f"preset {name}", rule=f"preset-{name}", by="person", source=tuple(_entry(name)["source"]))
    kept = {key for key, value in preset_values(name).items() if _same(getattr(recipe, key), value)}
    return {key: reason if key in kept else why for key, why in because.items()}


def preset_notes(name: str) -> list[str]:
    """What a reader of a plan with this preset should know."""
    entry = _entry(name)
    notes = [f"preset {name}: {entry['note']}"]
    if "log_every" in entry:
        notes.append(f"preset {name} logs every {entry['log_every']} steps; a run here writes every step")
    return notes


def _entry(name: str) -> Mapping[str, Any]:
    known: dict[str, Mapping[str, Any]] = {entry["id"]: entry for entry in rule_file("hyperparameters.toml")["preset"]}
    if name not in known:
        hint = did_you_mean(name, known)
        raise InputError([Problem(f'"{name}" is no preset.{hint}', "--preset", "one of " + ", ".join(known), name)])
    return known[name]


def _same(value: Any, text: str) -> bool:
    """Whether a recipe's value is that of the preset; a batch that does not fit is split and then differs."""
    return float(text) == value if isinstance(value, int | float) else bool(value == text)


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
