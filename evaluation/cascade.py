"""The arm `cascade`: a classifier where it is sure, the best prompt elsewhere, as one arm. Nothing is asked for it.

The classifier answers from the probability on that validation chose for `[evaluation] precision`; the other items have
the answers of the best prompted arm. Chen, Zaharia and Zou 2023 (FrugalGPT).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby

from evaluation.abstention import SureAnswer, SureSplits, threshold
from evaluation.arms.classifiers import CLASSIFIERS
from evaluation.arms.registry import CASCADE
from evaluation.bench import Bench
from evaluation.choose import ArmChoice, best_prompted
from evaluation.measure import Split, mean_score, result
from evaluation.measurement_report import ArmResult, ItemOutcome
from workspace.artefact import revised


def cascade(
    bench: Bench, chosen: Sequence[ArmChoice], outcomes: Sequence[ItemOutcome], sure: Mapping[str, SureSplits]
) -> tuple[ArmResult, list[ItemOutcome]] | None:
    """The arm of the classifier that validation prefers and the best prompted arm among `chosen`, whose outcomes these
    are; None where one of the two is missing or no threshold reaches the precision.
    """
    known = {choice.arm: choice for choice in chosen if not choice.unmeasured and choice.validation is not None}
    first = max(
        (known[arm] for arm in CLASSIFIERS if arm in known and arm in sure),
        key=lambda choice: choice.validation or 0.0,
        default=None,
    )
    then = known.get(best_prompted(chosen) or "")
    at = threshold(sure[first.arm].held, bench.settings.evaluation.precision) if first else None
    if first is None or then is None or at is None:
        return None
    both = {
        arm.arm: {(o.split, o.item): o for o in outcomes if (o.arm, o.form) == (arm.arm, arm.form)}
        for arm in (first, then)
    }
    answers: dict[Split, Sequence[SureAnswer]] = {"validation": sure[first.arm].held, "test": sure[first.arm].test}
    found = [
        _one(both[first.arm][split, answer.item], both[then.arm][split, answer.item], answer.sure >= at)
        for split, each in answers.items()
        for answer in each
        if (split, answer.item) in both[then.arm] and (split, answer.item) in both[first.arm]
    ]
    by_split = {split: list(each) for split, each in groupby(found, key=lambda outcome: outcome.split)}
    validation = mean_score(by_split.get("validation", []))
    settings = {"first": first.arm, "from": at, "then": then.arm, "prompt": then.variant.settings.get("prompt")}
    figures = result(by_split["test"], False, bench.closed, bench.groups)
    forms = {then.form: figures.score}
    return revised(figures, validation=validation, settings=settings, forms=forms), found


def _one(first: ItemOutcome, then: ItemOutcome, sure: bool) -> ItemOutcome:
    """The classifier's answer, or the prompt's, for which the classifier was asked in vain."""
    if sure:
        return revised(first, arm=CASCADE, form=then.form)
    return revised(then, arm=CASCADE, seconds=first.seconds + then.seconds)
