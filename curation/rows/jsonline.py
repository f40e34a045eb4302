"""One line of JSON, strictly: what `json` and msgspec let through (duplicate keys, NUL) is refused here."""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import msgspec

SPACE, QUOTE, COLON, BACKSLASH = b' ":\\'
FEW = 1 << 14
"""Bytes from which numpy counts faster."""
DEEPEST = 200
"""Levels of nesting that are read; real rows have under ten."""

UNSURE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""Exceptions of msgspec for a line that it refuses."""
decode_any = msgspec.json.Decoder().decode
encode = msgspec.json.Encoder().encode


class Malformed(Exception):
    """A line breaks a rule: the field (a path as `messages[2].content`), a sentence why, what to try."""

    def __init__(self, field: str, reason: str, hint: str = "") -> None:
        super().__init__(reason)
        self.field = field
        self.reason = reason
        self.hint = hint


def decode_object(line: bytes) -> dict[str, Any]:
    """Return the object on this line. Raises Malformed if it is not strict JSON, or not an object.

    msgspec decodes it; where something may have been lost by that, `json` does, slowly.
    """
    try:
        value = decode_any(line)
    except UNSURE:
        strict_json(line)
        raise Malformed("", "not JSON that another program would read the same way.") from None
    if not is_whole(value, line):
        value = strict_json(line)
    if type(value) is not dict:
        raise Malformed("", f"a row is a JSON object, this line holds {kind_of(value)}.")
    return value


def is_whole(value: Any, line: bytes) -> bool:
    """Return whether the value that was decoded is all that its line says. False where that is not certain."""
    brackets = line.count(b"[") + line.count(b"{")
    return brackets <= DEEPEST and has_colons_of(line, value)


def has_colons_of(text: bytes, value: Any) -> bool:
    """True if a text of JSON has as many colons as its value when that is encoded, and hides none of them.

    A key that occurs twice is decoded once: then the value has fewer.
    """
    if b"\\" in text and (b"u003" in text or b"u0000" in text):
        return False  # a colon or NUL may be there as an escape (`\\u003a`, `\\u0000`)
    return _colons(text) == _colons(encode(value))


def _colons(text: bytes) -> int:
    if len(text) < FEW:
        return text.count(b":")
    import numpy as np

    return int(np.count_nonzero(np.frombuffer(text, np.uint8) == COLON))


def keys_in(text: bytes) -> float:
    """Return how many keys the objects in lines of JSON have, or more. NaN where that is not certain, or NUL may be in.

    A key ends in a quote that is not escaped, and a colon. The beginning of a text may look so too: where there are no
    more of these than keys in the values that were decoded, no key occurs twice.
    """
    import numpy as np

    is_escaping = b"\\" in text
    if is_escaping and (b"u003" in text or b"u0000" in text):
        return math.nan
    if len(text) < FEW and not is_escaping and text.count(b":") == (found := text.count(b'":')):
        return found
    data = np.frombuffer(text, np.uint8)
    colons = data == COLON
    found = int(np.count_nonzero(colons[1:] & (data == QUOTE)[:-1]))
    if not is_escaping and found == np.count_nonzero(colons):
        return found
    at = np.flatnonzero(colons)
    spaced, quoted = at[data[at - 1] <= SPACE], at[data[at - 1] == QUOTE]
    escaped = quoted[data[quoted - 2] == BACKSLASH]
    if np.any((data[spaced - 2] <= SPACE) | (data[spaced - 2] == QUOTE)) or np.any(data[escaped - 3] == BACKSLASH):
        return math.nan
    return found - len(escaped)


def strict_json(line: bytes) -> Any:
    """Parse slowly, with a reason for everything that is refused."""
    text = decode_text(line)
    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_constant)
        _walk(value, 0)
    except RecursionError:
        raise Malformed("", f"nested deeper than {DEEPEST} levels.") from None
    except json.JSONDecodeError as error:
        raise _not_json(text, error) from None
    except ValueError as error:
        if "integer string conversion" in str(error):
            raise Malformed("", "a number of more than 4,300 digits.") from None
        raise Malformed("", f"not JSON: {error}.") from None
    return value


def kind_of(value: Any) -> str:
    """Return the type of a JSON value, in words."""
    names: dict[type, str] = {
        type(None): "null",
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a string",
        list: "a list",
        bytes: "bytes",
    }
    return names.get(type(value), "an object")


def decode_text(line: bytes) -> str:
    """Return the text of a line. Raises Malformed if it is not UTF-8, or holds a NUL character."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Malformed(
            "",
            f"not UTF-8 at byte {error.start + 1}: 0x{line[error.start]:02x}.",
            "save the file as UTF-8 (iconv -f WINDOWS-1252 -t UTF-8)",
        ) from None
    if "\0" in text:
        raise Malformed("", f"a NUL character at byte {line.index(0) + 1}.")
    return text


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [key for key, _ in pairs]
        twice = next(key for key in names if names.count(key) > 1)
        raise Malformed(twice, f'the key "{twice}" occurs twice; only one of its values could be kept.')
    return value


def _constant(name: str) -> NoReturn:
    raise Malformed("", f"{name} is not JSON.", "write null, or leave the key out")


def _walk(value: Any, depth: int) -> None:
    """Refuse NUL, lone surrogates, numbers out of range and too deep nesting anywhere in a value."""
    if depth > DEEPEST:
        raise RecursionError
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise Malformed("", "a number is out of range.")
    elif isinstance(value, dict):
        for key, part in value.items():
            _check_text(key)
            _walk(part, depth + 1)
    elif isinstance(value, list):
        for part in value:
            _walk(part, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise Malformed("", "a NUL character (\\u0000) in a string.")
    if found := re.search("[\ud800-\udfff]", text):
        raise Malformed("", f"half of a surrogate pair (\\u{ord(found[0]):04x}) in a string; it is no character.")


def _not_json(text: str, error: json.JSONDecodeError) -> Malformed:
    place = f"at character {error.pos + 1}"
    if text.startswith("\ufeff"):
        return Malformed("", "a byte order mark (BOM) begins this line.", "files were joined here: take the mark out")
    if error.msg == "Extra data":
        return Malformed("", f"something follows the JSON value {place}: {text[error.pos : error.pos + 20]!r}.")
    if text.lstrip()[:1] in ("{", "[") and not text.rstrip().endswith(("}", "]")):
        return Malformed("", f"not JSON: the line ends before its value does ({error.msg}, {place}).")
    hint = "keys and strings need double quotes" if "'" in text[:3] else ""
    return Malformed("", f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} {place}.", hint)
