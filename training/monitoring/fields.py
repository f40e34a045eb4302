"""Values out of a logged object. Nothing here raises on odd types."""

import math
from collections.abc import Iterator, Mapping
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
