"""Values out of a logged object, with feedback of people. Nothing here raises on odd types."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from curation.rows.jsonline import Malformed, strict_json

EARLIEST, LATEST = 946_684_800.0, 4_102_444_800.0
"""2000 and 2100, in epoch seconds: between them a number can be a time."""
PLAIN = ("text", "content", "input", "question", "prompt", "answer", "response", "completion", "output_text")
"""Names of a text that is all that an object holds."""

Message = dict[str, Any]
"""A message as rows hold it: role, content, and tool calls where there are some."""


def at_path(obj: Any, path: str) -> Any:
    """Return the value at `a.b.c`; None if something on the way is no object."""
    for key in path.split(".") if "." in path else (path,):
        if not isinstance(obj, dict):
            return None
        obj = obj.get(key)
    return obj


def first(obj: Any, *paths: str) -> Any:
    """Return the first value that is there and not null."""
    return next((value for path in paths if (value := at_path(obj, path)) is not None), None)


def first_said(obj: Any, *paths: str) -> Any:
    """Return the first value that can hold text: a string, a list or an object, never a number or a boolean."""
    return next((v for path in paths if isinstance(v := at_path(obj, path), str | list | Mapping)), None)


def text_at(obj: Any, *paths: str) -> str:
    """Return the first string that is not empty."""
    return next((v for path in paths if isinstance(v := at_path(obj, path), str) and v.strip()), "")


def table_at(obj: Any, *paths: str) -> Mapping[str, Any]:
    """Return the first object, a string that holds one as JSON too; an empty one where there is none."""
    found = (opened(at_path(obj, path)) for path in paths)
    return next((value for value in found if isinstance(value, Mapping)), {})


def number_at(obj: Any, *paths: str) -> float | None:
    """Return the first finite number; a string of digits counts, true and false do not."""
    return next((value for path in paths if (value := as_number(at_path(obj, path))) is not None), None)


def as_number(value: Any) -> float | None:
    """Return a finite number, or None."""
    if value is None or isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def opened(value: Any) -> Any:
    """Decode a JSON string, as strictly as a line of its own; return everything else unchanged."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return value
    try:
        return strict_json(value.encode("utf-8", "surrogatepass"))
    except Malformed:
        return value


def only_text(table: Mapping[str, Any]) -> str | None:
    """Return the text of an object that holds nothing else; None of any other object."""
    key, value = next(iter(table.items())) if len(table) == 1 else ("", None)
    return value if key in PLAIN and isinstance(value, str) else None


def as_time(value: Any) -> datetime | None:
    """Return the UTC time of ISO text or an epoch in s, ms, µs or ns; None if it is neither."""
    number = as_number(value)
    if number is not None:
        seconds = (number / unit for unit in (1.0, 1e3, 1e6, 1e9))
        return next((datetime.fromtimestamp(s, UTC) for s in seconds if EARLIEST <= s <= LATEST), None)
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def texts_in(value: Any) -> Iterator[str]:
    """Yield the text parts of a message's content (a string, or a list of typed parts)."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for part in value:
            if isinstance(part, str):
                yield part
            elif isinstance(part, Mapping) and isinstance(text := part.get("text", part.get("refusal")), str):
                yield text


def is_no_text(content: Any) -> bool:
    """True if a message's content holds a part that a row cannot: an image, a sound, a call in parts."""
    parts = content if isinstance(content, list) else []
    kinds = (part.get("type", "text") if isinstance(part, Mapping) else "text" for part in parts)
    return any(kind not in ("text", "input_text", "output_text", "refusal", "thinking") for kind in kinds)


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
    """Return a person's score as feedback; only the name of an evaluator's. API scores are recognised by name."""
    source = str(score.get("source") or "").upper()
    if source == "EVAL" or (source == "API" and not of_person(text_at(score, "name"))):
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


def is_score(obj: Mapping[str, Any]) -> bool:
    """True if the object is itself a score, on a line of its own."""
    values, names = ("value", "stringValue"), ("traceId", "observationId")
    return any(obj.get(key) is not None for key in values) and any(obj.get(key) for key in names)
