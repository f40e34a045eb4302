"""Measurement reports: one Report per measurement, and every output with its score."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from curation.example import Example
from evaluation.abstention import Abstention
from workspace.artefact import Artefact, ArtefactPart, read_artefact
from workspace.files import replacing
from workspace.folder import Project, newest, oldest_first

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
    """The log as it was before, by its hash (`curation.split.audit`); empty in one of an older Rung."""
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
