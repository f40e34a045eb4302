"""Money: from how many calls a day a tuned small model pays."""

from __future__ import annotations

from datetime import date

from advisor.answers import Answers
from advisor.decision import BreakEven


def break_even(answers: Answers, base_model: str | None, as_of: date) -> BreakEven | None:
    """See rules/prices.toml."""
    return None
