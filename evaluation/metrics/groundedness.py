"""Groundedness of an answer that was given beside passages: the share of its statements that the passages support.

After Gao et al. 2023 (arXiv:2305.14627), with a simpler support: they ask an entailment model, here a statement is
supported where at least `SUPPORTED` of its content words, and every number in it, are in the passages. It finds what
was made up out of nothing, not a word turned round.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

SUPPORTED = 0.6
"""Share of the content words; the exact value matters little, for a made-up sentence shares few."""
MARK = re.compile(r"\[\d+(?:\s*[,;]\s*\d+)*\]")
"""A citation that a model writes by itself: `[1, 2]`."""
SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
WORD = re.compile(r"\w+")
SHORT = re.compile(
    "an?|and|are|as|at|be|but|by|for|from|has|have|in|is|it|its|no|not|of|on|or|s|so|such|t|than|that|the|their|then|"
    "there|these|they|this|to|was|were|which|will|with"
)
"""Words without content."""


def grounded(answer: str, passages: Sequence[str]) -> float | None:
    """The share of the answer's statements that are supported, 0..1; None where it states nothing."""
    there = set(WORD.findall("\n".join(passages).lower()))
    statements = [content(sentence) for sentence in SENTENCE.split(MARK.sub("", answer))]
    supported = [_supports(there, words) for words in statements if words]
    return sum(supported) / len(supported) if supported else None


def content(text: str) -> list[str]:
    """Words in lower case, without those that carry no content."""
    return [word for word in WORD.findall(text.lower()) if not SHORT.fullmatch(word)]


def _supports(there: set[str], words: Sequence[str]) -> bool:
    """Whether enough of the words are there, and every one with a digit."""
    if any(word not in there for word in words if any(c.isdigit() for c in word)):
        return False
    return sum(word in there for word in words) >= SUPPORTED * len(words)
