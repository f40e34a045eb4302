"""Feedback of people on answers: rating, edit, comment, score. Ratings come on many scales and become -1..1."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.monitoring.fields import as_number, at_path, text_at

GOOD = frozenset(("up", "good", "like", "positive", "thumbs_up", "👍", "yes", "correct", "helpful", "true"))
BAD = frozenset(("down", "bad", "dislike", "negative", "thumbs_down", "👎", "no", "incorrect", "wrong", "false"))
RATED = ("rating", "thumbs", "vote", "stars", "user_feedback", "feedback")
INSIDE = ("rating", "score", "value", "thumbs", "vote")
"""Keys of a rating below `feedback`, where a bare score can be nothing else."""
SCORE = ("stringValue", "value")
EDITS = ("edit", "correction", "expected_output")
COMMENTS = ("comment", "note")
PLACES = ("", "feedback", "metadata")


@dataclass(frozen=True, slots=True)
class Feedback:
    """`rating` is the number as logged, or -1.0 and 1.0 for words; None if there is none. `words`: it was a word.

    `unread` are names of scores that no person gave, `unclear` ratings that are neither a number nor a known word.
    """

    rating: float | None = None
    words: bool = False
    edit: str = ""
    comment: str = ""
    unread: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return self.rating is not None or bool(self.edit or self.comment)

    def over(self, older: Feedback) -> Feedback:
        """Return this one, and the older one where this says nothing."""
        rated = self if self.rating is not None else older
        edit, comment = self.edit or older.edit, self.comment or older.comment
        unread, unclear = self.unread + older.unread, self.unclear + older.unclear
        return Feedback(rated.rating, rated.words, edit, comment, unread, unclear)


def feedback_in(obj: Mapping[str, Any]) -> Feedback:
    """Return the feedback in a logged object: in itself, below `feedback` or `metadata`, among its scores."""
    if is_score(obj):
        return _scored(obj)
    found = Feedback()
    for place in PLACES:
        table = at_path(obj, place) if place else obj
        if not isinstance(table, Mapping):
            continue
        rating, words, said = _rating(table, INSIDE if place == "feedback" else RATED)
        comment = text_at(table, *COMMENTS)
        if " " in said and not comment and not place:
            comment, said = said, ""
        found = found.over(Feedback(rating, words, text_at(table, *EDITS), comment, unclear=(said,) if said else ()))
    for score in scores_in(obj):
        found = found.over(_scored(score))
    return found


def _scored(score: Mapping[str, Any]) -> Feedback:
    """Return a person's score as feedback; only the name of another."""
    if not given_by_a_person(score):
        return Feedback(unread=(text_at(score, "name") or "without a name",))
    rating, words, said = _rating(score, SCORE)
    if rating is not None and str(score.get("dataType")).upper() == "BOOLEAN":
        rating, words = (1.0 if rating > 0 else -1.0), True
    return Feedback(rating, words, "", text_at(score, *COMMENTS), unclear=(said,) if said else ())


def _rating(table: Mapping[str, Any], keys: Iterable[str]) -> tuple[float | None, bool, str]:
    """(rating, whether it was a word, what is there instead where it is no rating)."""
    unclear = ""
    for key in keys:
        value = table.get(key)
        if isinstance(value, bool):
            return (1.0 if value else -1.0), True, ""
        word = value.strip().lower() if isinstance(value, str) else ""
        if word in GOOD or word in BAD:
            return (1.0 if word in GOOD else -1.0), True, ""
        if (number := as_number(value)) is not None:
            return number, False, ""
        unclear = unclear or (word and str(value).strip())
    return None, False, unclear


def scale_of(numbers: Iterable[float]) -> tuple[float, float]:
    """Return the scale of a file's ratings, worked out from all of them: its lowest and its highest value.

    -1..1 if one is negative, else 0..1, stars of 1..5, 1..10 or 0..100: the first that holds them all.
    """
    values = list(numbers)
    if not values:
        return (0.0, 1.0)
    low, high = min(values), max(values)
    if low < 0:
        return (-max(1.0, -low, high), max(1.0, -low, high))
    scales = [(0.0, 1.0), (1.0 if low >= 1 else 0.0, 5.0), (1.0 if low >= 1 else 0.0, 10.0), (0.0, 100.0)]
    return next((scale for scale in scales if high <= scale[1]), (0.0, high))


def on_scale(rating: float, scale: tuple[float, float]) -> float:
    """Return a rating as -1..1."""
    low, high = scale
    return round(max(-1.0, min(1.0, 2 * (rating - low) / (high - low) - 1)), 4)


PERSON = frozenset(
    ("feedback", "rating", "ratings", "thumbs", "thumb", "vote", "stars", "satisfaction", "csat", "like")
)
"""Words in the name of a score that an application stores for a person."""


def scores_in(obj: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield a logged object's scores, each with `name` and `value`: Langfuse's list, or a column for each name."""
    scores = obj.get("scores")
    yield from (score for score in (scores if isinstance(scores, list) else []) if isinstance(score, Mapping))
    for name, value in obj.items():
        if isinstance(value, list) and value and name != "scores" and of_person(name):
            yield {"name": name, "source": "API", "value": value[-1]}


def of_person(name: str) -> bool:
    """True if a score of this name is a person's: `user-feedback` is, `toxicity` is not."""
    return bool(PERSON & set(re.split(r"[^a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower())))


def given_by_a_person(score: Mapping[str, Any]) -> bool:
    """True if a person gave it, never an evaluator; API scores are recognised by name."""
    source = str(score.get("source") or "").upper()
    if source == "EVAL":
        return False
    return source != "API" or of_person(text_at(score, "name"))


def is_score(obj: Mapping[str, Any]) -> bool:
    """True if the object is itself a score, on a line of its own."""
    values, names = ("value", "stringValue"), ("traceId", "observationId")
    return any(obj.get(key) is not None for key in values) and any(obj.get(key) for key in names)
