"""Whether a text can still become a JSON document of a given shape: what holds a local model to JSON, token by token.

A shape is a JSON Schema of which `type`, `properties`, `required`, `additionalProperties: false`, `items`, `enum` and
`const` are kept; what stands in it besides is left to the metric. Any document fits the empty shape.
"""

from __future__ import annotations

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
WORDS = {"true": "boolean", "false": "boolean", "null": "null"}
STARTS = {"{": "object", "[": "array", '"': "string"}


class _Ended(Exception):
    """The text ended before the document did."""


class _Wrong(Exception):
    """No document of this shape begins so."""


def state(text: str, shape: Shape) -> State:
    """`done` where the text is a whole document, `open` where more may make it one, `no` where nothing can."""
    reader = _Reader(text)
    try:
        reader.value(shape)
    except _Ended:
        return "open"
    except _Wrong:
        return "no"
    return "done" if not text[reader.at :].strip() else "no"


@dataclass
class _Reader:
    text: str
    at: int = 0

    def value(self, shape: Shape) -> None:
        """One value of this shape, with white space before it."""
        first = self.peek()
        kind = STARTS.get(first) or ("number" if first in "-0123456789" else "word")
        self._allow(kind, shape)
        begin = self.at
        if kind == "object":
            self._object(shape)
        elif kind == "array":
            self._array(shape)
        elif kind == "string":
            self._string(_texts(shape))
        elif kind == "number":
            self._number()
        else:
            self._word(shape)
        listed = _listed(shape)
        if listed is not None and json.loads(self.text[begin : self.at]) not in listed:
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

    def _allow(self, kind: str, shape: Shape) -> None:
        allowed = shape.get("type")
        names = [allowed] if isinstance(allowed, str) else list(allowed or ())
        if names and kind != "word" and kind not in names and not (kind == "number" and "integer" in names):
            raise _Wrong

    def _object(self, shape: Shape) -> None:
        known: Mapping[str, Shape] = shape.get("properties") or {}
        closed = shape.get("additionalProperties") is False
        seen: set[str] = set()
        self.take("{")
        if self.peek() == "}" and not set(shape.get("required", ())):
            self.at += 1
            return
        while True:
            self.peek()
            key = self._string([k for k in known if k not in seen] if closed else None)
            if key in seen:
                raise _Wrong
            seen.add(key)
            self.take(":")
            self.value(known.get(key, {}))
            more = closed and not set(known) - seen
            if self.take("}" if more else "," if set(shape.get("required", ())) - seen else ",}") == "}":
                return

    def _array(self, shape: Shape) -> None:
        items = shape.get("items")
        each: Shape = items if isinstance(items, Mapping) else {}
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
            if among is not None and not any(json.dumps(w, ensure_ascii=False).startswith(begun) for w in among):
                raise _Wrong
            raise _Ended
        found = str(json.loads(begun + '"'))
        if among is not None and found not in among:
            raise _Wrong
        self.at = end + 1
        return found

    def _number(self) -> None:
        found = NUMBER.match(self.text, self.at)
        begun = BEGUN.match(self.text, self.at)
        assert begun is not None
        if begun.end() == len(self.text) and (found is None or found.end() < begun.end()):
            raise _Ended
        if found is None or found.end() != begun.end():
            raise _Wrong
        self.at = found.end()

    def _word(self, shape: Shape) -> None:
        allowed = shape.get("type")
        names = [allowed] if isinstance(allowed, str) else list(allowed or ())
        fitting = [word for word, kind in WORDS.items() if not names or kind in names]
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


def _listed(shape: Shape) -> list[Any] | None:
    if "const" in shape:
        return [shape["const"]]
    return list(shape["enum"]) if "enum" in shape else None


def _texts(shape: Shape) -> list[str] | None:
    listed = _listed(shape)
    return None if listed is None else [value for value in listed if isinstance(value, str)]
