"""Perplexity of the expected answers: exp(-sum of log-probabilities / units), over tokens and over UTF-8 bytes.

Per byte, models with different tokenizers compare; per token they do not. Lower is better; the end token counts as a
token (it is part of the answer) but adds no byte.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

from chat.protocols import Ask, Scorer


class Perplexity(NamedTuple):
    """Over all items together."""

    per_token: float
    per_byte: float


def perplexity(scorer: Scorer, asks: Sequence[Ask], answers: Sequence[str]) -> Perplexity:
    """Score `answers[i]` after `asks[i]`. Raises ValueError for no item or an answer without a byte."""
    scored = scorer.loglikelihoods(asks, answers)
    nats = -math.fsum(total for total, _ in scored)
    tokens = sum(count for _, count in scored)
    size = sum(len(answer.encode()) for answer in answers)
    if not tokens or not size:
        raise ValueError("no answer to score")
    return Perplexity(_exp(nats / tokens), _exp(nats / size))


def _exp(value: float) -> float:
    return math.exp(min(value, 700.0))
