"""What a test set can show, in words."""

from __future__ import annotations

from curation.manifest import SHOWS_NOTHING, SMALL_TEST
from evaluation.power import Power
from evaluation.verdict import FEWEST_CLUSTERS
from rung.report.figures import level


def small_words(items: int) -> str:
    """What a small test set cannot show, before anything is measured; empty for one that is large enough."""
    if items < SHOWS_NOTHING:
        return "which show no gain"
    return "large gains only" if items < SMALL_TEST else ""


def lines(power: Power) -> list[str]:
    """The sentence, the table, and what to do with it."""
    margin = f"{100 * power.margin:.3g}"
    groups = f" in {power.groups:,} groups" if power.groups is not None else ""
    rows = [
        f"{power.n:,} items{groups} can show this, 4 times in 5, at a margin of {margin} points, "
        f"{level(power.confidence)} confident:",
        "",
        "Models disagree on   true gain that ships   difference that is seen",
    ]
    for seen in power.seen:
        rows.append(f"{seen.disagreement:>16.0%}   {_points(seen.ships):>20}   {_points(seen.told):>23}")
    if power.groups is not None:
        rows += ["", *_groups(power.groups)]
    rows += ["", *_trainings(power.trainings)]
    return [*rows, "", "More items: rung data import FILE --as test, then freeze again."]


def _trainings(trainings: int) -> list[str]:
    """That the table is for items alone: how far trainings scatter is seen only once they are measured."""
    if trainings == 1:
        return [
            "For one training. Another seed may score otherwise; how far is not known before",
            "several are measured (rung evaluate --seeds 3).",
        ]
    return [
        f"Of {trainings} trainings it counts the items alone: how far they scatter is not known before",
        "they are measured, and what scatters takes from what is seen.",
    ]


def _groups(groups: int) -> list[str]:
    """Why groups are counted; items beyond them are not."""
    if groups < FEWEST_CLUSTERS:
        return [
            f"Fewer than {FEWEST_CLUSTERS} groups ([dataset] group_by): the verdict is need more data,",
            "whatever is seen.",
        ]
    return [
        "Items of one group ([dataset] group_by) count together, here as if they were",
        "always right or wrong together. The less alike they are, the more is seen.",
        "New groups help more than new items of these.",
    ]


def _points(gain: float | None) -> str:
    return "none" if gain is None else f"{100 * gain:.0f} points"
