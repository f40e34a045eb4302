"""One variant of an arm on some items: every output with its score, the figures over them, and calibration.

Expected calibration error: the mean gap between confidence and accuracy over ten bins of equal width, weighted by their
items (Naeini, Cooper and Hauskrecht 2015; Guo et al. 2017). 0 is perfect.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from chat.local.prompt import common_beginning
from chat.protocols import Ask, ChatModel, Progress, Reply, Scorer, Turn, request_key
from chat.thinking import ROOM
from chat.tool_calls import parted
from curation.example import Example, is_trained
from evaluation.arms.arm_material import Variant
from evaluation.ask import Replies, ask_all
from evaluation.judge.model_judge import Case, ModelJudge
from evaluation.measurement_report import ArmResult, ItemOutcome, SureAnswer
from evaluation.metrics.item_metrics import ItemMetric
from evaluation.metrics.json_documents import Shape, is_strict
from evaluation.metrics.text import class_report, normalise, normalised_match, perplexity, refuses
from evaluation.retrieval import holds
from evaluation.verdict.intervals import is_binary, score_interval
from workspace.settings import EvaluationSettings

Form = Literal["free", "held"]
Split = Literal["test", "validation"]

MOST_LOST = 0.05
"""Share of replies that may be cut, refused or missing; with more, a score says nothing about the model."""
COMPARED = 50
"""Prompts whose common beginning is taken."""
LOST = {
    "length": "cut at the token limit",
    "refused": "refused or filtered",
    "outside": "none of the possible answers",
    "empty": "empty",
    "too_long": "not asked, because the prompt exceeds the model's window",
}
WHOLE: Mapping[str, Callable[[str], str]] = {"exact_match": str.strip, "normalised_match": normalise}
"""Metrics that compare whole texts, by the form they compare: a cut reply can be right only if the answer begins so."""


@dataclass(frozen=True, slots=True)
class EvalItem:
    """A turn to be answered: `number` counts the items of a split, from 1; `line` is that of its row in the file, and
    `turn` which assistant turn of it, from 1. 0 is the last, the only one of its row that is asked.
    """

    number: int
    turns: tuple[Turn, ...]
    question: str
    expected: str
    tools: object = None
    tests: str = ""
    line: int = 0
    turn: int = 0


@dataclass(frozen=True)
class Harness:
    """Shared by all arms: model, metric, token limits, closed set or JSON shape, known replies."""

    model: ChatModel
    metric: ItemMetric
    replies: Replies
    max_tokens: int
    choices: tuple[str, ...] = ()
    judge: ModelJudge | None = None
    shape: Shape | None = None
    thinking: int = ROOM

    def scores(self, outputs: Sequence[str], items: Sequence[EvalItem]) -> list[float]:
        """Return one score an item; all are judged together where a model scores."""
        if not self.metric.judged:
            return [self.score(output, item) for output, item in zip(outputs, items, strict=True)]
        assert self.judge is not None
        return self.judge([Case(i.question, i.expected, o) for o, i in zip(outputs, items, strict=True)])

    def score(self, output: str, item: EvalItem) -> float:
        """Score by the metric, against the expected answer or the item's own tests."""
        return self.metric.of_row(output, item.expected, item.tests, item.tools)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms that prompted arms are measured in."""
        shaped = self.shape is not None and (self.model.is_local or is_strict(self.shape))
        return ("free", "held") if (self.choices or shaped) and self.model.can_choose else ("free",)


def items_of(rows: Sequence[Example], turns: Literal["last", "all"] = "last") -> list[EvalItem]:
    """Return the answered rows of a split as items; with `all` each assistant turn after the true turns.

    An earlier turn is left out where it says that it is not to be trained on, or where the row has tests: these are of
    the last answer. So the items of a file that does not change keep their numbers.
    """
    if turns == "last":
        return [_item(line, row, line) for line, row in enumerate(rows, 1) if row.answer is not None]
    asked = [(line, row, turn) for line, row in enumerate(rows, 1) for turn in _turns(row)]
    return [_item(number, row.until(turn), line, turn) for number, (line, row, turn) in enumerate(asked, 1)]


def _turns(row: Example) -> list[int]:
    """Return numbers of the assistant turns that are asked; 0 for the answer of a row that is no conversation."""
    if "messages" not in row.row:
        return [0] if row.answer is not None else []
    said = [message for message in row.messages if message.get("role") == "assistant"]
    last = len(said) if row.is_answered else 0
    return [n for n, turn in enumerate(said, 1) if n == last or (not row.tests and is_trained(turn))]


def _item(number: int, row: Example, line: int, turn: int = 0) -> EvalItem:
    tools = row.row.get("tools")
    return EvalItem(number, tuple(row.asked), row.question, row.answer or "", tools, row.tests, line, turn)


def choosing_items(rows: Sequence[Example], settings: EvaluationSettings) -> list[EvalItem]:
    """Return at most `choose_on` validation items, drawn by content: a file may be sorted by class."""
    items = items_of(rows, settings.turns)
    return sorted(items, key=lambda item: (rows[item.line - 1].content_hash, item.number))[: settings.choose_on]


def measure(
    arm: str,
    variant: Variant,
    forms: Sequence[Form],
    items: Sequence[EvalItem],
    split: Split,
    desk: Harness,
    progress: Progress | None,
) -> dict[Form, list[ItemOutcome]]:
    """Answer and score every item in each form; all forms are asked together, so that they share their prompts."""
    asked = [(form, item) for form in forms for item in items]
    if variant.predict is not None:
        started = time.perf_counter()
        answers = variant.predict([item.question for item in items])
        each = (time.perf_counter() - started) / max(1, len(items))
        replies = [Reply(answer, 0, 0, each) for answer in answers]
    else:
        asks = [ask_of(variant, item, form, desk) for form, item in asked]
        # a judge or code is not asked for a score so far: it would cost twice
        if split == "test" and isinstance(progress, ScoreLine) and not (desk.metric.judged or desk.metric.by_tests):
            keys = [request_key(desk.model.name, ask) for ask in asks[: len(items)]]
            progress.so_far = Partial(keys, desk.replies.known, lambda text, n: desk.score(text, items[n]))
        replies = ask_all(desk.model, asks, desk.replies, progress)
    scores = desk.scores([reply.text for reply in replies], [item for _, item in asked])
    found: dict[Form, list[ItemOutcome]] = {form: [] for form in forms}
    for (form, item), reply, score in zip(asked, replies, scores, strict=True):
        said = asdict(reply)
        place = {"split": split, "item": item.number, "line": item.line, "turn": item.turn}
        of_item = {"output": said.pop("text"), "expected": item.expected, "score": score}
        found[form].append(ItemOutcome(arm=arm, form=form, **place, **of_item, **said))
    return found


def ask_of(variant: Variant, item: EvalItem, form: Form, desk: Harness) -> Ask:
    """Return the request for one item; its answer takes no part."""
    assert variant.render is not None
    meta: dict[str, Any] = {"tools": item.tools} if item.tools else {}
    if form == "held" and not desk.choices:
        meta["shape"] = desk.shape
    if desk.thinking != ROOM:
        meta["thinking_tokens"] = desk.thinking
    return Ask(variant.render(item.turns), desk.max_tokens, desk.choices if form == "held" else (), meta)


def mean_score(outcomes: Sequence[ItemOutcome]) -> float:
    """Return the mean over items; 0 if there is none."""
    return math.fsum(o.score for o in outcomes) / max(1, len(outcomes))


def result(
    outcomes: Sequence[ItemOutcome], prompted: bool, closed: bool, groups: Mapping[int, str] | None = None
) -> ArmResult:
    """Return the figures of one arm in one form on the test items; what choosing knew is added by the caller.

    `groups` names each item's group where some share one: the interval is over groups then.
    """
    scores = [o.score for o in outcomes]
    low, high = score_interval(scores, clusters=None if groups is None else [groups[o.item] for o in outcomes])
    times = sorted(o.seconds for o in outcomes)
    costs = [o.cost_usd for o in outcomes]
    return ArmResult(
        arm=outcomes[0].arm,
        prompted=prompted,
        form=outcomes[0].form,
        n=len(scores),
        score=mean_score(outcomes),
        low=low,
        high=high,
        correct=math.fsum(scores),
        graded=not is_binary(scores),
        seconds=math.fsum(times),
        cost_usd=None if None in costs else math.fsum(c or 0.0 for c in costs),
        p50_seconds=_quantile(times, 0.5),
        p95_seconds=_quantile(times, 0.95),
        input_tokens=sum(o.input_tokens for o in outcomes),
        output_tokens=sum(o.output_tokens for o in outcomes),
        cached_tokens=sum(o.cached_tokens for o in outcomes),
        cut=sum(o.stopped == "length" for o in outcomes),
        failures=sum(o.stopped in {"refused", "too_long"} for o in outcomes),
        extra=secondary(outcomes, closed),
    )


def why_unmeasured(outcomes: Sequence[ItemOutcome], desk: Harness) -> str:
    """Return a sentence where over `MOST_LOST` of the replies were lost; empty if the score is a measurement.

    A model that may think (any but a local one whose template has no marks for it) may have been cut while it did.
    """
    form = None if getattr(desk.model, "thinks", True) else WHOLE.get(desk.metric.spec)

    def could_be_right(outcome: ItemOutcome) -> bool:
        if outcome.stopped != "length" or form is None:
            return True
        return form(outcome.expected).startswith(form(outcome.output))

    stops = Counter(o.stopped for o in outcomes if o.stopped not in ("end", "choice") and could_be_right(o))
    if stops.total() <= MOST_LOST * len(outcomes):
        return ""
    parts = [f"{count} of {len(outcomes)} replies were {LOST.get(stop, stop)}" for stop, count in stops.most_common()]
    return "; ".join(parts)


def secondary(outcomes: Sequence[ItemOutcome], closed: bool) -> dict[str, float | None]:
    """Return figures beside the primary metric, none of which decides."""
    outputs, expected = [o.output for o in outcomes], [o.expected for o in outcomes]
    n = len(outcomes)
    extra: dict[str, float | None] = {
        "normalised_match": sum(map(normalised_match, outputs, expected)) / n,
        "refusal_rate": sum(refuses(o.output, o.stopped) for o in outcomes) / n,
        "mean_characters": sum(map(len, outputs)) / n,
    }
    if closed:
        figures = class_report(outputs, expected)
        extra |= {"macro_f1": figures.macro, "micro_f1": figures.micro}
    return extra


def perplexities(variant: Variant, items: Sequence[EvalItem], desk: Harness) -> dict[str, float | None]:
    """Perplexity of the expected texts under this arm's prompt; empty if the model gives no probabilities. Answers
    that call tools are left out: each model writes calls in its own form.
    """
    items = [item for item in items if not parted(item.expected)[1]]
    if not isinstance(desk.model, Scorer) or variant.render is None or not items:
        return {}
    asks, answers = [ask_of(variant, item, "free", desk) for item in items], [item.expected for item in items]
    return dict(zip(("perplexity_token", "perplexity_byte"), perplexity(desk.model, asks, answers), strict=True))


def shared_beginning(variant: Variant, items: Sequence[EvalItem], desk: Harness) -> float | None:
    """Share of a prompt, in characters, with which the prompts of the first items begin; None for fewer than two."""
    if variant.render is None or len(items) < 2:
        return None
    asks = [ask_of(variant, item, "free", desk) for item in items[:COMPARED]]
    prompts = ["\n".join(f"{turn.get('role')}: {turn.get('content')}" for turn in ask.turns) for ask in asks]
    return common_beginning(prompts) * len(prompts) / sum(map(len, prompts))


def retrieval_recall(variant: Variant, items: Sequence[EvalItem]) -> dict[str, float | None]:
    """Return the share of items whose expected answer occurs word for word in a passage that was shown."""
    if variant.shown is None or not items:
        return {}
    hits = [any(holds(chunk.text, item.expected) for chunk in variant.shown(item.turns)) for item in items]
    return {"retrieval_recall": sum(hits) / len(items)}


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else None


@runtime_checkable
class ScoreLine(Protocol):
    """A progress line that shows a score so far: it asks for it where it is drawn."""

    so_far: Callable[[], float | None] | None


class Partial:
    """Scores what is answered, each item once, whenever it is asked.

    `keys` are those of the items' replies, in order; `score` scores a reply's text as the item of that index.
    """

    def __init__(self, keys: Sequence[str], replies: Mapping[str, Reply], score: Callable[[str, int], float]) -> None:
        self.replies, self.score = replies, score
        self.waiting = list(enumerate(keys))
        self.scores: list[float] = []

    def __call__(self) -> float | None:
        """Return the mean over the answered items, 0..1; None before the first one."""
        self.scores += [self.score(self.replies[key].text, n) for n, key in self.waiting if key in self.replies]
        self.waiting = [(n, key) for n, key in self.waiting if key not in self.replies]
        return math.fsum(self.scores) / len(self.scores) if self.scores else None


AT_ONCE = 24
"""Items scored together."""


def sure_answers(
    variant: Variant, items: Sequence[EvalItem], desk: Harness, watch: Progress | None = None
) -> list[SureAnswer]:
    """Return each item's answer with its probability; empty if an arm gives none.

    Of a model each possible answer is scored after the arm's prompt (a forward pass an answer) and the likeliest, by
    summed log-probability, is its choice.
    """
    if not items or desk.metric.judged:
        return []
    if variant.sure is not None and variant.predict is not None:
        questions = [item.question for item in items]
        chosen = list(zip(variant.predict(questions), variant.sure(questions), strict=True))
    elif isinstance(desk.model, Scorer) and desk.choices and variant.render is not None:
        chosen = label_choices(variant, items, desk, watch)
    else:
        return []
    return [
        SureAnswer(item.number, sure, desk.score(answer, item))
        for item, (answer, sure) in zip(items, chosen, strict=True)
    ]


def told_answers(outcomes: Sequence[ItemOutcome]) -> list[SureAnswer]:
    """Return each item's answer with the probability of the whole reply; empty if a reply has none."""
    found = [SureAnswer(o.item, min(1.0, math.exp(o.logprob)), o.score) for o in outcomes if o.logprob is not None]
    return found if len(found) == len(outcomes) else []


def calibration(answers: Sequence[SureAnswer], *, by_labels: bool) -> dict[str, float | None]:
    """`ece`, mean `confidence` and, where a model chose `by_labels`, `label_accuracy`; empty without answers."""
    if not answers:
        return {}
    sure, scores = [answer.sure for answer in answers], [answer.score for answer in answers]
    found: dict[str, float | None] = {"ece": ece(sure, scores), "confidence": math.fsum(sure) / len(sure)}
    return found | ({"label_accuracy": math.fsum(scores) / len(scores)} if by_labels else {})


def label_choices(
    variant: Variant, items: Sequence[EvalItem], desk: Harness, watch: Progress | None = None
) -> list[tuple[str, float]]:
    """Return for each item the likeliest answer, and its probability among the possible ones (softmax)."""
    model: Any = desk.model
    found: list[tuple[str, float]] = []
    width = len(desk.choices)
    for start in range(0, len(items), AT_ONCE):
        some = items[start : start + AT_ONCE]
        asks = [ask_of(variant, item, "free", desk) for item in some for _ in desk.choices]
        scores = [total for total, _ in model.loglikelihoods(asks, list(desk.choices) * len(some))]
        for first in range(0, len(scores), width):
            each = scores[first : first + width]
            best = max(range(width), key=each.__getitem__)
            found.append((desk.choices[best], 1 / math.fsum(math.exp(s - each[best]) for s in each)))
        if watch:
            watch(len(found), len(items))
    return found


BINS = 10


def ece(confidences: Sequence[float], scores: Sequence[float]) -> float:
    """`confidences` in 0..1 beside what was scored, 0..1. Raises ValueError for none, or a value out of range."""
    if not confidences or not all(0 <= c <= 1 for c in confidences):
        raise ValueError("confidences must be numbers in 0..1, at least one")
    groups: dict[int, list[tuple[float, float]]] = {}
    for confidence, score in zip(confidences, scores, strict=True):
        # each bin holds its upper edge, as 0.7 is in (0.6, 0.7]; the first one also 0
        groups.setdefault(max(1, math.ceil(round(confidence * BINS, 9))), []).append((confidence, score))
    gaps = (abs(math.fsum(c for c, _ in group) - math.fsum(s for _, s in group)) for group in groups.values())
    return math.fsum(gaps) / len(confidences)
