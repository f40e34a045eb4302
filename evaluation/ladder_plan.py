"""A ladder's calls, tokens and dollars before the first call: it is walked with models that only count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

from chat.prices import Usage
from chat.privacy import SentCalls, unguarded
from chat.protocols import Ask, ChatModel, ModelWrapper, Progress, Reply, request_key
from chat.thinking import ROOM
from evaluation.arms.optimising import most_words
from evaluation.arms.registry import ASKING_NOTHING, Arm
from evaluation.ask import Replies, ask_all
from evaluation.baseline import choose_all, measure_choice
from evaluation.bench import Bench
from evaluation.judge.model_judge import Case, ModelJudge, grade_ask
from workspace.json_types import JsonObject

CHARS = 4
"""Characters of a token: English text by the tokenizers of 2026 has 3.5 to 4.5."""
FRAME = 14
"""Characters of `{"answer": ""}`, which holds an answer of a closed set."""
VERDICT = 4
"""Characters of a judge's verdict."""
WORD = 6
"""Characters of a word with its space."""
LONGEST = 1e7
"""Characters of a prompt, as a score of 1."""
MARK = "\0"
"""Mark in a planned reply, between the length of its prompt and its number."""


@dataclass(frozen=True, slots=True)
class CallCount:
    """Calls and their tokens; `usd` is None if a price is not known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    usd: float | None = 0.0


@dataclass(frozen=True, slots=True)
class LadderPlan:
    """Calls that a ladder still has to make: with the shortest and with the longest variant of each arm.

    `left_out` names what cannot be counted beforehand. Replies that are known already are not in it.
    """

    low: CallCount
    high: CallCount
    left_out: tuple[str, ...] = ()

    def as_json(self) -> JsonObject:
        """Return the fields of `--json`."""
        names = ("calls", "input_tokens", "output_tokens", "usd")
        counts = {name: [getattr(self.low, name), getattr(self.high, name)] for name in names}
        return {**counts, "left_out": list(self.left_out)}


def plan_ladder(bench: Bench, arms: Sequence[Arm]) -> LadderPlan:
    """Count what `run_baseline` would ask, without asking or writing anything."""
    asking = [arm for arm in arms if arm.name not in ASKING_NOTHING]
    low, high = (_walk(bench, asking, sign) for sign in (-1, 1))
    unknown = any(model.may_think for model in high)
    return LadderPlan(_sum(low), _sum(high), ("thinking",) if unknown else ())


def _sum(models: Sequence[Counting]) -> CallCount:
    counts = [model.count() for model in models]
    prices = [count.usd for count in counts if count.calls]
    return CallCount(
        sum(count.calls for count in counts),
        sum(count.input_tokens for count in counts),
        sum(count.output_tokens for count in counts),
        None if None in prices else sum(price or 0.0 for price in prices),
    )


def _walk(bench: Bench, arms: Sequence[Arm], sign: int) -> list[Counting]:
    """Return every model with its calls, where the longest prompts do best (`sign` 1), or the shortest.

    With the longest, a rewritten instruction has all the words that it may have, with the shortest half of them; and of
    a closed set a judge then sees one output for each item.
    """
    answers = [len(item.expected) for item in (*bench.choosing, *bench.items)]
    written = round(sum(answers) / max(1, len(answers)))
    rewritten = WORD * most_words(bench.desk.choices) // (1 if sign > 0 else 2)
    known, models = bench.desk.replies.known, list[Counting]()

    def counting(model: ChatModel, characters: int = written, growing: bool = False) -> Counting:
        models.append(Counting(model, known, characters, growing=growing, most=sign > 0))
        return models[-1]

    replies, judge = CountedReplies(Path()), bench.desk.judge
    counted = CountedJudge(counting(judge.model, VERDICT), judge, replies, written, sign) if judge else None
    if counted:
        counted.alike = sign < 0 and bench.closed
    metric = replace(bench.desk.metric, score=lambda output, _: _by_length(output, sign), by_tools=False)
    desk = replace(bench.desk, model=counting(bench.desk.model), metric=metric, judge=counted, replies=replies)
    walked = replace(
        bench,
        desk=desk,
        bigger=counting(bench.bigger) if bench.bigger else None,
        own={name: counting(model) for name, model in bench.own.items()},
        writer=counting(bench.writer, rewritten, growing=True) if bench.writer else None,
        watch=lambda what: None,
        label_scoring=False,
    )
    for choice in choose_all(walked, arms)[0] if arms else ():
        measure_choice(walked, choice, walked.items)
    return models


def _by_length(output: str, sign: int) -> float:
    length, mark, _ = output.partition(MARK)
    share = min(int(length) if mark else 0, LONGEST) / LONGEST
    return share if sign > 0 else 2.0 - share


@dataclass
class CountedReplies(Replies):
    """Replies that are kept in memory alone."""

    def __post_init__(self) -> None:
        """Read no file."""
        self.calls = SentCalls(Path())

    def keep(self, key: str, reply: Reply) -> None:
        """Remember it."""
        self.known[key] = reply


class CountedJudge(ModelJudge):
    """Counts what a judge would be asked; the scores are of the prompts' lengths."""

    def __init__(self, model: ChatModel, judge: ModelJudge, replies: Replies, written: int, sign: int) -> None:
        super().__init__(model, judge.kind, judge.rubric, replies, judge.room)
        self.written, self.sign, self.alike = written, sign, False

    def __call__(self, cases: Sequence[Case]) -> list[float]:
        """Return a score a case."""
        # an answer has the usual length; of a closed set all arms may give an item the same one
        shown = [
            replace(case, output=" " * self.written if self.alike else case.output.ljust(self.written))
            if MARK in case.output
            else case
            for case in cases
        ]
        ask_all(self.model, [grade_ask(self.kind, self.rubric, case, self.room) for case in shown], self.replies)
        return [_by_length(case.output, self.sign) for case in cases]


@dataclass
class Counting(ModelWrapper):
    """Counts what a model would be asked, `written` characters in an answer. Its replies name the prompt's length.

    What it answered before, `known`, is not counted: its true tokens correct the estimate, thinking included. `most`
    gives one that is switched to think, and answered nothing yet, all its room; `growing` replies are texts, each
    longer than the one before.
    """

    model: ChatModel
    known: Mapping[str, Reply]
    written: int
    growing: bool = False
    most: bool = False
    new: list[tuple[Usage, Ask]] = field(default_factory=list)
    seen: list[tuple[Usage, Reply]] = field(default_factory=list)

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """Count them."""
        return [self._counted(ask) for ask in asks]

    def _counted(self, ask: Ask) -> Reply:
        chars = sum(len(str(turn.get("content") or "")) for turn in ask.turns)
        said = max(map(len, ask.choices)) + FRAME if ask.choices else self.written
        usage = Usage(chars // CHARS, min(ask.max_tokens, said // CHARS + 1))
        if found := self.known.get(request_key(self.name, ask)):
            self.seen.append((usage, found))
            return found
        self.new.append((usage, ask))
        number = len(self.new)
        text = "x" * (self.written + number) if self.growing else f"{chars}{MARK}{number}"
        return Reply(text, usage.input, usage.output, 0.0)

    @property
    def may_think(self) -> bool:
        """True if the model thinks, or nothing says whether and how much it does."""
        return bool(self.new) and not self.seen and self._thinking is None

    @property
    def _thinking(self) -> bool | None:
        return cast("bool | None", getattr(unguarded(self.model), "enable_thinking", False))

    def count(self) -> CallCount:
        """Return the calls that are new."""
        asked, written = (sum(getattr(usage, side) for usage, _ in self.new) for side in ("input", "output"))
        guessed, real = sum(usage.input for usage, _ in self.seen), sum(reply.input_tokens for _, reply in self.seen)
        asked = round(asked * real / guessed) if real and guessed else asked
        more = sum(reply.output_tokens - usage.output for usage, reply in self.seen) / max(1, len(self.seen))
        written = max(len(self.new), round(written + more * len(self.new)))
        if self.most and self._thinking and not self.seen:
            written += sum(int(ask.meta.get("thinking_tokens", ROOM)) for _, ask in self.new)
        cached = sum(reply.cached_tokens for _, reply in self.seen)
        kept = round(asked * cached / real) if real else 0
        cost = getattr(unguarded(self.model), "cost", None)
        usd = cost(Usage(asked - kept, written, kept)) if cost else 0.0 if self.model.is_local else None
        return CallCount(len(self.new), asked, written, usd)
