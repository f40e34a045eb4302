"""The words and limits of `rules/quality.toml`, ready for use."""

from __future__ import annotations

import functools
import re
from typing import Any

from workspace.shipped_rules import rule_file


def quality_rules() -> dict[str, Any]:
    """Return the whole table."""
    return rule_file("quality.toml")


def limit(name: str) -> float:
    """Return one number of `[limits]`."""
    return float(quality_rules()["limits"][name])


def class_sizes() -> tuple[int, int, str]:
    """Rows of the smallest class: the least that fine-tuning takes, what is recommended, the id of the table's row."""
    size = next(each for each in rule_file("data_size.toml")["size"] if each.get("per_class"))
    return int(size["minimum"]), int(size["recommended"]), str(size["id"])


@functools.cache
def patterns(section: str) -> re.Pattern[str]:
    """Return all patterns of a section as one; inline flags in front of a pattern hold for it alone."""
    parts = []
    for pattern in quality_rules()[section]["patterns"]:
        flags = re.match(r"\(\?([a-z]+)\)", pattern)
        parts.append(f"(?{flags[1]}:{pattern[flags.end() :]})" if flags else f"(?:{pattern})")
    return re.compile("|".join(parts))


def may_match(section: str, folded: str) -> bool:
    """True if a text (case-folded) holds one of the words that the section's patterns need.

    Most texts have none: a look for a few words takes a tenth of a search for the patterns.
    """
    words = quality_rules()[section].get("one_of", ())
    return not words or any(word in folded for word in words)
