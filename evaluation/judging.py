"""A model as judge: what it is asked, and how its replies are read. What to believe: evaluation/judge_error.py."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from chat.protocols import Ask, ChatModel, Progress
from evaluation.asking import Replies, ask_all
from workspace.errors import RungError
from workspace.files import read_utf8
from workspace.folder import Project

RUBRIC_FILE = "judge.md"
MAX_TOKENS = 8
Preference = Literal["A", "B", "tie"]
Judge = Callable[[Sequence["Case"]], list[float]]
"""From cases to scores in 0..1."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: a question, the reference answer, and an output."""

    question: str
    expected: str
    output: str


@dataclass(frozen=True, slots=True)
class Pairs:
    """Preferences between two outputs of each item: 1 for the first, -1 for the second, 0 for a tie.

    `flipped` is the share of items on which the judge followed the place instead of the text (they count as ties);
    `longer` the share of decided items on which the longer output won, None where none was decided.
    """

    preferences: tuple[int, ...]
    flipped: float
    longer: float | None


def read_rubric(project: Project) -> str:
    """judge.md. Raises RungError where it is missing or empty."""
    path = project.root / RUBRIC_FILE
    text = read_utf8(path).strip() if path.is_file() else ""
    if not text:
        raise RungError(f"{RUBRIC_FILE} is missing or empty: it says what a good answer is.", where=str(path))
    return text


def rubric_ask(rubric: str, case: Case) -> Ask:
    """Yes or no on one output."""
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{case.question}\n\nReference answer:\n{case.expected}\n\n"
        f"Answer to judge:\n{case.output}\n\nDoes the answer to judge meet the rubric? Reply with YES or NO."
    )
    return Ask(({"role": "user", "content": text},), MAX_TOKENS)


def judge_rubric(
    model: ChatModel, rubric: str, cases: Sequence[Case], replies: Replies, watch: Progress | None = None
) -> list[bool | None]:
    """Yes, no, or None for a reply that is neither."""
    found = ask_all(model, [rubric_ask(rubric, case) for case in cases], replies, watch)
    return [_yes_or_no(reply.text) for reply in found]


def _yes_or_no(text: str) -> bool | None:
    word = re.match(r"\W*(yes|no)\b", text, re.IGNORECASE)
    return word[1].lower() == "yes" if word else None


def score_ask(rubric: str, case: Case) -> Ask:
    """A whole number from 1 to 5 on one output."""
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{case.question}\n\nReference answer:\n{case.expected}\n\n"
        f"Answer to judge:\n{case.output}\n\nHow well does the answer to judge meet the rubric? Reply with a whole "
        "number from 1 (not at all) to 5 (fully)."
    )
    return Ask(({"role": "user", "content": text},), MAX_TOKENS)


def judge_scores(
    model: ChatModel, rubric: str, cases: Sequence[Case], replies: Replies, watch: Progress | None = None
) -> list[float | None]:
    """0, .25, .5, .75 or 1 for the numbers 1 to 5; None for a reply that is no such number."""
    found = ask_all(model, [score_ask(rubric, case) for case in cases], replies, watch)
    return [_one_to_five(reply.text) for reply in found]


def _one_to_five(text: str) -> float | None:
    number = re.match(r"\W*([1-5])(?![\d.,]*\d)", text)
    return (int(number[1]) - 1) / 4 if number else None


def scorer(model: ChatModel, kind: str, rubric: str, replies: Replies) -> Judge:
    """The judge as a metric of single items; a reply that cannot be read scores 0."""

    def scores(cases: Sequence[Case]) -> list[float]:
        if kind == "score":
            return [value or 0.0 for value in judge_scores(model, rubric, cases, replies)]
        return [float(value or False) for value in judge_rubric(model, rubric, cases, replies)]

    return scores


def judge_pairs(
    model: ChatModel,
    rubric: str,
    first: Sequence[Case],
    second: Sequence[Case],
    replies: Replies,
    watch: Progress | None = None,
) -> Pairs:
    """Ask each pair in both orders; only a preference that survives the exchange counts."""
    pairs = list(zip(first, second, strict=True))
    asks = [_pair_ask(rubric, a, b) for a, b in pairs] + [_pair_ask(rubric, b, a) for a, b in pairs]
    said = [_preference(reply.text) for reply in ask_all(model, asks, replies, watch)]
    there, back = said[: len(pairs)], said[len(pairs) :]
    preferences = [_settled(one, other) for one, other in zip(there, back, strict=True)]
    flips = sum(one == other != "tie" for one, other in zip(there, back, strict=True))
    gaps = [(p, len(a.output) - len(b.output)) for p, (a, b) in zip(preferences, pairs, strict=True)]
    decided = [p * gap > 0 for p, gap in gaps if p and gap]
    return Pairs(tuple(preferences), flips / max(1, len(pairs)), sum(decided) / len(decided) if decided else None)


def _pair_ask(rubric: str, a: Case, b: Case) -> Ask:
    text = (
        f"{rubric.strip()}\n\nQuestion:\n{a.question}\n\nReference answer:\n{a.expected}\n\nAnswer A:\n{a.output}\n\n"
        f"Answer B:\n{b.output}\n\nWhich answer meets the rubric better? Reply with A, B or TIE."
    )
    return Ask(({"role": "user", "content": text},), MAX_TOKENS)


def _preference(text: str) -> Preference:
    word = re.match(r"\W*(a|b|tie)\b", text, re.IGNORECASE)
    return "tie" if word is None or word[1].lower() == "tie" else "A" if word[1].upper() == "A" else "B"


def _settled(there: Preference, back: Preference) -> int:
    if there == "A" and back == "B":
        return 1
    return -1 if there == "B" and back == "A" else 0
