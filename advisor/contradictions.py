"""Answers that cannot all be true, explained in terms of the questions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from advisor.answers import Answers

Values = Mapping[str, Any]


def _reviewed_of_all(values: Values) -> str:
    reviewed, examples = values.get("reviewed_examples"), values.get("examples")
    if reviewed is None or examples is None or reviewed <= examples:
        return ""
    return f"You said {reviewed:,} reviewed of {examples:,} examples. Reviewed cannot be more than all."


def _smallest_of_all(values: Values) -> str:
    smallest, examples = values.get("smallest_class"), values.get("examples")
    if smallest is None or examples is None:
        return ""
    classes = values.get("classes") or 1
    if smallest * classes <= examples:
        return ""
    if classes == 1:
        return f"You said {smallest:,} examples in the smallest class, but {examples:,} examples in all."
    return (
        f"You said {classes:,} classes with at least {smallest:,} examples each, which makes {smallest * classes:,}, "
        f"but {examples:,} examples in all."
    )


def _effort_of_untried(values: Values) -> str:
    days = values.get("prompt_effort_days")
    if not days or values.get("prompting") != "untried":
        return ""
    return f"You said that no prompt was tried yet, and that {days:g} days of prompt work were spent."


CHECKS: dict[Callable[[Values], str], tuple[str, ...]] = {
    _reviewed_of_all: ("reviewed_examples", "examples"),
    _smallest_of_all: ("smallest_class", "classes", "examples"),
    _effort_of_untried: ("prompt_effort_days", "prompting"),
}
"""Each check with the keys it reads, the one to change first first."""

CHECKED_KEYS = frozenset(key for keys in CHECKS.values() for key in keys)


def contradictions(answers: Answers) -> list[tuple[str, str]]:
    """(key, sentence) for each pair of answers that cannot both be true."""
    values = answers.known()
    return [(keys[0], text) for check, keys in CHECKS.items() if (text := check(values))]


def consistent(values: Values) -> bool:
    """True if no check objects; fast, for trying out other answers."""
    return not any(check(values) for check in CHECKS)
