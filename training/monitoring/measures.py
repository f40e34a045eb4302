"""All signals of a project's production: which two samples each of them compares."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from chat.protocols import ChatModel, Progress
from curation.example import Example
from curation.likeness import normal, words
from curation.mask import MASK, mask
from curation.review.queue import draw
from curation.split.manifest import load_split
from evaluation.ask import Replies
from evaluation.judge.grading import Case, project_judge
from evaluation.metrics.text import refuses
from training.monitoring.reference import Reference
from training.monitoring.requests import Logged
from training.monitoring.signals import Signal, later_signal, length_signal, share_signal, unmeasured, word_signals
from workspace.artefact import revised
from workspace.folder import Project
from workspace.settings import Settings

Judge = Callable[[Sequence[tuple[str, str]]], list[bool]]
"""From (question, answer) pairs to whether each is good enough."""


def all_signals(reference: Reference, requests: Sequence[Logged], questions: Sequence[str], seed: int) -> list[Signal]:
    """Every signal that needs no model; `questions` are those of the requests, as rows would have them."""
    asked = distinct([bare(question) for question in questions])
    rows = distinct([bare(mask(row.question)) for row in reference.rows])
    answered = [each for each in requests if not each.error]
    said = [mask(row.answer or "") for row in reference.rows if not _calls(row)]
    split = f"{reference.split} rows"
    lengths = [
        length_signal(_signal("question_length", "Length of questions", split), _words(asked), _words(rows), seed),
        length_signal(
            _signal("answer_length", "Length of answers", split),
            _words([e.answer for e in answered if not e.tool_calls]),
            _words(said),
            seed,
        ),
    ]
    return [*lengths, *word_signals(asked, rows, split, seed), *_shares(reference, answered), *_later(requests, seed)]


def _calls(row: Example) -> bool:
    """Whether a row's answer is a tool call: that has no length and no form of a text."""
    return row.is_answered and bool(row.messages[-1].get("tool_calls"))


def _shares(reference: Reference, answered: Sequence[Logged]) -> list[Signal]:
    """Form errors and refusals, against what the released model answered on its test items."""
    form = ProductionForm(reference)
    texts = [each for each in answered if not each.tool_calls or each.finish == "length"]
    return [
        _share("form_errors", f"Errors of form ({form.words})", reference, texts, form.wrong),
        _share("refusals", "Refusals", reference, answered, lambda text, stopped: refuses(text, _stopped(stopped))),
    ]


def _share(
    name: str, title: str, reference: Reference, requests: Sequence[Logged], bad: Callable[[str, str], bool]
) -> Signal:
    before = reference.answered
    sides = {"n": len(requests), "n_before": len(before)}
    signal = revised(_signal(name, title, "answers of the released model on its test items"), **sides)
    hits = [each for each in requests if bad(each.answer, each.finish)]
    found = share_signal(signal, len(hits), sum(bad(o.output, o.stopped) for o in before))
    return revised(found, evidence=tuple(f"{e.ref}: {e.answer[:80]}" for e in hits[:5]))


def _later(requests: Sequence[Logged], seed: int) -> list[Signal]:
    """What rows cannot tell: the later half of the requests against the earlier half."""
    against = "requests of the earlier half"
    made = [_halves(_signal("failures", "Failed requests", against), requests, lambda e: bool(e.error))]
    rated = [each for each in requests if each.rating is not None]
    low = _signal("low_ratings", "Low ratings, of rated requests", f"rated {against}")
    low = revised(low, what="rated request")
    made.append(_halves(low, rated, is_low) if rated else unmeasured(low, "no request was rated"))
    for name, title, unit in (("latency", "Latency", "seconds"), ("cost", "Cost of a request", "usd")):
        field = "seconds" if name == "latency" else "cost_usd"
        signal = revised(_signal(name, title, against), unit=unit)
        values = [value for each in requests if (value := getattr(each, field)) is not None]
        made.append(later_signal(signal, values, seed) if values else unmeasured(signal, "the log does not say"))
    return made


def _halves(signal: Signal, requests: Sequence[Logged], is_hit: Callable[[Logged], bool]) -> Signal:
    """The share of hits in the later half against the earlier half."""
    half = len(requests) // 2
    signal = revised(signal, n=len(requests) - half, n_before=half)
    return share_signal(signal, sum(map(is_hit, requests[half:])), sum(map(is_hit, requests[:half])))


def is_low(each: Logged) -> bool:
    """Whether a person found the answer bad."""
    return each.rating is not None and each.rating < 0


def judge_signal(
    reference: Reference, asked: Sequence[tuple[str, Logged]], seed: int, judge: Judge | None, judged: int
) -> Signal:
    """A judge on a sample of answers, against its rulings on the answers to test items: both without a reference."""
    signal = _signal("judge", "Answers that the judge rejects", "answers to test items, by the same judge")
    if judge is None:
        return unmeasured(signal, "no judge was asked: [judge] in rung.toml, then rung watch report --judge 50")
    test = load_split(reference.dataset, "test")
    before = [(mask(o.asked(test)), mask(o.output)) for o in reference.answered]
    now = [(question, each.answer) for question, each in asked if each.answer and not each.error]
    sides = [_some(side, min(judged, len(side)), seed) for side in (now, before)]
    signal = revised(signal, n=len(sides[0]), n_before=len(sides[1]))
    found = judge([*sides[0], *sides[1]])
    bad = [not good for good in found]
    return share_signal(signal, sum(bad[: len(sides[0])]), sum(bad[len(sides[0]) :]))


def _some(pairs: Sequence[tuple[str, str]], count: int, seed: int) -> list[tuple[str, str]]:
    return [pairs[place] for place in draw(seed, [f"judge {n}" for n in range(len(pairs))], count)]


def bare(text: str) -> str:
    """The text without the marks of what was masked: `[PHONE]` is no word that anybody used."""
    return MASK.sub(" ", text)


def distinct(texts: Sequence[str]) -> list[str]:
    """Each text once, by its normal form: one who asks the same a hundred times is one question."""
    return list({normal(text): text for text in reversed(texts)}.values())[::-1]


def _signal(name: str, title: str, against: str) -> Signal:
    return Signal(name=name, title=title, against=against)


def _words(texts: Sequence[str]) -> list[int]:
    return [len(words(text)) for text in texts]


def _stopped(finish: str) -> str:
    return "refused" if finish in ("content_filter", "refused") else "end"


class ProductionForm:
    """What an answer must look like, as far as the rows say: one of a closed set, or a JSON object with their keys."""

    def __init__(self, reference: Reference) -> None:
        self.choices = {normal(mask(choice)) for choice in reference.choices}
        self.keys = None if self.choices else _json_keys([row.answer or "" for row in reference.rows])
        if self.choices:
            self.words = f"empty, cut, or none of the {len(self.choices):,} known answers"
        elif self.keys is not None:
            self.words = "empty, cut, or no JSON object with the rows' keys"
        else:
            self.words = "empty or cut"

    def wrong(self, answer: str, stopped: str) -> bool:
        """Whether the answer is empty, cut, or not of that form."""
        if not answer.strip() or stopped == "length":
            return True
        if self.choices:
            return normal(answer) not in self.choices
        return self.keys is not None and _keys(answer) != self.keys


def _json_keys(answers: Sequence[str]) -> frozenset[str] | None:
    """The keys that all answers have, where each is a JSON object and all have the same."""
    found = {_keys(answer) for answer in answers}
    return found.pop() if len(found) == 1 else None


def _keys(answer: str) -> frozenset[str] | None:
    """The keys of a JSON object; a number that was masked is a value as well: `{"phone": [PHONE]}`."""
    try:
        value: Any = json.loads(MASK.sub("null", answer))
    except (ValueError, RecursionError):
        return None
    return frozenset(value) if isinstance(value, dict) else None


NO_REFERENCE = "(none: judge by the question alone)"


def judge_of(
    project: Project, settings: Settings, model: ChatModel, replies: Replies, watch: Progress | None = None
) -> Judge:
    """From (question, answer) pairs to whether each meets the rubric; a reply that cannot be read counts as no.

    Raises RungError where judge.md is missing.
    """
    asked = project_judge(project, settings, model, replies)

    def judge(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        found = asked.grade([Case(question, NO_REFERENCE, answer) for question, answer in pairs], watch)
        return [score is not None and score >= settings.judge.passing for score in found]

    return judge
