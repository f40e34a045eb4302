"""Forgetting: a general suite before and after training. Shown to be kept only where the lower bound allows it.

Twenty items a skill, the same each time: sums come from a fixed seed, cities and continents from the time zone database
that Python reads (or the package tzdata), number words are here. A project's own suite is `general.jsonl`; the safety
suite is in rules/general.toml.
"""

from __future__ import annotations

import json
import random
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from chat.protocols import Ask, ChatModel, Progress
from evaluation.ask import Replies, ask_all
from evaluation.metrics.text import normalised_match, refuses
from evaluation.retrieval.passages import holds
from evaluation.verdict.compare import compare
from evaluation.verdict.intervals import TOLERANCE
from workspace.artefact import ArtefactPart
from workspace.errors import InputError, Problem
from workspace.files import line_problems, sha256_bytes
from workspace.shipped_rules import rule_file

MAX_TOKENS = 32


class Kept(ArtefactPart):
    """What became of a suite. Scores are shares of right answers; the interval is that of the verdict's method, at 95%.
    `passed` where `low` is above -limit, else `not_shown`.
    """

    status: Literal["passed", "not_shown"]
    n: int
    before: float
    after: float
    difference: float
    low: float
    high: float
    limit: float

    def said(self, items: str) -> str:
        """The result as a phrase; `items` names what was asked."""
        moved = f"{100 * self.before:.0f}% before, {100 * self.after:.0f}% after, at worst {100 * self.low:+.1f} points"
        kept = "kept what it could" if self.status == "passed" else "not shown to keep what it could"
        return f"{kept} on {self.n} {items} ({moved}; limit {-100 * self.limit:+.3g})"


class Forgetting(Kept):
    """What became of the general suite, with `skills` before and after, and of the safety suite."""

    skills: dict[str, tuple[float, float]]
    suite_sha256: str
    safety: Kept | None = None

    @property
    def lost(self) -> bool:
        """Whether one of the two was not shown to be kept."""
        return any(suite.status != "passed" for suite in (self, self.safety) if suite)

    def words(self) -> str:
        """For the verdict's notes."""
        found = f"Forgetting: {self.said('general items')}"
        found += f". Safety: {self.safety.said('requests to refuse')}" if self.safety else ""
        return f"{found}. {REMEDY}" if self.lost else found


NOT_MEASURED = "Forgetting was not measured: rung evaluate --forgetting"
REMEDY = "Halve the learning rate first, then set or raise [training] replay"


def measure_forgetting(
    items: Sequence[GeneralItem],
    before: ChatModel,
    after: ChatModel,
    replies: Replies,
    limit: float,
    watch: Progress | None = None,
) -> Forgetting:
    """Ask both models each question of the suite, and the safety suite, without a system message; compare in pairs."""
    refused = safety()
    asks = [Ask(({"role": "user", "content": item.question},), MAX_TOKENS) for item in [*items, *refused]]
    old, new = (
        [
            float(item.right(reply.text, reply.stopped))
            for item, reply in zip([*items, *refused], ask_all(model, asks, replies, watch), strict=True)
        ]
        for model in (before, after)
    )
    n = len(items)
    return Forgetting(
        **_kept(old[:n], new[:n], limit).model_dump(),
        skills=_by_skill(items, old[:n], new[:n]),
        suite_sha256=sha256_bytes("\n".join(item.question for item in items).encode()),
        safety=_kept(old[n:], new[n:], limit),
    )


def _kept(old: Sequence[float], new: Sequence[float], limit: float) -> Kept:
    result = compare(old, new)
    return Kept(
        status="passed" if result.low > -limit + TOLERANCE else "not_shown",
        n=len(old),
        before=result.baseline,
        after=result.tuned,
        difference=result.difference,
        low=result.low,
        high=result.high,
        limit=limit,
    )


def _by_skill(
    items: Sequence[GeneralItem], old: Sequence[float], new: Sequence[float]
) -> dict[str, tuple[float, float]]:
    places: dict[str, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.skill, []).append(place)
    return {
        skill: (sum(old[p] for p in found) / len(found), sum(new[p] for p in found) / len(found))
        for skill, found in places.items()
    }


OWN_SUITE = "general.jsonl"
EACH = 20
SEED = 13
CONTINENTS = ("Africa", "America", "Asia", "Australia", "Europe")
WORDS = ("river", "stone", "window", "summer", "garden", "letter", "morning", "bridge", "music", "paper")
NUMBERS = {
    "Spanish": ("uno", "dos", "tres", "cuatro", "cinco"),
    "French": ("un", "deux", "trois", "quatre", "cinq"),
    "German": ("eins", "zwei", "drei", "vier", "fünf"),
    "Italian": ("uno", "due", "tre", "quattro", "cinque"),
}


@dataclass(frozen=True, slots=True)
class GeneralItem:
    """A question of the suite: its skill, and whether an output (and why it stopped) is right."""

    skill: str
    question: str
    right: Callable[[str, str], bool]


def suite(root: Path | None = None) -> list[GeneralItem]:
    """The project's own suite where `general.jsonl` exists, else the built-in one.

    Raises InputError with every line that is not `{"question": ..., "answer": ..., "skill": optional}`.
    """
    path = root / OWN_SUITE if root else None
    if path is not None and path.is_file():
        return _own(path)
    return [*_sums(), *_forms(), *_places(), *_languages()]


def _own(path: Path) -> list[GeneralItem]:
    items: list[GeneralItem] = []

    def fault(line: str) -> str:
        try:
            row = json.loads(line)
            said = [row["question"], row["answer"]]
        except (ValueError, TypeError, KeyError):
            said = []
        if not said or not all(isinstance(text, str) and text.strip() for text in said):
            return "is no question with its answer."
        items.append(GeneralItem(str(row.get("skill", "general")), said[0], _matches(said[1])))
        return ""

    problems = line_problems(path, '{"question": text, "answer": text, "skill": optional text}', fault)
    if problems or not items:
        raise InputError(problems or [Problem("holds no item.", path.name)])
    return items


def _matches(answer: str) -> Callable[[str, str], bool]:
    return lambda output, _: normalised_match(output, answer) == 1.0


def _holds(word: str) -> Callable[[str, str], bool]:
    """Return whether the first line holds the word, as a word."""
    return lambda output, _: holds(output.strip().partition("\n")[0], word)


def _is(text: str) -> Callable[[str, str], bool]:
    return lambda output, _: output.strip() == text


def _sums() -> list[GeneralItem]:
    draw = random.Random(SEED)
    pairs = [(draw.randint(2, 30), draw.randint(2, 30)) for _ in range(EACH)]
    return [
        GeneralItem("arithmetic", f"What is {a} + {b}? Answer with the number.", _holds(str(a + b))) for a, b in pairs
    ]


def _forms() -> list[GeneralItem]:
    capitals = [
        GeneralItem("format", f"Write the word {w} in capital letters and nothing else.", _is(w.upper())) for w in WORDS
    ]
    lists = [
        GeneralItem("format", f"Repeat exactly and write nothing else: {w}, {v}", _is(f"{w}, {v}"))
        for w, v in zip(WORDS, reversed(WORDS), strict=True)
    ]
    return capitals + lists


def _places() -> list[GeneralItem]:
    names = sorted(n for n in zoneinfo.available_timezones() if n.count("/") == 1 and n.split("/")[0] in CONTINENTS)
    cities = [tuple(name.split("/")) for name in names if name.split("/")[1].isalpha()]
    drawn = random.Random(SEED).sample(cities, min(EACH, len(cities)))
    choices = ", ".join(CONTINENTS)
    return [
        GeneralItem("knowledge", f"On which continent is {city}? Choose one: {choices}.", _holds(continent))
        for continent, city in drawn
    ]


def _languages() -> list[GeneralItem]:
    return [
        GeneralItem("other language", f"Write the number {n} as a word in {language}.", _holds(word))
        for language, words in NUMBERS.items()
        for n, word in enumerate(words, 1)
    ]


def safety() -> list[GeneralItem]:
    """120 requests that a model in the public's hands refuses."""
    requests = rule_file("general.toml")["safety"]["requests"]
    return [GeneralItem("refusal", request, refuses) for request in requests]
