"""Reason codes: the list of rung.toml, by number, words or code."""

from __future__ import annotations

import re
from collections.abc import Sequence


def reason_of(given: str, known: Sequence[str]) -> str:
    """The reason that a number (from 1), a code (`wrong_answer`) or its words stand for; any other text as it is."""
    text = given.strip()
    if text.isdigit() and 1 <= int(text) <= len(known):
        return known[int(text) - 1]
    codes = {code_of(reason): reason for reason in known}
    return codes.get(code_of(text), text)


def code_of(reason: str) -> str:
    """`wrong answer` as `wrong_answer`."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")
