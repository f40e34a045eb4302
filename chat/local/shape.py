"""Whether a text can still become a JSON document of a given shape: what holds a local model to JSON, token by token.

A shape is a JSON Schema of which `type`, `properties`, `required`, `additionalProperties: false`, `items`, `enum` and
`const` are kept; what is in it besides is left to the metric. Any document fits the empty shape, and `true`; none
fits `false`.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

State = Literal["no", "open", "done"]
Shape = Mapping[str, Any]

SPACE = 12
"""Most white space in a row: some models write blanks without end."""
NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?")
BEGUN = re.compile(r"-?(?:(?:0|[1-9]\d*)(?:\.\d*)?(?:[eE][-+]?\d*)?)?")
INTEGER = re.compile(r"-?(?:0|[1-9]\d*)")
BEGUN_INTEGER = re.compile(r"-?(?:0|[1-9]\d*)?")
WORDS = {"true": "boolean", "false": "boolean", "null": "null"}
VALUES = {"true": True, "false": False, "null": None}
STARTS = {"{": "object", "[": "array", '"': "string"}


class _Ended(Exception):
    """The text ended before the document did."""


class _Wrong(Exception):
    """No document of this shape begins so."""


def state(text: str, shape: Shape | bool) -> State:
    """`done` where the text is a whole document, `open` where more may make it one, `no` where nothing can.

    `no` also where it is nested too deep to be read. A character whose last bytes are still to come is at the end
    as the bytes that are there, written as Python's `surrogateescape` writes them.
    """
    if not _is_text(text):
        return "no"
    reader = _Reader(text)
    try:
        reader.value(shape)
    except _Ended:
        return "open"
    except (_Wrong, RecursionError, ValueError):  # ValueError: a number of thousands of digits
        return "no"
    return "done" if not text[reader.at :].strip() else "no"


@dataclass
class _Reader:
    text: str
    at: int = 0

    def value(self, shape: Shape | bool) -> None:
        """One value of this shape, with white space before it."""
        if isinstance(shape, bool):
            if not shape:
                raise _Wrong
            shape = {}
        first, listed = self.peek(), _listed(shape)
        kind = STARTS.get(first) or ("number" if first in "-0123456789" else "word")
        self._allow(kind, shape, listed)
        begin = self.at
        if kind == "object":
            self._object(shape)
        elif kind == "array":
            self._array(shape)
        elif kind == "string":
            self._string(None if listed is None else [value for value in listed if isinstance(value, str)])
        elif kind == "number":
            self._number(_names(shape), listed)
        else:
            self._word(shape, listed)
        if listed is not None and not _among(json.loads(self.text[begin : self.at]), listed):
            raise _Wrong

    def peek(self) -> str:
        """The next character that is no white space."""
        begin = self.at
        while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
            self.at += 1
        if self.at - begin > SPACE:
            raise _Wrong
        if self.at == len(self.text):
            raise _Ended
        return self.text[self.at]

    def take(self, wanted: str) -> str:
        """The next character, which must be one of these."""
        found = self.peek()
        if found not in wanted:
            raise _Wrong
        self.at += 1
        return found

    def _allow(self, kind: str, shape: Shape, listed: list[Any] | None) -> None:
        """Raise _Wrong for a kind that the type does not name, or that none of the listed values has."""
        names = _names(shape)
        if names and kind != "word" and kind not in names and not (kind == "number" and "integer" in names):
            raise _Wrong
        if listed is not None and kind not in map(_kind, listed):
            raise _Wrong

    def _object(self, shape: Shape) -> None:
        named: Mapping[str, Shape | bool] = shape.get("properties") or {}
        known = {key: inner for key, inner in named.items() if inner is not False}
        closed = shape.get("additionalProperties") is False
        seen: set[str] = set()
        self.take("{")
        if self.peek() == "}" and not set(shape.get("required", ())):
            self.at += 1
            return
        while True:
            self.peek()
            key = self._string([k for k in known if k not in seen] if closed else None)
            if key in seen or named.get(key) is False:
                raise _Wrong
            seen.add(key)
            self.take(":")
            self.value(known.get(key, {}))
            more = closed and not set(known) - seen
            if self.take("}" if more else "," if set(shape.get("required", ())) - seen else ",}") == "}":
                return

    def _array(self, shape: Shape) -> None:
        items = shape.get("items")
        each: Shape | bool = items if isinstance(items, Mapping | bool) else {}
        self.take("[")
        if self.peek() == "]":
            self.at += 1
            return
        while True:
            self.value(each)
            if self.take(",]") == "]":
                return

    def _string(self, among: Sequence[str] | None) -> str:
        """A string, of these where they are named; the text may end inside it."""
        if self.text[self.at] != '"':
            raise _Wrong
        end = self.at + 1
        while end < len(self.text) and self.text[end] != '"':
            if self.text[end] < " " or not _escape_fits(self.text, end):
                raise _Wrong
            end += 2 if self.text[end] == "\\" else 1
        begun = self.text[self.at : end]
        if end >= len(self.text):
            if among is not None and not any(_begins(json.dumps(w, ensure_ascii=False), begun) for w in among):
                raise _Wrong
            raise _Ended
        found = str(json.loads(begun + '"'))
        if among is not None and found not in among:
            raise _Wrong
        self.at = end + 1
        return found

    def _number(self, names: Sequence[str], listed: list[Any] | None) -> None:
        """A number; one at the text's end may go on, where numbers are listed to one of these."""
        whole = "integer" in names and "number" not in names
        found = (INTEGER if whole else NUMBER).match(self.text, self.at)
        begun = (BEGUN_INTEGER if whole else BEGUN).match(self.text, self.at)
        assert begun is not None
        is_whole = found is not None and found.end() == begun.end()
        if begun.end() == len(self.text) and listed is not None:
            if is_whole and _among(json.loads(begun.group()), listed):
                self.at = begun.end()
                return
            raise _Ended if any(json.dumps(n).startswith(begun.group()) for n in listed if _is_number(n)) else _Wrong
        if not is_whole:
            raise _Ended if begun.end() == len(self.text) else _Wrong
        self.at = begun.end()

    def _word(self, shape: Shape, listed: list[Any] | None) -> None:
        names = _names(shape)
        fitting = [
            word
            for word, kind in WORDS.items()
            if (not names or kind in names) and (listed is None or _among(VALUES[word], listed))
        ]
        rest = self.text[self.at :]
        for word in fitting:
            if rest.startswith(word):
                self.at += len(word)
                return
        raise _Ended if any(word.startswith(rest) for word in fitting) else _Wrong


def _escape_fits(text: str, at: int) -> bool:
    """Whether an escape that begins here, as far as the text goes, is one of JSON's."""
    if text[at] != "\\" or at + 1 >= len(text):
        return True
    if text[at + 1] != "u":
        return text[at + 1] in '"\\/bfnrt'
    return all(c in "0123456789abcdefABCDEF" for c in text[at + 2 : at + 6].split('"')[0]) and (
        '"' not in text[at + 2 : at + 6]
    )


def _begins(whole: str, begun: str) -> bool:
    """Whether a text begins so, byte by byte."""
    return whole.encode("utf-8", "surrogatepass").startswith(begun.encode("utf-8", "surrogateescape"))


def _is_text(text: str) -> bool:
    """Whether the bytes that are in it can still become a character."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(text.encode("utf-8", "surrogateescape"))
    except UnicodeError:
        return False
    return True


def _names(shape: Shape) -> list[str]:
    allowed = shape.get("type")
    return [allowed] if isinstance(allowed, str) else list(allowed or ())


def _listed(shape: Shape) -> list[Any] | None:
    """The values that `enum` and `const` leave; None where there is neither."""
    listed = list(shape["enum"]) if "enum" in shape else None
    if "const" not in shape:
        return listed
    return [shape["const"]] if listed is None or _among(shape["const"], listed) else []


def _kind(value: Any) -> str:
    if _is_number(value):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list):
        return "array"
    return "object" if isinstance(value, dict) else "word"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _among(value: Any, listed: Sequence[Any]) -> bool:
    return any(_same(value, other) for other in listed)


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON has it: 1 is 1.0, and neither is true."""
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return _kind(one) == _kind(other) and isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
