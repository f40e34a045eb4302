"""One variant of an arm on some items: every output with its score, and the figures over them."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from chat.protocols import Ask, ChatModel, Progress, Reply, Scorer, Turn
from curation.example import Example
from evaluation.arms.material import Variant
from evaluation.asking import Replies, ask_all, key_of
from evaluation.intervals import is_binary, score_interval
from evaluation.judging import Case, Judge
from evaluation.metrics import f1, normalised_match, refusal
from evaluation.metrics.citations import asking_to_cite, cited, uncited
from evaluation.metrics.perplexity import perplexity
from evaluation.metrics.registry import ItemMetric
from evaluation.partial import Partial, ScoreLine
from evaluation.report import ArmResult, Outcome
from evaluation.shape import Shape, is_strict

Form = Literal["free", "held"]
Split = Literal["test", "validation"]


@dataclass(frozen=True, slots=True)
class Item:
    """A row to be answered: `number` is its line in the split's file, from 1."""

    number: int
    turns: tuple[Turn, ...]
    question: str
    expected: str
    tools: object = None
    tests: str = ""


@dataclass(frozen=True)
class Desk:
    """What all arms share: model, metric, token limit, closed set or JSON shape, and the replies already given."""

    model: ChatModel
    metric: ItemMetric
    replies: Replies
    max_tokens: int
    choices: tuple[str, ...] = ()
    judge: Judge | None = None
    cite: bool = False
    shape: Shape | None = None

    def scores(self, outputs: Sequence[str], items: Sequence[Item]) -> list[float]:
        """One score an item; all are judged together where a model scores."""
        if not self.metric.judged:
            return [self.score(output, item) for output, item in zip(outputs, items, strict=True)]
        assert self.judge is not None
        return self.judge([Case(i.question, i.expected, o) for o, i in zip(outputs, items, strict=True)])

    def score(self, output: str, item: Item) -> float:
        """By the metric, against what the item expects or by its own tests."""
        return self.metric.score(output, item.tests if self.metric.by_tests else item.expected)

    @property
    def forms(self) -> tuple[Form, ...]:
        """The forms that prompted arms are measured in."""
        shaped = self.shape is not None and (self.model.is_local or is_strict(self.shape))
        return ("free", "held") if (self.choices or shaped) and self.model.can_choose else ("free",)


def items_of(rows: Sequence[Example]) -> list[Item]:
    """The answered rows of a split as items."""
    return [
        Item(number, tuple(row.asked), row.question, row.answer, row.row.get("tools"), str(row.row.get("tests", "")))
        for number, row in enumerate(rows, 1)
        if row.answer is not None
    ]


def choosing_items(rows: Sequence[Example], most: int) -> list[Item]:
    """The items of validation rows that arms choose on, at most so many: drawn by their content, since a file that is
    sorted by class begins with one class.
    """
    return sorted(items_of(rows), key=lambda item: (rows[item.number - 1].content_hash, item.number))[:most]


def measure(
    arm: str, variant: Variant, form: Form, items: Sequence[Item], split: Split, desk: Desk, progress: Progress | None
) -> list[Outcome]:
    """Answer and score every item in one form."""
    return measure_forms(arm, variant, (form,), items, split, desk, progress)[form]


def measure_forms(
    arm: str,
    variant: Variant,
    forms: Sequence[Form],
    items: Sequence[Item],
    split: Split,
    desk: Desk,
    progress: Progress | None,
) -> dict[Form, list[Outcome]]:
    """Answer and score every item in each form; all forms are asked together, so that they share their prompts."""
    if variant.predict is not None:
        return {forms[0]: _classified(arm, variant, items, split, desk)}
    asks = [ask_of(variant, item, form, desk) for form in forms for item in items]
    if split == "test":
        _score_along(progress, asks[: len(items)], items, desk)
    replies = ask_all(desk.model, asks, desk.replies, progress)
    asked = [(form, item) for form in forms for item in items]
    texts = [uncited(reply.text) if desk.cite and variant.shown else reply.text for reply in replies]
    scores = desk.scores(texts, [item for _, item in asked])
    found: dict[Form, list[Outcome]] = {form: [] for form in forms}
    for (form, item), reply, score in zip(asked, replies, scores, strict=True):
        found[form].append(_outcome(arm, form, split, item, reply, score))
    return found


def _score_along(progress: Progress | None, asks: Sequence[Ask], items: Sequence[Item], desk: Desk) -> None:
    """Let a line that shows a score so far have it; not where a model judges or code is run: it would cost twice."""
    if isinstance(progress, ScoreLine) and not (desk.metric.judged or desk.metric.by_tests):
        keys = [key_of(desk.model.name, ask) for ask in asks]
        progress.so_far = Partial(
            keys, desk.replies.known, lambda text, n: desk.score(uncited(text) if desk.cite else text, items[n])
        )


def _outcome(arm: str, form: Form, split: Split, item: Item, reply: Reply, score: float) -> Outcome:
    return Outcome(
        split=split,
        arm=arm,
        form=form,
        item=item.number,
        output=reply.text,
        expected=item.expected,
        score=score,
        seconds=reply.seconds,
        input_tokens=reply.input_tokens,
        output_tokens=reply.output_tokens,
        stopped=reply.stopped,
        cost_usd=reply.cost_usd,
    )


def ask_of(variant: Variant, item: Item, form: Form, desk: Desk) -> Ask:
    """The request for one item; its answer takes no part."""
    assert variant.render is not None
    meta: dict[str, Any] = {"tools": item.tools} if item.tools else {}
    if form == "held" and not desk.choices:
        meta["shape"] = desk.shape
    turns = variant.render(item.turns)
    if desk.cite and variant.shown and form == "free":
        turns = asking_to_cite(turns)
    return Ask(turns, desk.max_tokens, desk.choices if form == "held" else (), meta)


def _classified(arm: str, variant: Variant, items: Sequence[Item], split: Split, desk: Desk) -> list[Outcome]:
    assert variant.predict is not None
    started = time.perf_counter()
    answers = variant.predict([item.question for item in items])
    scores = desk.scores(answers, items)
    each = (time.perf_counter() - started) / max(1, len(items))
    return [
        Outcome(
            split=split,
            arm=arm,
            form="free",
            item=item.number,
            output=answer,
            expected=item.expected,
            score=score,
            seconds=each,
        )
        for item, answer, score in zip(items, answers, scores, strict=True)
    ]


def mean_score(outcomes: Sequence[Outcome]) -> float:
    """The mean over items; 0 where there is none."""
    return math.fsum(o.score for o in outcomes) / max(1, len(outcomes))


def result(
    outcomes: Sequence[Outcome], prompted: bool, closed: bool, groups: Mapping[int, str] | None = None
) -> ArmResult:
    """The figures of one arm in one form on the test items; what choosing knew is added by the caller.

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
        cut=sum(o.stopped == "length" for o in outcomes),
        failures=sum(o.stopped in {"refused", "too_long"} for o in outcomes),
        extra=secondary(outcomes, closed),
    )


def secondary(outcomes: Sequence[Outcome], closed: bool) -> dict[str, float | None]:
    """Figures beside the primary metric, none of which decides."""
    outputs, expected = [o.output for o in outcomes], [o.expected for o in outcomes]
    n = len(outcomes)
    extra: dict[str, float | None] = {
        "normalised_match": sum(map(normalised_match.score, outputs, expected)) / n,
        "refusal_rate": sum(refusal.refuses(o.output, o.stopped) for o in outcomes) / n,
        "mean_characters": sum(map(len, outputs)) / n,
    }
    if closed:
        figures = f1.classes(outputs, expected)
        extra |= {"macro_f1": figures.macro, "micro_f1": figures.micro}
    return extra


def perplexities(variant: Variant, items: Sequence[Item], desk: Desk) -> dict[str, float | None]:
    """Perplexity of the expected answers under this arm's prompt; empty where the model gives no probabilities."""
    if not isinstance(desk.model, Scorer) or variant.render is None or not items:
        return {}
    found = perplexity(desk.model, [ask_of(variant, i, "free", desk) for i in items], [i.expected for i in items])
    return {"perplexity_token": found.per_token, "perplexity_byte": found.per_byte}


def retrieval_recall(variant: Variant, items: Sequence[Item]) -> dict[str, float | None]:
    """Share of items whose expected answer stands, word for word, in a passage that was shown."""
    if variant.shown is None or not items:
        return {}
    from evaluation.documents import words

    hits = 0
    for item in items:
        wanted = " ".join(words(item.expected))
        hits += any(f" {wanted} " in f" {' '.join(words(chunk.text))} " for chunk in variant.shown(item.turns))
    return {"retrieval_recall": hits / len(items)}


def citing(variant: Variant, items: Sequence[Item], outcomes: Sequence[Outcome], desk: Desk) -> dict[str, float | None]:
    """Groundedness of an arm that reads passages, and, where it was asked to cite, citation precision and recall."""
    if variant.shown is None or not items:
        return {}
    figures = [
        cited(o.output, [chunk.text for chunk in variant.shown(item.turns)])
        for item, o in zip(items, outcomes, strict=True)
    ]
    found = {"groundedness": _mean_known([f.grounded for f in figures])}
    if desk.cite:
        found |= {
            "citation_precision": _mean_known([f.precision for f in figures]),
            "citation_recall": _mean_known([f.recall for f in figures]),
        }
    return found


def _mean_known(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return math.fsum(known) / len(known) if known else None


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else None
