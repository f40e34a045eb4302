"""Production against the frozen train rows and what the released model answered on its test: `watch/report.json`."""

import itertools
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from chat.protocols import ChatModel, Progress
from curation.likeness.words import normal, words
from curation.mask import MASK, mask
from curation.review.queue import draw
from curation.split.manifest import load_split
from evaluation.ask import Replies
from evaluation.judge.model_judge import Case, project_judge
from evaluation.metrics.text import refuses
from training.monitoring.reference import Origins, Reference, released
from training.monitoring.requests import IMPORT, Logged, read_watched, watch_folder
from training.monitoring.signals import (
    FALSE_ALARM,
    Signal,
    later_signal,
    length_signal,
    share_signal,
    unmeasured,
    word_signals,
)
from training.release.releases import RELEASE
from workspace.artefact import Artefact, ArtefactPart, hashes, revised, write_artefact
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

REPORT = "report.json"
FILTERED = ("content_filter", "refused")
Judge = Callable[[Sequence[tuple[str, str]]], list[bool]]
"""Maps (question, answer) pairs to whether each is good enough."""


class Traffic(ArtefactPart):
    """Plain figures of the requests that count."""

    requests: int
    distinct: int
    failed: int
    rated: int
    rated_low: int
    edited: int
    first_at: str = ""
    last_at: str = ""
    models: dict[str, int] = {}
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    p50_seconds: float | None = None
    p95_seconds: float | None = None


class DriftReport(Artefact):
    """`watch/report.json`: the newest report of `rung watch report`.

    Each signal has its own `false_alarm`; `any_alarm` bounds the chance that at least one is raised although nothing
    changed. Older versions measured a `sample`.
    """

    release: str
    dataset: str
    against: str
    sample: float = 1.0
    since: str = ""
    seed: int
    traffic: Traffic
    signals: list[Signal]
    any_alarm: float
    notes: list[str] = []

    @property
    def raised(self) -> list[Signal]:
        """Signals that say something changed."""
        return [signal for signal in self.signals if signal.raised]


def measure(
    project: Project, settings: Settings, *, since: str = "", judge: Judge | None = None, judged: int = 0
) -> DriftReport:
    """Measure the requests and write the report. Raises Refusal without a release, an import or a request."""
    reference, watched = released(project, settings), read_watched(project)
    drawn = [each for each in watched.requests if each.drawn]
    requests = [each for each in drawn if each.at >= since or not since]
    if not requests:
        raise Refusal(f"No request since {since or 'the import'}.", "rung watch import LOGS")
    seed = settings.dataset.seed
    origins = Origins(project, settings, watched.imports)
    asked = [origins.question(each) for each in requests]
    signals = all_signals(reference, requests, asked, seed)
    signals.append(judge_signal(reference, list(zip(asked, requests, strict=True)), seed, judge, judged))
    measured = sum(signal.raised is not None for signal in signals)
    paths = [watch_folder(project) / made.id / IMPORT for made in watched.imports]
    paths += [reference.folder / RELEASE, reference.dataset / "manifest.json"]
    report = DriftReport(
        release=reference.release.id,
        dataset=reference.dataset.name,
        against=f"{len(reference.rows):,} {reference.split} rows of {reference.dataset.name}",
        since=since,
        seed=seed,
        traffic=traffic(requests),
        signals=signals,
        any_alarm=min(1.0, round(measured * FALSE_ALARM, 4)),
        notes=_notes(reference, requests, watched.unmatched, sum(not each.at for each in drawn) if since else 0),
        made_from=hashes(project.root, *paths),
    )
    write_artefact(report_file(project), report)
    return report


def report_file(project: Project) -> Path:
    """`watch/report.json`."""
    return watch_folder(project) / REPORT


def traffic(requests: Sequence[Logged]) -> Traffic:
    """Plain figures; money and time only where every request of them says."""
    times = sorted(each.at for each in requests if each.at)
    seconds = sorted(each.seconds for each in requests if each.seconds is not None)
    return Traffic(
        requests=len(requests),
        distinct=len({normal(each.example.question) for each in requests}),
        failed=sum(bool(each.error) for each in requests),
        rated=sum(each.rating is not None for each in requests),
        rated_low=sum(map(is_low, requests)),
        edited=sum(bool(each.edit) for each in requests),
        first_at=times[0] if times else "",
        last_at=times[-1] if times else "",
        models=Counter(each.model or "unknown" for each in requests),
        input_tokens=_sum([each.input_tokens for each in requests]),
        output_tokens=_sum([each.output_tokens for each in requests]),
        cost_usd=_sum([each.cost_usd for each in requests]),
        p50_seconds=seconds[len(seconds) // 2] if seconds else None,
        p95_seconds=seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))] if seconds else None,
    )


def _sum(values: Sequence[Any]) -> Any:
    return sum(values) if values and None not in values else None


def _notes(reference: Reference, requests: Sequence[Logged], unmatched: int, timeless: int) -> list[str]:
    found = []
    if reference.split == "test":
        found.append(f"{reference.dataset.name} has no train rows: requests are compared with its test items.")
    if not reference.answered:
        found.append("The report that the release was made from is not here, so form and refusals have no measure.")
    early = sum(bool(e.at) and e.at < reference.release.created_at.isoformat() for e in requests)
    if early:
        found.append(f"{early:,} requests are older than {reference.release.id}; --since leaves them out.")
    if unmatched:
        found.append(f"{unmatched:,} pieces of feedback speak of requests that are not here.")
    if timeless:
        found.append(f"{timeless:,} requests have no time that can be read, so --since leaves them out.")
    return found


def all_signals(reference: Reference, requests: Sequence[Logged], questions: Sequence[str], seed: int) -> list[Signal]:
    """Return every signal that needs no model; `questions` are those of the requests, as rows would have them."""
    asked = distinct([bare(question) for question in questions])
    rows = distinct([bare(mask(row.question)) for row in reference.rows])
    answered = [each for each in requests if not each.error]
    calls = [row.is_answered and bool(row.messages[-1].get("tool_calls")) for row in reference.rows]
    said = [mask(row.answer or "") for row, is_call in zip(reference.rows, calls, strict=True) if not is_call]
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


def _shares(reference: Reference, answered: Sequence[Logged]) -> list[Signal]:
    """Form errors and refusals, against what the released model answered on its test items."""
    form = ProductionForm(reference)
    texts = [each for each in answered if not each.tool_calls or each.finish == "length"]
    return [
        _share("form_errors", f"Errors of form ({form.words})", reference, texts, form.wrong),
        _share("refusals", "Refusals", reference, answered, lambda text, stopped: stopped in FILTERED or refuses(text)),
    ]


def _share(
    name: str, title: str, reference: Reference, requests: Sequence[Logged], bad: Callable[[str, str], bool]
) -> Signal:
    signal = _signal(name, title, "answers of the released model on its test items")
    hits = [bad(each.answer, each.finish) for each in requests]
    found = share_signal(signal, hits, [bad(o.output, o.stopped) for o in reference.answered])
    shown = itertools.islice(itertools.compress(requests, hits), 5)
    return revised(found, evidence=tuple(f"{e.ref}: {e.answer[:80]}" for e in shown))


def _later(requests: Sequence[Logged], seed: int) -> list[Signal]:
    """Return signals that need no rows: the later half of the requests against the earlier half."""
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
    """Return the share of hits in the later half against the earlier half."""
    hits, half = list(map(is_hit, requests)), len(requests) // 2
    return share_signal(signal, hits[half:], hits[:half])


def is_low(each: Logged) -> bool:
    """True if a person rated the answer bad."""
    return each.rating is not None and each.rating < 0


def judge_signal(
    reference: Reference, asked: Sequence[tuple[str, Logged]], seed: int, judge: Judge | None, judged: int
) -> Signal:
    """Compare a judge on a sample of answers with its rulings on test items, both without a reference."""
    signal = _signal("judge", "Answers that the judge rejects", "answers to test items, by the same judge")
    if judge is None:
        return unmeasured(signal, "no judge was asked: [judge] in rung.toml, then rung watch report --judge 50")
    test = load_split(reference.dataset, "test")
    before = [(mask(o.asked(test)), mask(o.output)) for o in reference.answered]
    now = [(question, each.answer) for question, each in asked if each.answer and not each.error]
    sides = [
        [side[place] for place in draw(seed, [f"judge {n}" for n in range(len(side))], min(judged, len(side)))]
        for side in (now, before)
    ]
    bad = [not good for good in judge([*sides[0], *sides[1]])]
    return share_signal(signal, bad[: len(sides[0])], bad[len(sides[0]) :])


def bare(text: str) -> str:
    """Return the text without the marks of what was masked: `[PHONE]` is no word that anybody used."""
    return MASK.sub(" ", text)


def distinct(texts: Sequence[str]) -> list[str]:
    """Return each text once, by its normal form: one who asks the same a hundred times is one question."""
    return list({normal(text): text for text in reversed(texts)}.values())[::-1]


def _signal(name: str, title: str, against: str) -> Signal:
    return Signal(name=name, title=title, against=against)


def _words(texts: Sequence[str]) -> list[int]:
    return [len(words(text)) for text in texts]


class ProductionForm:
    """Required form of an answer, as far as the rows say: one of a closed set, or a JSON object with their keys."""

    def __init__(self, reference: Reference) -> None:
        self.choices = {normal(mask(choice)) for choice in reference.choices}
        found = {_keys(row.answer or "") for row in reference.rows}
        self.keys = found.pop() if len(found) == 1 and not self.choices else None
        if self.choices:
            self.words = f"empty, cut, or none of the {len(self.choices):,} known answers"
        elif self.keys is not None:
            self.words = "empty, cut, or no JSON object with the rows' keys"
        else:
            self.words = "empty or cut"

    def wrong(self, answer: str, stopped: str) -> bool:
        """True if the answer is empty, cut, or not of that form."""
        if not answer.strip() or stopped == "length":
            return True
        if self.choices:
            return normal(answer) not in self.choices
        return self.keys is not None and _keys(answer) != self.keys


def _keys(answer: str) -> frozenset[str] | None:
    """Return the keys of a JSON object; a number that was masked is a value as well: `{"phone": [PHONE]}`."""
    try:
        value: Any = json.loads(MASK.sub("null", answer))
    except (ValueError, RecursionError):
        return None
    return frozenset(value) if isinstance(value, dict) else None


NO_REFERENCE = "(none: judge by the question alone)"


def judge_of(
    project: Project, settings: Settings, model: ChatModel, replies: Replies, watch: Progress | None = None
) -> Judge:
    """Return a judge of (question, answer) pairs by judge.md; an unreadable reply is no. RungError without it."""
    asked = project_judge(project, settings, model, replies)

    def judge(pairs: Sequence[tuple[str, str]]) -> list[bool]:
        found = asked.grade([Case(question, NO_REFERENCE, answer) for question, answer in pairs], watch)
        return [score is not None and score >= settings.judge.passing for score in found]

    return judge
