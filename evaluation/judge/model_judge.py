"""A model as judge: what it is asked, how its replies are read, and what of them to believe.

Its verdicts are compared with people's on a random subset, and its mean is corrected by them.

Corrected mean: the judge's mean over all items plus human-minus-judge on the subset, with the error of both in the
interval (prediction-powered inference; Angelopoulos et al. 2023, arXiv:2301.09633). Bar: lower bounds of sensitivity
and specificity, of at least .8; below it the judge is ignored, and the reason said. Items may share a group (`groups`
names each item's): the mean stays that over items, with the verdict's own error over clusters.
"""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from pydantic import model_validator

from chat.protocols import Ask, ChatModel, Progress, Reply
from evaluation.ask import Replies, ask_all
from evaluation.verdict.intervals import CONFIDENCE, TOLERANCE, covariance, estimate, half_width, score_interval
from workspace.artefact import Artefact, ArtefactPart, revised
from workspace.errors import RungError
from workspace.files import read_utf8
from workspace.folder import Project
from workspace.settings import EVERY_TURN, Settings

RUBRIC_FILE = "judge.md"
ROOM = 1024
"""Tokens that a verdict may take where nobody says otherwise: a judge may think first."""
MOST_UNREADABLE = 0.05
"""Share of verdicts that may be unreadable; with more, the scores would say nothing."""


@dataclass(frozen=True, slots=True)
class Case:
    """Input of the judge: a question, the reference answer, and an output."""

    question: str
    expected: str
    output: str


def _unreadable(model: str, lost: Sequence[Reply], asked: int, room: int) -> RungError:
    cut = sum(reply.stopped == "length" for reply in lost)
    refused = sum(reply.stopped == "refused" for reply in lost)
    ways = [f"{n} {what}" for n, what in ((cut, f"cut at {room} tokens"), (refused, "refused")) if n]
    shown = next((reply.text.strip() for reply in lost if reply.text.strip()), "")
    example = f" One of them: {shown[:60]!r}." if shown else ""
    told = f"{len(lost)} of {asked} verdicts of the judge {model} cannot be read{''.join(f' ({w})' for w in ways)}."
    hint = f"[judge] max_tokens = {4 * room} in rung.toml" if cut else "another [judge] base, or a plainer judge.md"
    return RungError(told + example, hint, where="[judge]", expected="YES or NO, or 1 to 5", found=shown)


def _yes_or_no(text: str) -> float | None:
    word = _verdict(r"yes|no", text)
    return None if word is None else float(word == "yes")


def _one_to_five(text: str) -> float | None:
    number = _verdict(r"[1-5](?![\d.,]*\d)", text)
    return None if number is None else (int(number) - 1) / 4


def _verdict(words: str, text: str) -> str | None:
    """Return the word that a reply begins with, or that is all of its last line, in lower case."""
    last = text.strip().rpartition("\n")[2]
    found = re.match(rf"\W*({words})\b", text, re.IGNORECASE) or re.fullmatch(rf"\W*({words})\W*", last, re.IGNORECASE)
    return found[1].lower() if found else None


GRADES: dict[str, tuple[str, Callable[[str], float | None]]] = {
    "rubric": ("Does the answer to judge meet the rubric? Reply with YES or NO.", _yes_or_no),
    "score": (
        "How well does the answer to judge meet the rubric? Reply with a whole number from 1 (not at all) "
        "to 5 (fully).",
        _one_to_five,
    ),
}
"""Kinds of judge ([judge] kind): what each is asked of one output, and how its reply becomes a score in 0..1."""


def grade_ask(kind: str, rubric: str, case: Case, room: int = ROOM) -> Ask:
    """Return the request to grade one output; `kind` is a key of GRADES."""
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{case.question}\n\nReference answer:\n{case.expected}\n\n"
        f"Answer to judge:\n{case.output}\n\n{GRADES[kind][0]}"
    )
    return Ask(({"role": "user", "content": text},), room)


class ModelJudge:
    """A model that grades single items. `unreadable` counts the verdicts that could not be read, `asked` all."""

    def __init__(self, model: ChatModel, kind: str, rubric: str, replies: Replies, room: int = ROOM) -> None:
        self.model, self.kind, self.rubric, self.replies, self.room = model, kind, rubric, replies, room
        self.asked = self.unreadable = 0

    def grade(self, cases: Sequence[Case], watch: Progress | None = None) -> list[float | None]:
        """Grade each case: 0 or 1 for a rubric, 0 to 1 in quarters for a score; None for a reply that cannot be read.

        Raises RungError if over 5% (and more than one) are unreadable.
        """
        asks = [grade_ask(self.kind, self.rubric, case, self.room) for case in cases]
        found = ask_all(self.model, asks, self.replies, watch)
        said = [GRADES[self.kind][1](reply.text) for reply in found]
        lost = [reply for reply, value in zip(found, said, strict=True) if value is None]
        if len(lost) > max(1, MOST_UNREADABLE * len(found)):
            raise _unreadable(self.model.name, lost, len(found), self.room)
        self.asked += len(said)
        self.unreadable += len(lost)
        return said

    def __call__(self, cases: Sequence[Case]) -> list[float]:
        """Return a score a case, in 0..1; a verdict that cannot be read scores 0."""
        return [value or 0.0 for value in self.grade(cases)]

    @property
    def notes(self) -> list[str]:
        """Return the number of verdicts that could not be read; empty if all could."""
        if not self.unreadable:
            return []
        return [f"{self.unreadable} of {self.asked} verdicts of the judge could not be read and count as 0"]


def project_judge(project: Project, settings: Settings, model: ChatModel | None, replies: Replies) -> ModelJudge:
    """Return the judge of rung.toml with judge.md. Raises RungError if one of the two is missing."""
    if model is None:
        raise RungError('metric = "judge" needs a judge: [judge] base.', where="rung.toml")
    path = project.root / RUBRIC_FILE
    rubric = read_utf8(path).strip() if path.is_file() else ""
    if not rubric:
        raise RungError(f"{RUBRIC_FILE} is missing or empty: it says what a good answer is.", where=str(path))
    return ModelJudge(model, settings.judge.kind, rubric, replies, settings.judge.max_tokens)


class JudgedArm(ArtefactPart):
    """One arm as the judge sees it. `raw` is its mean; `corrected` with `low`..`high` only where it may be used.

    `sensitivity` and `specificity` are against people, each with its lower 95% bound; `why` is why it is ignored.
    `length_bias`: how much more the judge favours the longer half of the outputs than people do, on the items that
    people judged; None if that is unknown.
    """

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
    length_bias: float | None = None


class JudgedRival(ArtefactPart):
    """Tuned minus one arm as the judge sees it: `raw`, and, where both are usable, corrected with its interval.

    `clusters` is how many groups people's labels come from, where items share some.
    """

    arm: str
    raw: float
    corrected: float | None = None
    low: float | None = None
    high: float | None = None
    why: str = ""
    clusters: int | None = None


OLDER = ("flipped", "longer")
"""Fields of a report that an older Rung wrote."""


class JudgeReport(Artefact):
    """`evaluations/E-002/judge/judge.json`, and `judge` in verdict.json.

    `model` is the judge by its exact name, `rubric_sha256` of judge.md. `decides` is set where the judge is the primary
    metric. `used` is False, with `why`, where the verdict ignores it. Only an older Rung wrote `pairs`.
    """

    run: str
    kind: Literal["rubric", "score", "pairs"]
    model: str
    rubric_sha256: str
    confidence: float
    decides: bool
    used: bool
    why: str = ""
    arms: list[JudgedArm] = []
    rivals: list[JudgedRival] = []
    raters: list[str] = []
    alpha: float | None = None
    notes: list[str] = []

    @model_validator(mode="before")
    @classmethod
    def _open_older(cls, fields: Any) -> Any:
        """Leave out what is no longer kept."""
        return {key: value for key, value in fields.items() if key not in OLDER} if isinstance(fields, dict) else fields


def by_judge(metric: str | None) -> bool:
    """True if the metric of a report is a judge's score."""
    return (metric or "").removesuffix(EVERY_TURN) == "judge"


BAR = 0.8
Groups = Mapping[int, str] | None
NEEDED = 80
"""Human yes and human no that show a judge with a true rate of about .9 to be above the bar."""


class Corrected(NamedTuple):
    """A mean or difference as people's labels correct it, with its interval."""

    corrected: float
    low: float
    high: float


def calibrated(
    arm: str,
    judge: Mapping[int, float | bool | None],
    people: Mapping[int, float | bool],
    good: float = 1.0,
    confidence: float = CONFIDENCE,
    groups: Groups = None,
) -> JudgedArm:
    """Return the judge's verdicts on an arm by item, beside people's on a random subset.

    A score of `good` and more is a yes. A reply that could not be read counts as 0. Raises ValueError if people
    judged an item the judge did not.
    """
    unknown = sorted(people.keys() - judge.keys())
    if unknown:
        raise ValueError(f"{arm}: people judged items that the judge did not: {', '.join(map(str, unknown[:5]))}")
    said = {item: float(answer or 0.0) for item, answer in judge.items()}
    right = {i: (said[i] >= good - TOLERANCE) == (people[i] >= good - TOLERANCE) for i in people}
    yes, no = ({i: right[i] for i in people if (people[i] >= good - TOLERANCE) == is_yes} for is_yes in (True, False))
    low_yes, low_no = _rate_low(yes, groups), _rate_low(no, groups)
    used = low_yes >= BAR and low_no >= BAR
    more = f"; about {NEEDED} of each settle it" if min(len(yes), len(no)) < NEEDED else ""
    why = (
        f"the judge is ignored: sensitivity is at least {low_yes:.2f} and specificity is at least {low_no:.2f}, both "
        f"must be {BAR} (people said yes {len(yes)}, no {len(no)}{more})"
    )
    result = JudgedArm(
        arm=arm,
        n=len(said),
        labelled=len(people),
        raw=math.fsum(said.values()) / max(1, len(said)),
        sensitivity=sum(yes.values()) / len(yes) if yes else None,
        sensitivity_low=low_yes,
        specificity=sum(no.values()) / len(no) if no else None,
        specificity_low=low_no,
        used=used,
        why="" if used else why,
    )
    if not used:
        return result
    gaps = {i: float(people[i]) - said[i] for i in people}
    return revised(result, **_around(said, gaps, 0.0, confidence, groups)._asdict())


def _rate_low(right: Mapping[int, bool], groups: Groups) -> float:
    """Return the lower 95% bound of a rate; 0 if there is no item."""
    names = _names(right, groups)
    clusters = None if groups is None else list(map(str, names.values()))
    return score_interval([float(each) for each in right.values()], clusters=clusters)[0] if right else 0.0


def _names(items: Iterable[int], groups: Groups) -> dict[int, str]:
    """Return the group of each item; an item without one is a group of its own."""
    known = groups or {}
    return {item: f"group {known[item]}" if item in known else f"item {item}" for item in items}


def corrected_difference(
    tuned: Mapping[int, float | bool],
    rival: Mapping[int, float | bool],
    people: Mapping[int, tuple[float | bool, float | bool]],
    confidence: float = CONFIDENCE,
    groups: Groups = None,
) -> Corrected:
    """Tuned minus rival over paired items, corrected by the items on which people judged both; with `low`, `high`."""
    every = {i: float(tuned[i]) - float(rival[i]) for i in tuned}
    gaps = {i: (float(a) - float(b)) - every[i] for i, (a, b) in people.items()}
    if len(gaps) < 2:
        raise ValueError("people must have judged both outputs of at least two items")
    return _around(every, gaps, -1.0, confidence, groups)


def _around(
    every: Mapping[int, float], gaps: Mapping[int, float], least: float, confidence: float, groups: Groups
) -> Corrected:
    """Return the corrected mean over items, and its interval: the error of the judge's mean over all items, that of the
    gaps on the labelled ones, and twice what they share, since labelled items are among all items.
    """
    names = _names(every, groups)
    whole = estimate(list(every.values()), list(names.values()), (least, 1.0))
    some = estimate(list(gaps.values()), [names[item] for item in gaps])
    mean = whole.mean + some.mean
    variance = whole.variance + some.variance + 2 * max(0.0, covariance(every, gaps, names))
    half = half_width(variance, min(whole.degrees, some.degrees), confidence)
    low, high = (min(1.0, max(least, end)) for end in (mean - half, mean + half))
    return Corrected(min(1.0, max(least, mean)), low, high)


def length_bias(
    judge: Mapping[int, float], people: Mapping[int, float | bool], lengths: Mapping[int, int]
) -> float | None:
    """Return how much more the judge favours the longer half than people do, in score points, on people's items.

    None if fewer than 20 were judged, or their outputs are all of one length.
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
