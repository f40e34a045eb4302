"""Token F1 as in SQuAD's official evaluate-v1.1: lower case, punctuation and the articles a, an, the removed, split at
white space; harmonic mean of the share of output tokens that are right and of expected tokens that are found.
"""

from __future__ import annotations

import re
import string
from collections import Counter

ARTICLES = re.compile(r"\b(a|an|the)\b")


def tokens(text: str) -> list[str]:
    """SQuAD's normalised tokens."""
    bare = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return ARTICLES.sub(" ", bare).split()


def score(output: str, expected: str) -> float:
    """F1 in 0..1; 1.0 where both have no token, 0.0 where one has none."""
    found, wanted = tokens(output), tokens(expected)
    if not found or not wanted:
        return float(found == wanted)
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))
