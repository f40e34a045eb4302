"""Scores, as Langfuse and Helicone keep them beside a request: of these only what a person gave is feedback."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from training.watch.fields import text_at

PERSON = frozenset(
    ("feedback", "rating", "ratings", "thumbs", "thumb", "vote", "stars", "satisfaction", "csat", "like")
)
"""Words in the name of a score that an application stores for a person."""


def scores_in(obj: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """All scores of a logged object, each as a table with `name` and `value`: a list, a table by name, or one column
    for each name, as Langfuse's export has it.
    """
    scores = obj.get("scores")
    if isinstance(scores, Mapping) and any(isinstance(each, list | Mapping) for each in scores.values()):
        for name, value in scores.items():
            yield from _named(str(name), value)
    else:
        for score in scores if isinstance(scores, list) else [scores]:
            if isinstance(score, Mapping):
                yield score
    for name, value in obj.items():
        if isinstance(value, list) and value and name != "scores" and of_person(name):
            yield from _named(name, value)


def _named(name: str, value: Any) -> Iterator[Mapping[str, Any]]:
    """What stands under a score's name: a value, several of which the last counts, or a table."""
    if isinstance(value, list):
        value = value[-1] if value else None
    if isinstance(value, Mapping):
        yield {"name": name, "source": "API", **value}
    elif value is not None:
        yield {"name": name, "source": "API", "value": value}


def of_person(name: str) -> bool:
    """Whether a score of this name is what a person said: `user-feedback` is, `toxicity` is not."""
    return bool(PERSON & set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())))


def given_by_a_person(score: Mapping[str, Any]) -> bool:
    """Whether a person gave it: never one of an evaluator; what came by the API is told by its name."""
    source = str(score.get("source") or "").upper()
    if source == "EVAL":
        return False
    return source != "API" or of_person(text_at(score, "name"))


def is_score(obj: Mapping[str, Any]) -> bool:
    """Whether the object is itself a score, on a line of its own."""
    values = ("value", "stringValue", "string_value")
    names = ("traceId", "trace_id", "observationId", "observation_id")
    return any(obj.get(key) is not None for key in values) and any(obj.get(key) for key in names)


def is_comment(obj: Mapping[str, Any]) -> bool:
    """Whether the object is a comment of Langfuse's on a trace or an observation, on a line of its own."""
    on = str(obj.get("objectType")).upper() in ("TRACE", "OBSERVATION")
    return on and all(isinstance(obj.get(key), str) and obj[key].strip() for key in ("objectId", "content"))


def comments_in(value: Any) -> str:
    """What people wrote under a request: each comment a line."""
    each = value if isinstance(value, list) else []
    texts = (text_at(one, "content", "text", "comment") if isinstance(one, Mapping) else one for one in each)
    return "\n".join(text for text in texts if isinstance(text, str) and text.strip())
