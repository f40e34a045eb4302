"""What a person said of an answer: a rating, an edit, a comment. Ratings come on many scales and become -1..1."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from training.watch.fields import as_number, text_at

GOOD = frozenset(("up", "good", "like", "liked", "positive", "thumbs_up", "👍", "yes", "correct", "right", "helpful"))
BAD = frozenset(("down", "bad", "dislike", "disliked", "negative", "thumbs_down", "👎", "no", "incorrect", "wrong"))
RATED = ("rating", "thumbs", "thumb", "user_rating", "vote", "user_feedback", "feedback", "stars")
INSIDE = ("rating", "score", "value", "thumbs", "label", "type", "vote")
"""Keys of a rating below `feedback`, where a bare score can be nothing else."""
EDITS = ("edit", "edited", "edited_response", "edited_output", "correction", "corrected", "corrected_output",
         "expected_output", "ideal")  # fmt: skip
COMMENTS = ("comment", "comments", "note", "remark", "feedback_text", "text", "explanation")
PLACES = ("", "feedback", "user_feedback", "metadata", "annotation", "metadata.feedback")


@dataclass(frozen=True, slots=True)
class Feedback:
    """`rating` is the number as logged, or -1.0 and 1.0 for words; None where there is none. `words`: it was a word."""

    rating: float | None = None
    words: bool = False
    edit: str = ""
    comment: str = ""

    def __bool__(self) -> bool:
        return self.rating is not None or bool(self.edit or self.comment)

    def over(self, older: Feedback) -> Feedback:
        """This one, and the older one where this says nothing."""
        rated = self if self.rating is not None else older
        return Feedback(rated.rating, rated.words, self.edit or older.edit, self.comment or older.comment)


def feedback_in(obj: Mapping[str, Any]) -> Feedback:
    """The feedback in a logged object, wherever it stands."""
    found = Feedback()
    for place, table in _tables(obj):
        rating, words = _rating(table, INSIDE if place else RATED)
        edit = next((e for key in EDITS if isinstance(e := table.get(key), str) and e.strip()), "")
        comment = text_at(table, *(COMMENTS if place else COMMENTS[:-2]))
        found = found.over(Feedback(rating, words, edit, comment))
    return found


def _tables(obj: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place in PLACES:
        table: Any = obj
        for key in filter(None, place.split(".")):
            table = table.get(key) if isinstance(table, Mapping) else None
        if isinstance(table, Mapping):
            yield ("" if place == "metadata" else place), table
    scores = obj.get("scores")
    for score in scores if isinstance(scores, list) else [scores]:
        if isinstance(score, Mapping):
            yield "scores", score


def _rating(table: Mapping[str, Any], keys: Iterable[str]) -> tuple[float | None, bool]:
    for key in keys:
        value = table.get(key)
        if isinstance(value, bool):
            return (1.0 if value else -1.0), True
        word = value.strip().lower() if isinstance(value, str) else ""
        if word in GOOD or word in BAD:
            return (1.0 if word in GOOD else -1.0), True
        if (number := as_number(value)) is not None:
            return number, False
    return None, False


def scale_of(numbers: Iterable[float]) -> tuple[float, float]:
    """The scale that a file's ratings are on, told by all of them: the lowest and the highest value that it has.

    -1..1 where one is negative, else 0..1, stars of 1..5, 1..10 or 0..100: the first that holds them all.
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
    """A rating as -1..1."""
    low, high = scale
    return round(max(-1.0, min(1.0, 2 * (rating - low) / (high - low) - 1)), 4)
