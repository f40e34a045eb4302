"""Lines of JSON that differ in nothing but their texts and numbers, read by compiled code into the bytes of the texts.

The first row of a file gives the form, to the last blank. Where one line of a chunk is of another form, holds an empty
text or anything that compiled code cannot vouch for, the chunk goes the way of `curation.columns`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from curation.codes import Encoded, with_wide
from curation.columns import TRIES, TURNS
from curation.sets import I64

WORDS, TEXT, OTHER = 0, 1, 2
"""What follows a piece of a form: nothing, a text that is wanted, another single value."""
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[^\s{}\[\],:"]+|[{}\[\],:]|\s+')
_string = msgspec.json.Decoder(str).decode


class Texts:
    """Texts that stand in bytes; those that are more than ASCII in `held`."""

    def __init__(self, code: Encoded, held: dict[int, str]) -> None:
        self.code, self.held = code, held

    def take(self, places: Sequence[int]) -> list[str]:
        """The texts at `places`."""
        data, held = self.code.data.tobytes().decode("latin-1"), self.held
        begins, ends = self.code.begins[places].tolist(), self.code.ends[places].tolist()
        if not held:
            return [data[begin:end] for begin, end in zip(begins, ends, strict=True)]
        spans = zip(places, begins, ends, strict=True)
        return [held[at] if at in held else data[begin:end] for at, begin, end in spans]


class Scanned(NamedTuple):
    """The texts of rows that are alike, row by row, those that a row has in the order of its line: `width` of them, its
    question at `question`, its answer behind it where there is one. `lines`: their lines, from 1.
    """

    lines: range
    texts: Texts
    width: int
    question: int
    answered: bool

    def column(self, place: int) -> list[str]:
        """The texts at that place of each row."""
        return self.texts.take(range(place, self.width * len(self.lines), self.width))


class LineForm:
    """The form of a file's lines: pieces of JSON, and what follows each."""

    def __init__(self, pieces: Sequence[tuple[bytes, int]], roles: tuple[str, ...]) -> None:
        self.words = np.frombuffer(b"".join(words for words, _ in pieces), np.uint8)
        self.word_at: I64 = np.cumsum([0, *(len(words) for words, _ in pieces)])
        self.follows: I64 = np.array([what for _, what in pieces], np.int64)
        self.roles = roles
        self.tries = TRIES

    def read(self, chunk: bytes, number: int) -> Scanned | None:
        """The texts of these whole lines, the first of which is line `number`; None where not all are of this form."""
        if not self.tries:
            return None
        found = self._read(chunk if chunk.endswith(b"\n") else chunk + b"\n", number)
        self.tries = TRIES if found else self.tries - 1
        return found

    def _read(self, chunk: bytes, number: int) -> Scanned | None:
        from curation.kernels import read_lines

        count = int(np.count_nonzero(np.frombuffer(chunk, np.uint8) == 10))
        found = read_lines(chunk, self.words, self.word_at, self.follows, count)
        if found is None:
            return None
        held: dict[int, str] = {}
        for place, first, last in found[3].tolist():
            try:
                text = _string(b'"' + chunk[first:last] + b'"')
            except (msgspec.MsgspecError, UnicodeDecodeError):
                return None
            if "\0" in text:
                return None
            if place >= 0:
                held[place] = text
        width, question = max(1, len(self.roles)), TURNS[self.roles][0] if self.roles else 0
        texts = Texts(with_wide(*found[:3], held), held)
        return Scanned(range(number, number + count), texts, width, question, bool(self.roles))


def form_of(line: bytes, roles: tuple[str, ...]) -> LineForm | None:
    """The form of a line that is a sound row of these roles (none: of a text); None where it holds more than texts and
    single values beside them, or spells the key of a text with escapes. `line` ends as all lines do.
    """
    pieces: list[tuple[bytes, int]] = []
    words = b""
    for token, name, depth in _values(line):
        what = _follows(name, token, depth, bool(roles))
        if what is None:
            return None
        if what == WORDS:
            words += token
        else:
            pieces.append((words + b'"' * (what == TEXT), what))
            words = b'"' * (what == TEXT)
    if sum(what == TEXT for _, what in pieces) != max(1, len(roles)):
        return None
    return LineForm([*pieces, (words, WORDS)], roles)


def _values(line: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """The tokens of a line, each with how deep it stands; a value also with its key, another token with none."""
    depth, last, name = 0, b"", b""
    for match in _TOKEN.finditer(line):
        token = match[0]
        depth += (token in b"{[") - (token in b"}]")
        if token == b":":
            yield token, b"", depth
            name = last
        elif token.isspace():
            yield token, b"", depth
        else:
            yield token, name, depth
            last, name = token, b""


def _follows(name: bytes, token: bytes, depth: int, chat: bool) -> int | None:
    """What a token is: a text that is wanted, another value, or a part of the form; None where it is too much."""
    if not name or (chat and (name, token, depth) == (b'"messages"', b"[", 2)):
        return WORDS
    if name == (b'"content"' if chat else b'"text"') and depth == (3 if chat else 1):
        return TEXT
    if depth == 1:
        return OTHER
    return WORDS if name == b'"role"' and depth == 3 else None
