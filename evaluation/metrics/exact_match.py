"""Strict exact match: 1 where output and expected are the same characters, white space at both ends taken off."""

from __future__ import annotations


def score(output: str, expected: str) -> float:
    """1.0 or 0.0."""
    return float(output.strip() == expected.strip())
