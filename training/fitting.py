"""What else of a plan fits the machine that the plan does not fit: the same recipe with a method that needs less."""

from __future__ import annotations

from dataclasses import dataclass

from training.fit import Fit, fit_of
from training.machine import Machine, this_machine
from training.methods import QUANTISED, objections
from training.plan import Plan
from workspace.errors import RungError

LESS = ("lora", "qlora")
"""Methods in the order of their memory, below full fine-tuning."""
RANK = 16
"""Rank of the estimate where the plan has none: full fine-tuning."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A method, and the memory that the plan would need with it."""

    method: str
    fit: Fit


def methods_instead(plan: Plan, usable: float, machine: Machine | None = None) -> list[Choice]:
    """Methods that need less memory than the plan's own and fit the machine (default: this one), the first one nearest
    to what was planned; `usable` is the policy's share of the memory. Empty where the base is unknown or nothing fits.
    """
    recipe, here = plan.recipe, machine or this_machine()
    later = LESS[LESS.index(recipe.method) + 1 :] if recipe.method in LESS else LESS if recipe.method == "full" else ()
    found = []
    for method in later:
        if method in QUANTISED and not here.cards:
            continue  # four bits need a card
        other = recipe.model_copy(update={"method": method, "rank": recipe.rank or RANK})
        if objections(other.model_dump()):
            continue
        try:
            fit = fit_of(other, here, answer=plan.data.answer, usable=usable)
        except RungError:
            continue
        if fit is not None and fit.fits:
            found.append(Choice(method, fit))
    return found
