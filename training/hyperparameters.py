"""rules/hyperparameters.toml as values with reasons, and the ranges outside which a value is warned of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from training.recipe import Because, Method, Recipe
from workspace.errors import RungError
from workspace.rules import rule_file

FILE = "hyperparameters.toml"


def entry(name: str, method: Method) -> Mapping[str, Any]:
    """The first entry for this value that names the method, or names none.

    Raises RungError where the file has none.
    """
    for found in rule_file(FILE)["value"]:
        if found["name"] == name and method in found.get("method", [method]):
            return dict(found)
    raise RungError(f"rules/{FILE}: no value for {name} of {method}.", "Install rung again.")


def because(found: Mapping[str, Any], text: str = "") -> Because:
    """An entry's reason, with what was counted added in front."""
    return Because(
        text=f"{text}: {found['because']}" if text else found["because"],
        rule=found["id"],
        source=tuple(found["source"]),
    )


def learning_rate(method: Method, family: str, hidden: int) -> tuple[float, Because]:
    """The rate for this width where it was fitted for the family, rounded to two digits; else the plain value."""
    found = entry("learning_rate", method)
    power = found.get("power", {}).get(family)
    if power is None:
        return float(found["value"]), because(found)
    rate = found["base"] * (found["width"] / hidden) ** power
    return float(f"{rate:.1e}"), because(found, f"hidden size {hidden}")


def batch_for(rows: int) -> tuple[int, Because]:
    """Rows of one optimiser step."""
    found = entry("batch", "lora")
    return int(found["many"] if rows >= found["many_rows"] else found["value"]), because(found, f"{rows:,} rows")


def epochs_for(steps_per_epoch: int) -> tuple[int, Because]:
    """Whole passes over the rows that reach the least number of steps, within bounds."""
    found = entry("epochs", "lora")
    wanted = -(-int(found["steps"]) // steps_per_epoch)
    return max(found["least"], min(found["most"], wanted)), because(found, f"{steps_per_epoch} steps a pass")


def warnings(recipe: Recipe) -> list[str]:
    """A sentence for each value outside its range; the value stays."""
    said = []
    for found in rule_file(FILE)["range"]:
        value = getattr(recipe, found["name"])
        if recipe.method in found.get("method", [recipe.method]) and not found["low"] <= value <= found["high"]:
            said.append(
                f"{found['name']} = {value:g}: outside {found['low']:g} to {found['high']:g}; "
                f"{found['because']} ({found['id']})"
            )
    return said
