"""Whether an answer has the form that the rows have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from curation.quality.mask import mask
from curation.similarity import normal
from training.watch.masking import MASKED
from training.watch.material import Standing


class Form:
    """What an answer must look like, as far as the rows say: one of a closed set, or a JSON object with their keys."""

    def __init__(self, standing: Standing) -> None:
        self.choices = {normal(mask(choice)) for choice in standing.choices}
        self.keys = None if self.choices else _json_keys([row.answer or "" for row in standing.rows])
        if self.choices:
            self.words = f"empty, cut, or none of the {len(self.choices):,} known answers"
        elif self.keys is not None:
            self.words = "empty, cut, or no JSON object with the rows' keys"
        else:
            self.words = "empty or cut"

    def wrong(self, answer: str, stopped: str) -> bool:
        """Whether the answer is empty, cut, or not of that form."""
        if not answer.strip() or stopped == "length":
            return True
        if self.choices:
            return normal(answer) not in self.choices
        return self.keys is not None and _keys(answer) != self.keys


def _json_keys(answers: Sequence[str]) -> frozenset[str] | None:
    """The keys that all answers have, where each is a JSON object and all have the same."""
    found = {_keys(answer) for answer in answers}
    return found.pop() if len(found) == 1 else None


def _keys(answer: str) -> frozenset[str] | None:
    """The keys of a JSON object; a number that was masked is a value as well: `{"phone": [PHONE]}`."""
    try:
        value: Any = json.loads(MASKED.sub("null", answer))
    except (ValueError, RecursionError):
        return None
    return frozenset(value) if isinstance(value, dict) else None
