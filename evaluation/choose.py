"""Choosing on validation rows: which setting and which form each arm is measured with. The test set stays shut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict

from chat.protocols import Progress
from evaluation.arms.material import Variant
from evaluation.measure import Desk, Form, Item, mean_score, measure
from evaluation.report import Outcome
from workspace.artefact import Artefact

Watch = Callable[[str], Progress | None]
"""From what is being measured, in words, to a progress line for it."""


@dataclass(frozen=True)
class Choice:
    """An arm as validation chose it. `validation` is its score there in `form`, None where there were no rows;
    `tries` what was measured on the way: settings, form and score of each.
    """

    arm: str
    prompted: bool
    variant: Variant
    form: Form
    validation: float | None
    tries: tuple[dict[str, Any], ...]
    outcomes: tuple[Outcome, ...] = field(default=(), repr=False)


class Chosen(BaseModel):
    """One line of choices.json."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    arm: str
    settings: dict[str, Any]
    form: Form
    validation: float | None
    tries: list[dict[str, Any]]


class Choices(Artefact):
    """`evaluations/E-001/choices.json`: written, with its time, before the test items are first answered.

    `chosen` is the prompted arm against which a tuned model will be judged, `validation_items` how many rows chose.
    """

    metric: str
    test_sha256: str
    validation_items: int
    validation_rows: list[str]
    chosen: str | None
    arms: list[Chosen]


def choose(
    arm: str, prompted: bool, variants: Sequence[Variant], items: Sequence[Item], desk: Desk, watch: Watch
) -> Choice:
    """Try every variant, held to the closed set where there is one; then the best one in the other form.

    A tie goes to the earlier variant and to the free form. Without items the first variant is taken, untried.
    """
    forms: tuple[Form, ...] = ("free",) if variants[0].predict else desk.forms
    if not items:
        return Choice(arm, prompted, variants[0], forms[-1], None, ())
    tries: list[dict[str, Any]] = []

    def attempt(variant: Variant, form: Form) -> tuple[float, Variant, Form, list[Outcome]]:
        outcomes = measure(arm, variant, form, items, "validation", desk, watch(f"{arm}, choosing"))
        score = mean_score(outcomes)
        tries.append({"settings": dict(variant.settings), "form": form, "score": score})
        return score, variant, form, outcomes

    best = max((attempt(variant, forms[-1]) for variant in variants), key=lambda a: a[0])
    others = [attempt(best[1], form) for form in forms[:-1]]
    score, variant, form, _ = max([*others, best], key=lambda a: a[0])
    kept = tuple(outcome for a in (*others, best) for outcome in a[3])
    return Choice(arm, prompted, variant, form, score, tuple(tries), kept)


def best_prompted(choices: Sequence[Choice]) -> str | None:
    """The prompted arm with the best validation score, the lowest rung of equals; unmeasured, the highest rung."""
    prompted = [c for c in choices if c.prompted]
    if not prompted:
        return None
    if all(c.validation is None for c in prompted):
        return prompted[-1].arm
    return max(prompted, key=lambda c: -1.0 if c.validation is None else c.validation).arm
