"""Loss of a form with changed precision: the project's metric on validation, paired with the tuned model."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from chat.protocols import ChatModel
from evaluation.arms.searching import tuned
from evaluation.ask import Replies
from evaluation.bench import clusters_of
from evaluation.judge.grading import project_judge
from evaluation.measure import Harness, items_of, measure
from evaluation.measurement_report import ItemOutcome, write_outcomes
from evaluation.metrics.item_metrics import item_metric
from evaluation.verdict.compare import compare
from evaluation.verdict.intervals import TOLERANCE
from training.release.making import Making
from workspace.artefact import ArtefactPart, now, revised
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import load_settings

FOLDER = "validation"
TUNED = "tuned"


class Allowed(ArtefactPart):
    """The named person who releases a form that loses more than the limit."""

    by: str
    reason: str
    at: datetime


class Loss(ArtefactPart):
    """`tuned` and `score` are means over the same `n` rows, answered in free text; `loss` = tuned - score with its
    two-sided 95% interval, positive where the form is worse; `better` and `worse` count rows.
    """

    form: str
    metric: str
    n: int
    tuned: float
    score: float
    loss: float
    low: float
    high: float
    better: int
    worse: int
    limit: float
    allowed: Allowed | None = None

    @property
    def over(self) -> bool:
        """True if it loses more than the policy allows."""
        return self.loss > self.limit + TOLERANCE

    @property
    def words(self) -> str:
        """`a loss of +1.3 points on validation (95%: -1.3 to +3.9, 76 rows)`: above 0 the form is worse."""
        loss, low, high = (f"{round(100 * each, 1) + 0:+.1f}" for each in (self.loss, self.low, self.high))
        return f"a loss of {loss} points on validation (95%: {low} to {high}, {self.n} rows)"

    @property
    def short(self) -> str:
        """`q4_k_m -1.3 points (-6.2 to +3.2)`: the difference, as a screen has room for it."""
        low, high = -100 * self.high, -100 * self.low
        return f"{self.form.removeprefix('gguf ')} {-100 * self.loss + 0:+.1f} points ({low:+.1f} to {high:+.1f})"


class Scoring:
    """Scores forms of one run on all its validation rows; every output is kept in the release's `validation/`."""

    def __init__(self, making: Making) -> None:
        settings = making.settings
        self.making = making
        self.items = items_of(making.rows, settings.evaluation.turns)
        if not self.items:
            raise Refusal(
                f"{making.run.dataset} has no answered validation row to score a form on.", "rung data freeze"
            )
        self.metric = item_metric(settings.evaluation.metric, making.project.root)
        known = Replies(making.project.evaluations / ".partial" / "replies.jsonl")
        self.judge = project_judge(making.project, settings, making.judge, known) if self.metric.judged else None

    def score(self, form: str, model: ChatModel) -> Loss:
        """Return the loss of `form` as `model` answers. The tuned model is asked once, for the first form."""
        if TUNED not in self.making.outcomes:
            self.making.told("tuned: validation")
            self.making.outcomes[TUNED] = self.measure(TUNED, self.making.tuned())
        self.making.told(f"{form}: validation, {len(self.items)} rows")
        found = self.making.outcomes[form] = self.measure(form, model)
        return loss_of(form, self.making, self.making.outcomes[TUNED], found)

    def measure(self, form: str, model: ChatModel) -> list[ItemOutcome]:
        """Answer and score every row; kept in the release's `validation/`."""
        (variant,) = tuned(self.making.run.system_prompt)
        name = form.replace(" ", "-")
        replies = Replies(self.making.work / f".{name}.replies.jsonl")
        asked = self.making.settings.model
        desk = Harness(model, self.metric, replies, asked.max_tokens, judge=self.judge, thinking=asked.thinking_tokens)
        found = measure(form, variant, ("free",), self.items, "validation", desk, self.making.watch(form))["free"]
        write_outcomes(self.making.work / FOLDER / f"{name}.jsonl", found)
        replies.path.unlink(missing_ok=True)
        return found


def loss_of(form: str, making: Making, tuned: Sequence[ItemOutcome], found: Sequence[ItemOutcome]) -> Loss:
    """Paired, by the verdict's own statistics."""
    folder, group_by = making.project.datasets / making.run.dataset, making.settings.dataset.group_by
    named = clusters_of(folder, group_by, [o.row for o in found], "validation")
    result = compare([o.score for o in tuned], [o.score for o in found], named)
    return Loss(
        form=form,
        metric=making.settings.evaluation.scored_by,
        n=len(found),
        tuned=result.baseline,
        score=result.tuned,
        loss=-result.difference or 0.0,
        low=-result.high,
        high=-result.low,
        better=result.better,
        worse=result.worse,
        limit=loss_limit_of(making.project),
    )


def loss_limit_of(project: Project) -> float:
    """Return the loss allowed for a changed form: from rung.toml alone, so that the environment cannot weaken it."""
    return load_settings(project.settings_file, {}).release.loss_limit


def demand(making: Making, losses: Sequence[Loss]) -> list[Loss]:
    """Return the losses, signed if a named person allows more than the limit. Raises Refusal if nobody does."""
    over = [loss for loss in losses if loss.over]
    if not over:
        return list(losses)
    if making.allows:
        signed = Allowed(by=making.allows[0], reason=making.allows[1], at=now())
        return [revised(loss, allowed=signed) if loss.over else loss for loss in losses]
    told = [f"{loss.form} refused: {loss.words}, limit {100 * loss.limit:.1f}." for loss in over]
    told += [f"{loss.form}: {loss.words}." for loss in losses if not loss.over]
    raise Refusal(" ".join(told), _instead(making.run.id, losses))


def _instead(run: str, losses: Sequence[Loss]) -> str:
    kept = ",".join(loss.form.split()[1] for loss in losses if not loss.over and loss.form.startswith("gguf "))
    return f"rung release {run} --to gguf --gguf {kept}" if kept else f"rung release {run} --to adapter"


def as_facts(losses: Sequence[Loss]) -> dict[str, object]:
    """Return the facts for release.json: each form's loss under its name."""
    return {loss.form: loss.model_dump(mode="json") for loss in losses}


def let_through(facts: Mapping[str, Any]) -> list[Loss]:
    """Return the losses among a form's facts that a named person let through."""
    losses = [Loss.model_validate(each) for each in facts.get("validation", {}).values()]
    return [loss for loss in losses if loss.allowed is not None]
