"""Shared by the makers of the forms: the run, its rows, the model in full precision, and what a changed form loses."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from chat.local.load import adapter_weights, find_model, fingerprint, writer_class
from chat.local.offline import quiet_transformers
from chat.open import open_local
from chat.protocols import ChatModel, Progress
from curation.example import Example
from curation.split.manifest import load_split
from evaluation.arms.prompted import tuned
from evaluation.ask import Replies
from evaluation.bench import clusters_of
from evaluation.judge.model_judge import project_judge
from evaluation.measure import Harness, items_of, measure
from evaluation.measurement_report import ItemOutcome, write_outcomes
from evaluation.metrics.item_metrics import item_metric
from evaluation.verdict.compare import compare
from evaluation.verdict.intervals import TOLERANCE
from training.run.base_model import load_tokenizer
from training.runs import RunRecord
from workspace.artefact import ArtefactPart, now, revised
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings, load_settings

Told = Callable[[str], None]


@dataclass(frozen=True)
class ReleaseOptions:
    """Options of a release: who signs and why, whether a form may exceed the loss limit, progress, and the judge."""

    by: str = ""
    reason: str = ""
    may_lose: bool = False
    told: Told = lambda _: None
    watch: Callable[[str], Progress | None] = lambda _: None
    judge: ChatModel | None = None


@dataclass(frozen=True)
class Making:
    """A release in the making; `work` is its folder, which nobody sees before it is whole.

    `outcomes` is what the run answers to the validation rows, once it was asked.
    """

    project: Project
    settings: Settings
    run: RunRecord
    work: Path
    ways: ReleaseOptions = ReleaseOptions()
    outcomes: dict[str, list[ItemOutcome]] = field(default_factory=dict)

    @property
    def adapter(self) -> Path:
        """The run's saved weights."""
        return self.project.runs / self.run.id / "adapter"

    @cached_property
    def rows(self) -> list[Example]:
        """Validation rows: the golden prompts, and what changed forms are scored on."""
        return load_split(self.project.datasets / self.run.dataset, "validation")

    def tokenizer(self) -> Any:
        """Return the run's tokenizer as the form merged holds it; an adapter's folder by itself is no model folder."""
        return load_tokenizer(str(self.work / "merged"))

    def tuned(self) -> ChatModel:
        """Return the run as its verdict measured it: the adapter on its base, in the precision of rung.toml."""
        full = self.run.method == "full"
        base = str(self.adapter) if full else self.run.base
        model = revised(self.settings.model, base=base, provider="local")
        return open_local(model, adapter=None if full else self.adapter, batch=self.settings.evaluation.batch)

    def load(self) -> tuple[Any, Any]:
        """Return the base in fp32 with the adapter on it (or the fully tuned model), and the tokenizer.

        Raises Refusal if the base is another model than the one that was trained on, or lacks tokens of the run's.
        """
        place, hub = find_model(self.run.base)
        if not hub and fingerprint(Path(place)) != self.run.base_fingerprint:
            raise Refusal(
                f"{self.run.base}: another model than {self.run.id} was trained on.", "rung release --to adapter"
            )
        transformers = quiet_transformers(hub=hub)
        own = (self.adapter / "tokenizer_config.json").is_file()  # an adapter made elsewhere may have none
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(self.adapter) if own else place, local_files_only=own or not hub, trust_remote_code=False
        )
        source = str(self.adapter) if self.run.method == "full" else place
        local = not hub or self.run.method == "full"
        safe = {"local_files_only": local, "trust_remote_code": False}
        kind = writer_class(transformers, source, **safe)
        model = kind.from_pretrained(source, **safe, dtype="float32", use_safetensors=True)
        known, rows = len(tokenizer), int(model.get_input_embeddings().weight.shape[0])
        if known > rows:
            raise Refusal(
                f"{self.run.id}'s tokenizer knows {known:,} tokens, its base has weights for {rows:,}: "
                f"{known - rows:,} were added and have none, so no form can be made that answers as the run.",
                "rung train --again",
            )
        if self.run.method == "full":
            return model, tokenizer
        from peft import PeftModel

        adapter_weights(self.adapter)
        return PeftModel.from_pretrained(model, str(self.adapter), local_files_only=True), tokenizer


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
        self.judge = project_judge(making.project, settings, making.ways.judge, known) if self.metric.judged else None

    def score(self, form: str, model: ChatModel) -> Loss:
        """Return the loss of `form` as `model` answers, paired by the verdict's own statistics.

        The tuned model is asked once, for the first form.
        """
        if TUNED not in self.making.outcomes:
            self.making.ways.told("tuned: validation")
            self.making.outcomes[TUNED] = self.measure(TUNED, self.making.tuned())
        self.making.ways.told(f"{form}: validation, {len(self.items)} rows")
        before, found = self.making.outcomes[TUNED], self.measure(form, model)
        folder, group_by = self.making.project.datasets / self.making.run.dataset, self.making.settings.dataset.group_by
        named = clusters_of(folder, group_by, [o.row for o in found], "validation")
        result = compare([o.score for o in before], [o.score for o in found], named)
        return Loss(
            form=form,
            metric=self.making.settings.evaluation.scored_by,
            n=len(found),
            tuned=result.baseline,
            score=result.tuned,
            loss=-result.difference or 0.0,
            low=-result.high,
            high=-result.low,
            better=result.better,
            worse=result.worse,
            # the environment cannot weaken it
            limit=load_settings(self.making.project.settings_file, {}).release.loss_limit,
        )

    def measure(self, form: str, model: ChatModel) -> list[ItemOutcome]:
        """Answer and score every row; kept in the release's `validation/`."""
        (variant,) = tuned(self.making.run.system_prompt)
        name = form.replace(" ", "-")
        replies = Replies(self.making.work / f".{name}.replies.jsonl")
        asked = self.making.settings.model
        desk = Harness(model, self.metric, replies, asked.max_tokens, judge=self.judge, thinking=asked.thinking_tokens)
        found = measure(form, variant, ("free",), self.items, "validation", desk, self.making.ways.watch(form))["free"]
        write_outcomes(self.making.work / FOLDER / f"{name}.jsonl", found)
        replies.path.unlink(missing_ok=True)
        return found


def demand(making: Making, losses: Sequence[Loss]) -> list[Loss]:
    """Return the losses, signed if a named person allows more than the limit. Raises Refusal if nobody does."""
    over = [loss for loss in losses if loss.over]
    if not over:
        return list(losses)
    if making.ways.may_lose:
        signed = Allowed(by=making.ways.by.strip(), reason=making.ways.reason.strip(), at=now())
        return [revised(loss, allowed=signed) if loss.over else loss for loss in losses]
    told = [f"{loss.form} refused: {loss.words}, limit {100 * loss.limit:.1f}." for loss in over]
    told += [f"{loss.form}: {loss.words}." for loss in losses if not loss.over]
    kept = ",".join(loss.form.split()[1] for loss in losses if not loss.over and loss.form.startswith("gguf "))
    instead = f"gguf --gguf {kept}" if kept else "adapter"
    raise Refusal(" ".join(told), f"rung release {making.run.id} --to {instead}")


def as_facts(losses: Sequence[Loss]) -> dict[str, object]:
    """Return the facts for release.json: each form's loss under its name."""
    return {loss.form: loss.model_dump(mode="json") for loss in losses}
