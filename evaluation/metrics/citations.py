"""Citations and groundedness of an answer that was given beside numbered passages.

Citation recall: the share of an answer's statements that their cited passages support; citation precision: the share
of citations that support their statement (Gao et al. 2023, "Enabling Large Language Models to Generate Text with
Citations", arXiv:2305.14627). What counts as support is simpler than theirs: they ask an entailment model, here a
statement is supported where at least `SUPPORTED` of its content words, and every number in it, are in the passage.
Groundedness is the same share of statements against all passages shown, cited or not. It finds what was made up out of
nothing, not a word turned round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chat.protocols import Turn

SUPPORTED = 0.6
"""Share of the content words; the exact value matters little, for a made-up sentence shares few."""
MARK = re.compile(r"\s*\[(\d+(?:\s*[,;]\s*\d+)*)\]")
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
WORD = re.compile(r"\w+")
SHORT = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "but",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "no",
        "not",
        "of",
        "on",
        "or",
        "s",
        "so",
        "such",
        "t",
        "than",
        "that",
        "the",
        "their",
        "then",
        "there",
        "these",
        "they",
        "this",
        "to",
        "was",
        "were",
        "which",
        "will",
        "with",
    ]
)
ASK = "Cite the passages that you use by their numbers in square brackets, as [1], at the end of each sentence."


@dataclass(frozen=True, slots=True)
class Cited:
    """Over the statements of one answer, each 0..1. `precision` is None where nothing is cited, all where it says
    nothing.
    """

    precision: float | None
    recall: float | None
    grounded: float | None


def asking_to_cite(turns: Sequence[Turn]) -> tuple[Turn, ...]:
    """The turns with the wish for citations at the end of the last message."""
    last = dict(turns[-1])
    last["content"] = f"{last.get('content', '')}\n\n{ASK}"
    return (*turns[:-1], last)


def uncited(text: str) -> str:
    """The answer without its marks."""
    return MARK.sub("", text).strip()


def cited(answer: str, passages: Sequence[str]) -> Cited:
    """Hold an answer against the passages that were shown with it, numbered from 1."""
    supported = grounded = right = marks = statements = 0
    for sentence in filter(str.strip, SENTENCE.split(_marks_inside(answer))):
        words = content(uncited(sentence))
        if not words:
            continue
        statements += 1
        numbers = {int(n) for found in MARK.findall(sentence) for n in re.split(r"\s*[,;]\s*", found)}
        known = [passages[n - 1] for n in sorted(numbers) if 1 <= n <= len(passages)]
        marks += len(numbers)
        right += sum(supports(passage, words) for passage in known)
        supported += bool(known) and supports("\n".join(known), words)
        grounded += supports("\n".join(passages), words)
    if not statements:
        return Cited(None, None, None)
    return Cited(right / marks if marks else None, supported / statements, grounded / statements)


def _marks_inside(answer: str) -> str:
    """Marks after a full stop belong to the sentence before it."""
    return re.sub(r"([.!?])((?:\s*\[\d+(?:\s*[,;]\s*\d+)*\])+)", r"\2\1", answer)


def content(text: str) -> list[str]:
    """Words in lower case, without those that carry no content."""
    return [word for word in WORD.findall(text.lower()) if word not in SHORT]


def supports(passage: str, words: Sequence[str]) -> bool:
    """Whether the passage holds enough of the words, and every one with a digit."""
    there = set(WORD.findall(passage.lower()))
    if any(word not in there for word in words if any(c.isdigit() for c in word)):
        return False
    return sum(word in there for word in words) >= SUPPORTED * len(words)
