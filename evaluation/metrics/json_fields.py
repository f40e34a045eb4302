"""Field-wise F1 of JSON documents: each leaf is a (path, value) pair; F1 over the pairs of output and expected.

Lists count by position. Numbers are equal by value, texts by characters, white space at both ends taken off. An
output that is not JSON scores 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from evaluation.metrics.json_valid import INVALID, parse

LARGEST = 2**1023
"""A whole number from here on may fit no float; it is equal by its digits."""
Leaf = tuple[str, str]


def leaves(value: Any, path: str = "$") -> Iterator[Leaf]:
    """Every leaf of a document with its path; an empty object or list is a leaf of its own."""
    if isinstance(value, dict) and value:
        for key, part in value.items():
            yield from leaves(part, f"{path}.{key}")
    elif isinstance(value, list) and value:
        for index, part in enumerate(value):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return repr(value)
    if isinstance(value, int | float):
        return repr(float(value)) if abs(value) < LARGEST else repr(value)
    return f"text {value.strip()}" if isinstance(value, str) else repr(value)


def score(output: str, expected: str) -> float:
    """F1 in 0..1."""
    found, wanted = parse(output), parse(expected)
    if found is INVALID or wanted is INVALID:
        return 0.0
    given, right = Counter(leaves(found)), Counter(leaves(wanted))
    return 2 * sum((given & right).values()) / (given.total() + right.total())
