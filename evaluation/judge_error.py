"""How far a judge may be believed: its verdicts beside people's on a random subset, and its mean once corrected.

Corrected mean: the judge's mean over all items plus human-minus-judge on the subset, with the error of both in the
interval (prediction-powered inference; Angelopoulos et al. 2023, arXiv:2301.09633). Bar: lower bounds of sensitivity
and specificity, of at least .8; below it the judge is ignored, and the reason said. Items that hang together (`groups`
names each item's) count as one, by their mean, as in the verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evaluation.compare import CONFIDENCE, deviation, t_quantile
from evaluation.intervals import score_interval
from evaluation.judge_report import Judged

BAR = 0.8
Groups = Mapping[int, str] | None
NEEDED = 80
"""Human yes and human no that show a judge with a true rate of about .9 to be above the bar."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What a judgement's number means: it lies in `least`..1, is a yes from `yes` on and a no up to `no`."""

    least: float
    yes: float
    no: float

    def is_yes(self, value: float) -> bool:
        """Good enough, or preferred."""
        return value >= self.yes - 1e-9

    def is_no(self, value: float) -> bool:
        """Not good enough, or the other one is preferred."""
        return value <= self.no + 1e-9


RUBRIC = Scale(0.0, 1.0, 0.0)
PAIRS = Scale(-1.0, 1e-6, -1e-6)


def graded_scale(good: int) -> Scale:
    """For 1 to 5, of which `good` and more is a yes."""
    return Scale(0.0, (good - 1) / 4, (good - 1) / 4 - 1e-6)


def calibrated(
    arm: str,
    judge: Mapping[int, float | bool | None],
    people: Mapping[int, float | bool],
    scale: Scale = RUBRIC,
    confidence: float = CONFIDENCE,
    groups: Groups = None,
) -> Judged:
    """The judge's verdicts on an arm by item, beside people's on a random subset.

    A reply that could not be read counts as the least. Raises ValueError where people judged an item the judge did not.
    """
    unknown = sorted(people.keys() - judge.keys())
    if unknown:
        raise ValueError(f"{arm}: people judged items that the judge did not: {', '.join(map(str, unknown[:5]))}")
    said = {item: scale.least if answer is None else float(answer) for item, answer in judge.items()}
    yes, no = [i for i in people if scale.is_yes(people[i])], [i for i in people if scale.is_no(people[i])]
    right_yes, right_no = sum(scale.is_yes(said[i]) for i in yes), sum(scale.is_no(said[i]) for i in no)
    low_yes = _rate_low({i: scale.is_yes(said[i]) for i in yes}, groups)
    low_no = _rate_low({i: scale.is_no(said[i]) for i in no}, groups)
    used = low_yes >= BAR and low_no >= BAR
    result = Judged(
        arm=arm,
        n=len(said),
        labelled=len(people),
        raw=math.fsum(said.values()) / max(1, len(said)),
        sensitivity=right_yes / len(yes) if yes else None,
        sensitivity_low=low_yes,
        specificity=right_no / len(no) if no else None,
        specificity_low=low_no,
        used=used,
        why="" if used else _why(low_yes, low_no, len(yes), len(no)),
    )
    return result.model_copy(update=_corrected(said, people, scale.least, confidence, groups)) if used else result


def _rate_low(right: Mapping[int, bool], groups: Groups) -> float:
    """The lower 95% bound of a rate; 0 where there is no item."""
    units = list(_units({i: float(each) for i, each in right.items()}, groups).values())
    return score_interval(units)[0] if units else 0.0


def _units(values: Mapping[int, float], groups: Groups) -> dict[str, float]:
    """The mean of each group; an item without one stands for itself."""
    found: dict[str, list[float]] = {}
    for item, value in values.items():
        name = None if groups is None else groups.get(item)
        found.setdefault(f"item {item}" if name is None else f"group {name}", []).append(value)
    return {name: math.fsum(each) / len(each) for name, each in found.items()}


def _why(low_yes: float, low_no: float, yes: int, no: int) -> str:
    parts = [f"{name} is at least {low:.2f}" for name, low in (("sensitivity", low_yes), ("specificity", low_no))]
    more = f"; about {NEEDED} of each settle it" if min(yes, no) < NEEDED else ""
    return f"the judge is ignored: {' and '.join(parts)}, both must be {BAR} (people said yes {yes}, no {no}{more})"


def _corrected(
    judge: Mapping[int, float], people: Mapping[int, float | bool], least: float, confidence: float, groups: Groups
) -> dict[str, float]:
    return _around(judge, {i: float(people[i]) - judge[i] for i in people}, least, confidence, groups)


def corrected_difference(
    tuned: Mapping[int, float | bool],
    rival: Mapping[int, float | bool],
    people: Mapping[int, tuple[float | bool, float | bool]],
    confidence: float = CONFIDENCE,
    groups: Groups = None,
) -> dict[str, float]:
    """Tuned minus rival over paired items, corrected by the items on which people judged both; with `low`, `high`."""
    every = {i: float(tuned[i]) - float(rival[i]) for i in tuned}
    gaps = {i: (float(a) - float(b)) - every[i] for i, (a, b) in people.items()}
    if len(gaps) < 2:
        raise ValueError("people must have judged both outputs of at least two items")
    return _around(every, gaps, -1.0, confidence, groups)


def _around(
    every: Mapping[int, float], gaps: Mapping[int, float], least: float, confidence: float, groups: Groups
) -> dict[str, float]:
    """The corrected mean over items; its interval over groups, where there are some: both errors, what they share
    (labelled items are among all items), and the padding of the verdict's own method on the smaller sample.
    """
    mean = math.fsum(every.values()) / len(every) + math.fsum(gaps.values()) / len(gaps)
    all_units, gap_units = _units(every, groups), _units(gaps, groups)
    whole, some = list(all_units.values()), list(gap_units.values())
    centre = mean if groups is None else math.fsum(whole) / len(whole) + math.fsum(some) / len(some)
    padded = [*some, 1.0, -1.0]
    shared = max(0.0, _covariance([all_units[name] for name in gap_units], some)) / len(whole)
    error = math.sqrt(deviation(whole) ** 2 / len(whole) + deviation(padded) ** 2 / len(padded) + 2 * shared)
    half = t_quantile(len(some) + 1, (1 + confidence) / 2) * error
    low, high = (min(1.0, max(least, end)) for end in (centre - half, centre + half))
    return {"corrected": min(1.0, max(least, mean)), "low": low, "high": high}


def _covariance(some: Sequence[float], others: Sequence[float]) -> float:
    mean, other = math.fsum(some) / len(some), math.fsum(others) / len(others)
    return math.fsum((a - mean) * (b - other) for a, b in zip(some, others, strict=True)) / max(1, len(some) - 1)


def length_bias(
    judge: Mapping[int, float], people: Mapping[int, float | bool], lengths: Mapping[int, int]
) -> float | None:
    """How much more the judge favours the longer half than people do, in score points, on the items people judged.

    None where fewer than 20 were judged, or their outputs are all of one length.
    """
    if len(people) < 20:
        return None
    middle = sorted(lengths[i] for i in people)[len(people) // 2]
    long, short = [i for i in people if lengths[i] > middle], [i for i in people if lengths[i] <= middle]
    if not long or not short:
        return None

    def lean(values: Mapping[int, float | bool]) -> float:
        means = [math.fsum(float(values[i]) for i in some) / len(some) for some in (long, short)]
        return means[0] - means[1]

    return lean(judge) - lean(people)
