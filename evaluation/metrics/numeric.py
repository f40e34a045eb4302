"""Numeric match: the last number of the output equals the last number of expected, within a relative tolerance.

Thousands separators are read (`2,640`), as are signs (not after a letter or digit: `5-10` ends in 10), decimals,
exponents and percent signs (which are ignored).
`numeric:0.01` allows 1%; plain `numeric` allows 1e-9.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable

NUMBER = re.compile(r"(?:(?<!\w)[-+−])?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?")
DEFAULT = "1e-9"


def last_number(text: str) -> float | None:
    """The last number in a text, None where there is none."""
    found = [match[0] for match in NUMBER.finditer(text) if any(c.isdigit() for c in match[0])]
    return float(found[-1].replace(",", "").replace("−", "-")) if found else None


def make(tolerance: str = DEFAULT) -> Callable[[str, str], float]:
    """The metric with a relative tolerance. Raises ValueError where it is not a number."""
    allowed = float(tolerance)

    def within(output: str, expected: str) -> float:
        found, wanted = last_number(output), last_number(expected)
        if found is None or wanted is None:
            return 0.0
        return float(math.isclose(found, wanted, rel_tol=allowed, abs_tol=1e-12))

    return within
