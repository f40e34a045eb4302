"""JSON validity: 1 where the whole output, a Markdown fence taken off, is one JSON document (NaN is not JSON)."""

from __future__ import annotations

import json
import re
from typing import Any

FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*?)\n\s*```\s*\Z", re.S)
INVALID = object()


def parse(text: str) -> Any:
    """The document, or INVALID."""
    fenced = FENCE.match(text)
    try:
        return json.loads(fenced[1] if fenced else text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return INVALID


def _refuse(name: str) -> Any:
    raise ValueError(name)


def score(output: str, expected: str) -> float:
    """1.0 or 0.0; `expected` is not read."""
    return float(parse(output) is not INVALID)
