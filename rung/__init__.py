"""Rung: climb only as high as you need. The public API: `decide`, `dedup`, `leakage`, `verdict`."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from rung.api import dedup, leakage, verdict
from workspace.errors import InputError, Problem

if TYPE_CHECKING:
    from advisor.answers import Answers
    from advisor.decision import Decision

__version__ = "0.1.0"
__all__ = ["decide", "dedup", "leakage", "verdict"]


def decide(answers: Answers | None = None, /, *, as_of: date | None = None, **facts: Any) -> Decision:
    """Return the advice for typed answers, or for facts given by name (keys and values as in answers.toml).

    Uses the built-in rulebook. Raises InputError with all problems of the facts at once.
    """
    from advisor.answer_file import from_table
    from advisor.answers import Answers
    from advisor.decide import decide as decide_with
    from advisor.rulefiles import load_rulebook

    if not isinstance(answers, Answers | None):
        raise InputError([Problem("facts are given by name.", "decide", "decide(**facts)", type(answers).__name__)])
    if not isinstance(as_of, date | None):
        raise InputError([Problem(f"expected a date, found {as_of!r:.60}.", "as_of", "a datetime.date", str(as_of))])
    if answers is None or facts:
        known = {**(answers.known() if answers else {}), **facts}
        answers = from_table({key: "unknown" if value is None else value for key, value in known.items()}, "decide")
    return decide_with(load_rulebook(), answers, as_of or date.today())
