"""Choosing on validation rows: which setting and which form each arm is measured with. The test set stays shut."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel, ConfigDict

from evaluation.arms.arm_material import Variant
from evaluation.arms.prompted import BIGGER_MODEL
from evaluation.bench import Bench
from evaluation.measure import EvalItem, Form, Harness, mean_score, measure, why_unmeasured
from evaluation.measurement_report import ItemOutcome, Setting
from evaluation.metrics.json_documents import INVALID, parse
from workspace.artefact import Artefact, ArtefactPart

SCREEN = 20
"""Items on which the variants of an arm are compared: its best one and both its forms are measured on all of them."""


@dataclass(frozen=True)
class ArmChoice:
    """An arm as validation chose it. `validation` is its score there in `form`, None if there were no rows;
    `tries` what was measured on the way: settings, form and score of each.
    """

    arm: str
    prompted: bool
    variant: Variant
    form: Form
    validation: float | None
    tries: tuple[Tried, ...]
    outcomes: tuple[ItemOutcome, ...] = field(default=(), repr=False)
    unmeasured: str = ""
    """Reason why the score on validation is no measurement; empty if it is one."""

    @property
    def validation_forms(self) -> dict[str, float]:
        """The chosen variant's score in each form, on all validation items."""
        forms = dict.fromkeys(o.form for o in self.outcomes)
        return {form: mean_score([o for o in self.outcomes if o.form == form]) for form in forms}


class Tried(BaseModel):
    """A setting in one form as validation scored it, on how many items."""

    model_config = ConfigDict(frozen=True)
    settings: dict[str, Setting]
    form: Form
    score: float
    items: int = 0


class ChosenArm(ArtefactPart):
    """One line of choices.json."""

    arm: str
    settings: dict[str, Setting]
    form: Form
    validation: float | None
    tries: list[Tried]


class Choices(Artefact):
    """`evaluations/E-001/choices.json`: written, with its time, before the test items are first answered.

    `chosen` is the prompted arm against which a tuned model will be judged, `validation_items` how many rows chose.
    """

    metric: str
    test_sha256: str
    validation_items: int
    validation_rows: list[str]
    chosen: str | None
    arms: list[ChosenArm]


def choose(bench: Bench, arm: str, prompted: bool, variants: Sequence[Variant]) -> ArmChoice:
    """Compare the variants on the first 20 items, held to the closed set where there is one; then both forms of the
    best one on all items. Variants that ask no model are compared on all validation items there are: that costs
    nothing, and few items would choose badly among them.

    Among variants a tie goes to the earlier one. Among forms it goes to the one with fewer failures of form, so that
    what only missed the form on a few rows is not measured by its misses; then to the free one. Without items the first
    variant is taken, untried.
    """
    items, desk = bench.choosing, bench.desk_of(arm)
    forms: tuple[Form, ...] = ("free",) if variants[0].predict else desk.forms
    if not items:
        return ArmChoice(arm, prompted, variants[0], forms[-1], None, ())
    tries: list[Tried] = []

    def attempt(variant: Variant, asked: tuple[Form, ...], some: Sequence[EvalItem]) -> dict[Form, list[ItemOutcome]]:
        found = measure(arm, variant, asked, some, "validation", desk, bench.watch(f"{arm}, choosing"))
        for form, outcomes in found.items():
            score = mean_score(outcomes)
            tried = Tried(settings=dict(variant.settings), form=form, score=score, items=len(some))
            tries.extend([] if tried in tries else [tried])
        return found

    best, last = variants[0], forms[-1]
    if len(variants) > 1:
        screened = bench.validating if best.predict else items[:SCREEN]
        best = max(variants, key=lambda variant: mean_score(attempt(variant, (last,), screened)[last]))
    whole = attempt(best, forms, items)
    form = max(whole, key=lambda each: (mean_score(whole[each]), -misses(whole[each], desk)))
    kept = tuple(outcome for outcomes in whole.values() for outcome in outcomes)
    why = why_unmeasured(whole[form], desk)
    return ArmChoice(arm, prompted, best, form, mean_score(whole[form]), tuple(tries), kept, why)


def misses(outcomes: Sequence[ItemOutcome], desk: Harness) -> int:
    """Count answers that fail by form: outside the possible answers, or no JSON where the metric reads JSON."""
    outputs = [outcome.output.strip() for outcome in outcomes]
    if desk.choices:
        return sum(output not in desk.choices for output in outputs)
    return 0 if desk.shape is None else sum(parse(output) is INVALID for output in outputs)


def best_prompted(choices: Sequence[ArmChoice]) -> str | None:
    """Return the prompted arm on the base model with the best validation score, the lowest rung of equals; without
    validation rows, the highest rung. A tuned model must beat another model too, but that is not what would be
    released. An arm whose replies were lost comes last.
    """
    prompted = [c for c in choices if c.prompted and c.arm != BIGGER_MODEL]
    if not prompted:
        return None
    if all(c.validation is None for c in prompted):
        return prompted[-1].arm
    return max(prompted, key=lambda c: (not c.unmeasured, -1.0 if c.validation is None else c.validation)).arm
