"""A model as judge: rubric or pairwise, checked against people on a random subset, and corrected by it.

Corrected mean: the judge's mean over all items plus human-minus-judge on the subset, with the error of both in the
interval (prediction-powered inference; Angelopoulos et al. 2023, arXiv:2301.09633). Bar: lower bounds of sensitivity
and specificity, of at least .8; below it the judge is ignored, and the reason said.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict

from chat.protocols import Ask, ChatModel, Progress
from evaluation.asking import Replies, ask_all
from evaluation.compare import CONFIDENCE, deviation, t_quantile
from evaluation.intervals import wilson

BAR = 0.8
NEEDED = 80
"""Human yes and human no that show a judge with a true rate of about .9 to be above the bar."""
MAX_TOKENS = 8
Preference = Literal["A", "B", "tie"]


class Judged(BaseModel):
    """One arm as the judge sees it. `raw` is its mean; `corrected` with `low`..`high` only where it may be used.

    `sensitivity` and `specificity` are against people, each with its lower 95% bound; `why` is why it is ignored.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    arm: str
    n: int
    labelled: int
    raw: float
    sensitivity: float | None
    sensitivity_low: float
    specificity: float | None
    specificity_low: float
    used: bool
    why: str = ""
    corrected: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: a question, the reference answer, and an output."""

    question: str
    expected: str
    output: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Preferences between two outputs of each item: 1 for the first, -1 for the second, 0 for a tie.

    `flipped` is the share of items on which the judge followed the place instead of the text (they count as ties);
    `longer` the share of decided items on which the longer output won, None where none was decided.
    """

    preferences: tuple[int, ...]
    flipped: float
    longer: float | None


def rubric_ask(rubric: str, case: Case) -> Ask:
    """Yes or no on one output."""
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{case.question}\n\nReference answer:\n{case.expected}\n\n"
        f"Answer to judge:\n{case.output}\n\nDoes the answer to judge meet the rubric? Reply with YES or NO."
    )
    return Ask(({"role": "user", "content": text},), MAX_TOKENS)


def judge_rubric(
    model: ChatModel, rubric: str, cases: Sequence[Case], replies: Replies, watch: Progress | None = None
) -> list[bool | None]:
    """Yes, no, or None for a reply that is neither."""
    found = ask_all(model, [rubric_ask(rubric, case) for case in cases], replies, watch)
    return [_yes_or_no(reply.text) for reply in found]


def _yes_or_no(text: str) -> bool | None:
    word = re.match(r"\W*(yes|no)\b", text, re.IGNORECASE)
    return word[1].lower() == "yes" if word else None


def judge_pairs(
    model: ChatModel,
    rubric: str,
    first: Sequence[Case],
    second: Sequence[Case],
    replies: Replies,
    watch: Progress | None = None,
) -> Pairs:
    """Ask each pair in both orders; only a preference that survives the exchange counts."""
    pairs = list(zip(first, second, strict=True))
    asks = [_pair_ask(rubric, a, b) for a, b in pairs] + [_pair_ask(rubric, b, a) for a, b in pairs]
    said = [_preference(reply.text) for reply in ask_all(model, asks, replies, watch)]
    there, back = said[: len(pairs)], said[len(pairs) :]
    preferences = [_settled(one, other) for one, other in zip(there, back, strict=True)]
    flips = sum(one == other != "tie" for one, other in zip(there, back, strict=True))
    gaps = [(p, len(a.output) - len(b.output)) for p, (a, b) in zip(preferences, pairs, strict=True)]
    decided = [p * gap > 0 for p, gap in gaps if p and gap]
    return Pairs(tuple(preferences), flips / max(1, len(pairs)), sum(decided) / len(decided) if decided else None)


def _pair_ask(rubric: str, a: Case, b: Case) -> Ask:
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{a.question}\n\nReference answer:\n{a.expected}\n\nAnswer A:\n{a.output}\n\n"
        f"Answer B:\n{b.output}\n\nWhich answer meets the rubric better? Reply with A, B or TIE."
    )
    return Ask(({"role": "user", "content": text},), MAX_TOKENS)


def _preference(text: str) -> Preference:
    word = re.match(r"\W*(a|b|tie)\b", text, re.IGNORECASE)
    return "tie" if word is None or word[1].lower() == "tie" else "A" if word[1].upper() == "A" else "B"


def _settled(there: Preference, back: Preference) -> int:
    if there == "A" and back == "B":
        return 1
    return -1 if there == "B" and back == "A" else 0


def calibrated(arm: str, judge: Mapping[int, bool | None], people: Mapping[int, bool]) -> Judged:
    """The judge's verdicts on an arm by item, beside people's on a random subset.

    A reply that was neither yes nor no counts as no. Raises ValueError where people judged an item the judge did not.
    """
    unknown = sorted(people.keys() - judge.keys())
    if unknown:
        raise ValueError(f"{arm}: people judged items that the judge did not: {', '.join(map(str, unknown[:5]))}")
    said = {item: bool(answer) for item, answer in judge.items()}
    yes, no = [i for i in people if people[i]], [i for i in people if not people[i]]
    right_yes, right_no = sum(said[i] for i in yes), sum(not said[i] for i in no)
    low_yes = wilson(right_yes, len(yes))[0] if yes else 0.0
    low_no = wilson(right_no, len(no))[0] if no else 0.0
    used = low_yes >= BAR and low_no >= BAR
    result = Judged(
        arm=arm,
        n=len(said),
        labelled=len(people),
        raw=sum(said.values()) / max(1, len(said)),
        sensitivity=right_yes / len(yes) if yes else None,
        sensitivity_low=low_yes,
        specificity=right_no / len(no) if no else None,
        specificity_low=low_no,
        used=used,
        why="" if used else _why(low_yes, low_no, len(yes), len(no)),
    )
    return result.model_copy(update=_corrected(said, people)) if used else result


def _why(low_yes: float, low_no: float, yes: int, no: int) -> str:
    parts = [f"{name} is at least {low:.2f}" for name, low in (("sensitivity", low_yes), ("specificity", low_no))]
    more = f"; about {NEEDED} of each settle it" if min(yes, no) < NEEDED else ""
    return f"the judge is ignored: {' and '.join(parts)}, both must be {BAR} (people said yes {yes}, no {no}{more})"


def _corrected(judge: Mapping[int, bool], people: Mapping[int, bool]) -> dict[str, float]:
    every = [float(answer) for answer in judge.values()]
    gaps = [float(people[i]) - float(judge[i]) for i in people]
    centre = math.fsum(every) / len(every) + math.fsum(gaps) / len(gaps)
    return _around(centre, every, gaps, 0.0)


def corrected_difference(
    tuned: Mapping[int, bool], rival: Mapping[int, bool], people: Mapping[int, tuple[bool, bool]]
) -> dict[str, float]:
    """Tuned minus rival over paired items, corrected by the items on which people judged both; with `low`, `high`."""
    every = [float(tuned[i]) - float(rival[i]) for i in tuned]
    gaps = [(float(a) - float(b)) - (float(tuned[i]) - float(rival[i])) for i, (a, b) in people.items()]
    if len(gaps) < 2:
        raise ValueError("people must have judged both outputs of at least two items")
    return _around(math.fsum(every) / len(every) + math.fsum(gaps) / len(gaps), every, gaps, -1.0)


def _around(centre: float, every: Sequence[float], gaps: Sequence[float], least: float) -> dict[str, float]:
    """The interval: both errors, and the padding of the verdict's own method on the smaller sample."""
    padded = [*gaps, 1.0, -1.0]
    error = math.sqrt(deviation(every) ** 2 / len(every) + deviation(padded) ** 2 / len(padded))
    half = t_quantile(len(gaps) + 1, (1 + CONFIDENCE) / 2) * error
    centre = min(1.0, max(least, centre))
    return {"corrected": centre, "low": max(least, centre - half), "high": min(1.0, centre + half)}
