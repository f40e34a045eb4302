"""People compare, blind: the tuned model's output beside the base's and the best prompt's, sides and order by a seed.

Who wrote what is in no sheet; it is worked out again from the plan when the answers are read.
"""

import json
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from curation.review.agreement import krippendorff_alpha
from evaluation.measurement_report import ItemOutcome
from evaluation.people.blinding import Hidden, hidden
from evaluation.verdict.intervals import CONFIDENCE, estimate, t_quantile
from workspace.artefact import Artefact, ArtefactPart

ITEMS = 50
USUAL_SPREAD = 0.8
"""Standard deviation of preferences of -1, 0 and 1 if two thirds are decided: the number of items follows from it."""

Choice = Literal["a", "b", "tie"]


class BlindPlan(Artefact):
    """`human/plan.json`: what is compared, by rival the items. `seed` decides items, order and sides.

    No item is asked against two rivals: the text that is in both would be known as the tuned one.
    """

    run: str
    items: dict[str, list[int]]
    seed: int
    test_sha256: str


@dataclass(frozen=True, slots=True)
class Pairing:
    """One question with two outputs. `tuned_is` and `rival` are never shown before the end."""

    id: int
    item: int
    question: str
    a: str
    b: str
    rival: str
    tuned_is: Literal["a", "b"]

    @property
    def is_same(self) -> bool:
        """True for equal outputs: a tie that nobody needs to be asked about."""
        return self.a.strip() == self.b.strip()

    @property
    def veil(self) -> Hidden:
        """Question, a and b as they are shown at first: personal data and keys masked."""
        return hidden(self.question, self.a, self.b)

    def is_shown_by(self, row: Mapping[str, object]) -> bool:
        """True if a line of a sheet holds both outputs, as they are or masked."""
        return (row.get("a", self.a), row.get("b", self.b)) in ((self.a, self.b), self.veil.texts[1:])

    def shown(self, *, masked: bool = True) -> dict[str, object]:
        """Return the line of a sheet."""
        question, a, b = self.veil.texts if masked else (self.question, self.a, self.b)
        return {"id": self.id, "question": question, "a": a, "b": b, "choice": "", "reason": ""}


class PeoplePreference(ArtefactPart):
    """Tuned against one rival: how often people preferred it. `difference` is wins minus losses as a share, ties 0;
    raters of one item are averaged first, so that the interval counts items. `alpha` is
    Krippendorff's, of two raters or more.
    """

    rival: str
    n: int
    raters: list[str]
    wins: int
    losses: int
    ties: int
    same: int
    difference: float
    low: float
    high: float
    alpha: float | None
    reasons: list[str]


def items_for(half_width: float, spread: float = USUAL_SPREAD) -> int:
    """Return items for an interval of about plus and minus `half_width`."""
    n = 10
    while t_quantile(n + 1, (1 + CONFIDENCE) / 2) * spread / math.sqrt(n) > half_width and n < 100_000:
        n += max(1, n // 50)
    return n


def pairings(
    plan: BlindPlan,
    questions: Sequence[str],
    tuned: Mapping[int, ItemOutcome],
    rivals: Mapping[str, Mapping[int, ItemOutcome]],
) -> list[Pairing]:
    """Return all pairings of a plan, in the order in which they are asked."""
    rng = random.Random(plan.seed)
    drawn = [(item, rival) for rival, items in plan.items.items() for item in items]
    rng.shuffle(drawn)
    made = []
    for number, (item, rival) in enumerate(drawn, 1):
        side: Literal["a", "b"] = rng.choice(("a", "b"))
        mine, other = tuned[item].output, rivals[rival][item].output
        a, b = (mine, other) if side == "a" else (other, mine)
        made.append(Pairing(number, item, questions[item - 1], a, b, rival, side))
    return made


def draw_items(n: int, rivals: Sequence[str], wanted: int, seed: int) -> dict[str, list[int]]:
    """Item numbers (from 1) for each rival, without replacement: `wanted` each, or as many as there are."""
    each = min(wanted, n // len(rivals))
    drawn = random.Random(seed).sample(range(1, n + 1), each * len(rivals))
    return {rival: sorted(drawn[place * each : (place + 1) * each]) for place, rival in enumerate(rivals)}


def write_sheet(made: Sequence[Pairing], *, masked: bool = True) -> str:
    """JSONL for one rater; equal outputs are left out."""
    return "".join(json.dumps(p.shown(masked=masked), ensure_ascii=False) + "\n" for p in made if not p.is_same)


def preferences(
    made: Sequence[Pairing],
    answers: Mapping[str, Mapping[int, tuple[Choice, str]]],
    groups: Mapping[int, str] | None = None,
) -> list[PeoplePreference]:
    """Return the preferences against each rival, from complete sheets by rater; items of one group count together."""
    return [_against(rival, made, answers, groups) for rival in dict.fromkeys(p.rival for p in made)]


def _against(
    rival: str,
    made: Sequence[Pairing],
    answers: Mapping[str, Mapping[int, tuple[Choice, str]]],
    groups: Mapping[int, str] | None,
) -> PeoplePreference:
    pairs = [p for p in made if p.rival == rival]
    asked = [p for p in pairs if not p.is_same]
    votes = {p.id: {name: _sign(p, given[p.id][0]) for name, given in answers.items()} for p in asked}
    flat = [vote for each in votes.values() for vote in each.values()]
    means = [sum(votes[p.id].values()) / len(votes[p.id]) if not p.is_same else 0.0 for p in pairs]
    found = estimate(means, None if groups is None else [groups[p.item] for p in pairs])
    low, high = found.interval()
    reasons = [given[p.id][1] for p in asked for given in answers.values() if given[p.id][1]]
    said = [{name: str(vote) for name, vote in each.items()} for each in votes.values()]
    return PeoplePreference(
        rival=rival,
        n=len(pairs),
        raters=list(answers),
        wins=flat.count(1),
        losses=flat.count(-1),
        ties=flat.count(0),
        same=len(pairs) - len(asked),
        difference=found.mean,
        low=low,
        high=high,
        alpha=krippendorff_alpha(said) if len(answers) > 1 else None,
        reasons=reasons,
    )


def _sign(pairing: Pairing, choice: Choice) -> int:
    return 0 if choice == "tie" else 1 if choice == pairing.tuned_is else -1
