"""A ladder's calls, tokens and dollars before the first call: it is walked with a model that only counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chat.prices import Usage
from chat.privacy import unguarded
from chat.protocols import Ask, ChatModel, ModelWrapper, Progress, Reply
from evaluation.arms.prompted import OPTIMISED
from evaluation.arms.registry import ASKING_NOTHING, Arm
from evaluation.ask import Replies
from evaluation.baseline import choose_all, measure_choice
from evaluation.bench import Bench
from evaluation.metrics.item_metrics import ItemMetric
from workspace.json_types import JsonObject

CHARS = 4
"""Characters of a token: English text by the tokenizers of 2026 has 3.5 to 4.5."""
FRAME = 14
"""Characters of `{"answer": ""}`, which holds an answer of a closed set."""
LONGEST = 1e7
"""Characters of a prompt, as a score of 1."""


@dataclass
class CallCount:
    """Calls and their tokens; `usd` is None as soon as one call has no known price."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """What a ladder still has to ask: with the shortest and with the longest variant of each arm chosen.

    `left_out` names arms whose calls cannot be counted beforehand. Replies that are known already are not in it.
    """

    low: CallCount
    high: CallCount
    left_out: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """For `--json`."""
        names = ("calls", "input_tokens", "output_tokens", "usd")
        counts = {name: [getattr(self.low, name), getattr(self.high, name)] for name in names}
        return {**counts, "left_out": list(self.left_out)}


def plan_ladder(bench: Bench, arms: Sequence[Arm]) -> LadderPlan:
    """Count what `run_baseline` would ask, without asking or writing anything."""
    asking = [arm for arm in arms if arm.name not in (*ASKING_NOTHING, OPTIMISED)]
    low, high = (_walk(bench, asking, sign) for sign in (-1, 1))
    judged = ["judge"] if bench.desk.metric.judged else []
    return LadderPlan(low, high, tuple([arm.name for arm in arms if arm.name == OPTIMISED] + judged))


def _walk(bench: Bench, arms: Sequence[Arm], sign: int) -> CallCount:
    """The calls where on validation the longest prompts do best (`sign` 1), or the shortest."""
    count = CallCount()
    answers = [len(item.expected) for item in (*bench.choosing, *bench.items)]
    written = sum(answers) / max(1, len(answers))

    def by_length(output: str, expected: str) -> float:
        chars = int(output) if output.isdecimal() else 0
        return max(0.0, min(1.0, 0.5 + sign * chars / LONGEST))

    metric = ItemMetric("planned", "", by_length)
    replies = CountedReplies(Path(), known=dict(bench.desk.replies.known))
    desk = replace(bench.desk, metric=metric, judge=None, replies=replies)

    def counting(model: ChatModel) -> Counting:
        return Counting(model, count, written)

    counted = replace(
        bench,
        desk=replace(desk, model=counting(bench.desk.model)),
        bigger=counting(bench.bigger) if bench.bigger else None,
        own={name: counting(model) for name, model in bench.own.items()},
        watch=lambda what: None,
        label_scoring=False,
    )
    for choice in choose_all(counted, arms)[0] if arms else ():
        measure_choice(counted, choice, counted.items)
    return count


@dataclass
class CountedReplies(Replies):
    """Replies that are kept in memory alone."""

    def __post_init__(self) -> None:
        """Read no file."""

    def keep(self, key: str, reply: Reply) -> None:
        """Remember it."""
        self.known[key] = reply


@dataclass
class Counting(ModelWrapper):
    """Counts what a model would be asked. It replies with the length of the prompt."""

    model: ChatModel
    count: CallCount
    written: float

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Count them."""
        return [self._counted(ask) for ask in asks]

    def _counted(self, ask: Ask) -> Reply:
        chars = sum(len(str(turn.get("content") or "")) for turn in ask.turns)
        said = max(map(len, ask.choices)) + FRAME if ask.choices else self.written
        usage = Usage(chars // CHARS, min(ask.max_tokens, round(said) // CHARS + 1))
        self.count.calls += 1
        self.count.input_tokens += usage.input
        self.count.output_tokens += usage.output
        usd = _cost(self.model, usage)
        self.count.usd = None if usd is None or self.count.usd is None else self.count.usd + usd
        return Reply(str(chars), usage.input, usage.output, 0.0)


def _cost(model: ChatModel, usage: Usage) -> float | None:
    """Dollars of a call; 0 of a model on this machine that names no price."""
    cost = getattr(unguarded(model), "cost", None)
    found: float | None = cost(usage) if cost else 0.0 if model.is_local else None
    return found
