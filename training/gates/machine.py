"""Gate 6: the plan fits this machine."""

from __future__ import annotations

from training.case import Case
from training.fit import Fit, fit_of
from training.gate import Evidence, Gate, closed, passed, unknown
from training.machine import this_machine

RULE = "plan-fits"
WHY = "a run that does not fit dies half-way"


def machine_gate(case: Case) -> Gate:
    """Estimate the plan's memory again and compare it with what this machine has."""
    if case.plan is None:
        return unknown("machine", "no plan yet", "rung plan", RULE, WHY)
    fit = fit_of(case.plan.recipe, answer=case.plan.data.answer, usable=case.policy.memory)
    if fit is None:
        return unknown("machine", f"no estimate for {case.plan.recipe.base}", "rung estimate", RULE, WHY)
    cards = len(this_machine().cards)
    if cards and case.plan.recipe.processes > cards:
        fact = f"{case.plan.recipe.processes} processes, {cards} card{'s' * (cards > 1)}"
        return closed("machine", fact, "each process needs a card", f"rung plan --set processes={cards}", RULE)
    evidence: Evidence = {"gib": round(fit.expected, 1), "has": round(fit.has, 1)}
    if not fit.fits:
        return closed("machine", _fact(fit), WHY, f"rung estimate --fit {fit.has:.0f}GB", RULE, evidence)
    return passed("machine", _fact(fit), evidence=evidence)


def _fact(fit: Fit) -> str:
    return f"{fit.expected:.1f} GiB planned, {fit.has:.1f} GiB {fit.where}"
