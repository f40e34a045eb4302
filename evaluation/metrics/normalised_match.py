"""Normalised exact match. Stated way: NFC, case folding, white space collapsed, `. , ; : ! ?` and quotes that end a
word taken off. No article or word is removed, so `C` is not `C++` and `1` is not `-1`.
"""

from __future__ import annotations

import re
import unicodedata

ENDINGS = re.compile(r"[.,;:!?\"'”’»]+(?=\s|$)")
OPENINGS = re.compile(r"(?<!\S)[\"'“‘«]+")


def normalise(text: str) -> str:
    """The form that is compared."""
    folded = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return " ".join(OPENINGS.sub("", ENDINGS.sub("", folded)).split())


def score(output: str, expected: str) -> float:
    """1.0 or 0.0."""
    return float(normalise(output) == normalise(expected))
