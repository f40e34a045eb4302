"""Measurement reports: one Report per measurement, and every output with its score.

And what an arm reaches that answers only where it is sure, and leaves the rest to a person: risk and coverage (El-Yaniv
and Wiener 2010; Geifman and El-Yaniv 2017). The threshold is chosen on validation; coverage and precision are those
of the test items.
"""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

from curation.example import Example
from evaluation.verdict.intervals import TOLERANCE, score_interval
from workspace.artefact import Artefact, ArtefactPart, read_artefact
from workspace.counted import interval, money, percent
from workspace.files import replacing, write_text
from workspace.folder import Project, newest, oldest_first

SURE = "sure.jsonl"
"""File of an evaluation with each arm's answers and probabilities, so that a threshold can be chosen again."""
STEPS = 10
"""Points of the curve: coverage from 1/STEPS to 1."""


@dataclass(frozen=True, slots=True)
class SureAnswer:
    """An arm's answer to an item: how sure it is (0..1), and the answer's score (0..1)."""

    item: int
    sure: float
    score: float


@dataclass(frozen=True, slots=True)
class SureSplits:
    """An arm's answers to the validation items and to the test items; none if it gives no probabilities."""

    held: Sequence[SureAnswer] = ()
    test: Sequence[SureAnswer] = ()


class CoveragePoint(ArtefactPart):
    """The items that are answered from a threshold on: their share, their mean score and its 95% interval."""

    threshold: float
    items: int
    coverage: float
    precision: float
    low: float
    high: float


class Abstention(ArtefactPart):
    """Result of an arm on the test items if it answers only when sure.

    `wanted` is the precision that the threshold was chosen for, on `chosen_on` validation items; `point` is None if
    no threshold reached it there, or none of the test items is above it. `curve` needs no threshold. `usd_per_item` is
    what an item costs on average, the people at `person_usd` each counted; None if a price is not known.
    """

    wanted: float
    chosen_on: int
    point: CoveragePoint | None
    curve: list[CoveragePoint]
    person_usd: float | None = None
    usd_per_item: float | None = None

    def words(self) -> str:
        """`71% of items at 98.1% precision (95%: 96.0 to 99.2); a person answers the rest, $0.290 an item in all`."""
        at = self.point
        if at is None:
            return f"no threshold reaches {self.wanted:.0%} precision: a person answers every item{self._price()}"
        rest = f"a person answers the rest{self._price()}" if at.coverage < 1 else "a person answers none"
        missed = f", wanted: {self.wanted:.0%}" if at.precision < self.wanted - 1e-9 else ""
        precise = f"{percent(at.precision)} precision {interval(at.low, at.high, 0.95)}"
        return f"{at.coverage:.0%} of items at {precise}{missed}; {rest}"

    def _price(self) -> str:
        if self.person_usd is None:
            return ", at a cost not counted here ([evaluation] person_usd)"
        if self.usd_per_item is None:
            return "; the price of a call is not known"
        return f", {money(self.usd_per_item, 3)} an item in all"


def abstention(
    held: Sequence[SureAnswer],
    test: Sequence[SureAnswer],
    wanted: float,
    groups: Mapping[int, str] | None = None,
    own_usd: float | None = 0.0,
    person_usd: float | None = None,
) -> Abstention | None:
    """Return the threshold from the validation answers `held`, and what it reaches on `test`; None without either.

    `groups` names the group of each test item where some share one: intervals are over groups then. `own_usd` is what
    the arm costs an item, `person_usd` what a person does.
    """
    if not held or not test:
        return None
    at = threshold(held, wanted)
    ordered = sorted((answer.sure for answer in test), reverse=True)
    steps = dict.fromkeys(ordered[math.ceil(len(ordered) * step / STEPS) - 1] for step in range(1, STEPS + 1))
    point = None if at is None or at > ordered[0] else _point(test, at, groups)
    usd = None
    if person_usd is not None and point is None:
        usd = person_usd
    elif person_usd is not None and point is not None and own_usd is not None:
        usd = own_usd + (1 - point.coverage) * person_usd
    return Abstention(
        wanted=wanted,
        chosen_on=len(held),
        point=point,
        curve=[_point(test, each, groups) for each in steps],
        person_usd=person_usd,
        usd_per_item=usd,
    )


def write_sure(path: Path, found: Mapping[str, SureSplits]) -> list[Path]:
    """Keep each arm's answers, a line an arm: item, probability and score of each. No file without arms."""
    lines = [
        json.dumps({"arm": arm, "held": list(map(astuple, each.held)), "test": list(map(astuple, each.test))})
        for arm, each in found.items()
    ]
    if lines:
        write_text(path, "".join(f"{line}\n" for line in lines))
    return [path] if lines else []


def read_sure(path: Path, arm: str) -> SureSplits:
    """Return an arm's answers; none where they were not kept."""
    for line in map(json.loads, path.read_text().splitlines()):
        if line["arm"] == arm:
            return SureSplits(*([SureAnswer(*each) for each in line[split]] for split in ("held", "test")))
    return SureSplits()


def threshold(answers: Sequence[SureAnswer], wanted: float) -> float | None:
    """Return the lowest probability from which on the mean score is at least `wanted`; None if none is."""
    found, total = None, 0.0
    ordered = sorted(answers, key=lambda answer: -answer.sure)
    for count, answer in enumerate(ordered, 1):
        total += answer.score
        is_last = count == len(ordered) or ordered[count].sure < answer.sure
        if is_last and total / count >= wanted - TOLERANCE:
            found = answer.sure
    return found


def _point(test: Sequence[SureAnswer], at: float, groups: Mapping[int, str] | None) -> CoveragePoint:
    kept = [answer for answer in test if answer.sure >= at]
    scores = [answer.score for answer in kept]
    low, high = score_interval(scores, clusters=None if groups is None else [groups[a.item] for a in kept])
    share, mean = len(kept) / len(test), math.fsum(scores) / len(kept)
    return CoveragePoint(threshold=at, items=len(kept), coverage=share, precision=mean, low=low, high=high)


Setting = str | int | float | list[str] | None
"""A value of an arm's setting."""


class ItemOutcome(ArtefactPart):
    """One item answered by one arm in one form; a line of outputs.jsonl.

    `split` is `test` or `validation`; `item`, `line` and `turn` as in evaluation.measure.EvalItem; `form` is `free` or
    `held` (to the closed set); `score` in 0..1; `stopped`, `why` and `logprob` as in chat.protocols.Reply.
    """

    split: Literal["test", "validation"]
    arm: str
    form: Literal["free", "held"]
    item: int
    line: int = 0
    turn: int = 0
    output: str
    expected: str
    score: float
    seconds: float = 0.0
    input_tokens: int = 0
    output_tokens: int = 0
    stopped: str = "end"
    cost_usd: float | None = 0.0
    why: str = ""
    cached_tokens: int = 0
    logprob: float | None = None

    @property
    def row(self) -> int:
        """The line of its row; reports of an older Rung name it as the item."""
        return self.line or self.item

    def asked(self, rows: Sequence[Example]) -> str:
        """Return the question; `rows` are the split's."""
        return rows[self.row - 1].until(self.turn).question


class ArmResult(ArtefactPart):
    """One arm on the test items. `low`..`high` is its two-sided 95% interval; `score` the mean over n items.

    `form` is the one that validation chose; `forms` holds each measured form's test score and
    `validation_forms` that on the validation rows. `validation` is the score
    that the choice was made on, `tries` how many settings were tried there, `settings` the chosen ones.
    """

    arm: str
    prompted: bool
    form: Literal["free", "held"] = "free"
    n: int
    score: float
    low: float
    high: float
    correct: float
    graded: bool = False
    """True if some score is neither 0 nor 1: then `correct` is a sum, not a count of items."""
    forms: dict[str, float] = {}
    validation: float | None = None
    validation_forms: dict[str, float] = {}
    tries: int = 1
    settings: dict[str, Setting] = {}
    seconds: float = 0.0
    cost_usd: float | None = 0.0
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    """Part of `input_tokens` that was in the provider's prompt cache."""
    shared: float | None = None
    """Share of a prompt, in characters, with which all prompts begin; None if no two were compared."""
    cut: int = 0
    failures: int = 0
    unmeasured: str = ""
    """Reason why the score is no measurement: too many replies were lost (evaluation.measure). Empty if it is one."""
    extra: dict[str, float | None] = {}
    search: list[tuple[int, float]] = []
    """Search of its prompt: answers asked for, and the best score by then on the validation rows of the search."""
    abstention: Abstention | None = None
    """Result if it answers only when sure; None if it gives no probabilities."""
    taken_from: str = ""
    """The report it was measured in, where that is an earlier one."""


def surest(arms: Iterable[ArmResult]) -> ArmResult | None:
    """Return the arm that answers most test items at the wanted precision; None if none has a threshold."""
    known = [(arm.abstention.point.items, arm) for arm in arms if arm.abstention and arm.abstention.point]
    return max(known, key=lambda each: each[0])[1] if known else None


class Report(Artefact):
    """`evaluations/E-001/report.json`. Written last: its existence means that outputs.jsonl is whole.

    `kind` is `baseline` (prompted arms) or `run` (a tuned model, `run` names it). `dataset` and `test_sha256` say on
    which frozen items; reports are comparable only where test_sha256 and metric agree. `chosen` is the prompted arm
    that validation named before the test set was opened.
    """

    id: str
    kind: Literal["baseline", "run"]
    run: str | None = None
    served: str = ""
    """The name by which the run was asked of the baseline's server; empty if its weights were asked here."""
    dataset: str
    test_sha256: str
    model: str
    metric: str
    n: int
    judge: str | None = None
    """The judging model by its exact name, where the metric is `judge`."""
    goal: float | None = None
    arms: list[ArmResult]
    chosen: str | None = None
    outputs_sha256: str = ""
    notes: list[str] = []
    rows_from: list[str] = []
    """Sources of the rows that arms chose on and showed."""
    smallest_difference: float | None = None
    """Between the two best prompted arms: the true difference that these items tell from 0 with 80% chance."""
    stands_on: dict[str, str] = {}
    """Model, and hashes of what else every arm depends on: an arm is joined to a later report only where they agree."""
    asked_with: dict[str, str] = {}
    """Token limit, and of a model on this machine its base and precision, as rung.toml named them: all arms share them.
    """
    versions: int | None = None
    """Versions of the prompt that there were when it was measured; None in reports of an older Rung."""
    vouched_by: str = ""
    """Name of the person who confirmed that the prompts are final."""
    log: str = ""
    """The log as it was before, by its hash (`curation.store.vouching`); empty in one of an older Rung."""
    judged: dict[str, str] = {}
    """The rungs as validation judged them against the goal: what was recorded in answers.toml (measured)."""

    @property
    def scored(self) -> str:
        """Return what was scored: the run, and the name under which a server was asked for it."""
        return scored_as(str(self.run), self.served)


def scored_as(run: str, served: str) -> str:
    """Return the run's name in a test set's scorings. A run on a server counts as another scoring."""
    return f"{run} as {served}" if served else run


def write_outcomes(path: Path, outcomes: Iterable[ItemOutcome]) -> None:
    """Write outputs.jsonl atomically."""
    with replacing(path) as file:
        for outcome in outcomes:
            file.write(outcome.model_dump_json().encode() + b"\n")


def read_outcomes(path: Path) -> list[ItemOutcome]:
    """Read outputs.jsonl."""
    return [ItemOutcome.model_validate(json.loads(line)) for line in path.read_text().split("\n") if line]


def reports(project: Project) -> list[Report]:
    """Return every report, in order."""
    return [read_artefact(path, Report) for path in oldest_first(project.evaluations.glob("*/report.json"))]


def newest_report(
    project: Project, kind: Literal["baseline", "run"], *, run: str | None = None, test_sha256: str | None = None
) -> tuple[Path, Report] | None:
    """Return the newest complete report of a kind (of a run, on a test split), with its folder, or None."""
    for path in reversed(oldest_first(project.evaluations.glob("*/report.json"))):
        report = read_artefact(path, Report)
        if report.kind != kind or (run and report.run != run) or (test_sha256 and report.test_sha256 != test_sha256):
            continue
        return path.parent, report
    return None


def read_report(project: Project, name: str) -> tuple[Path, Report]:
    """Return the report `name` (E-001) with its folder."""
    folder = newest(project.evaluations, "report.json", name, "evaluation")
    assert folder is not None
    return folder, read_artefact(folder / "report.json", Report)
