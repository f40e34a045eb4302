"""Regular expression: 1 where the whole output, white space at both ends taken off, matches. `regex:PATTERN`."""

from __future__ import annotations

import re
from collections.abc import Callable


def make(pattern: str) -> Callable[[str, str], float]:
    """The metric for a pattern. Raises ValueError where it does not compile."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(str(error)) from error
    return lambda output, _: float(compiled.fullmatch(output.strip()) is not None)
