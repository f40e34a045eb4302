"""Texts as bytes for compiled code, the classes of their code points, and polynomials over numbers.

Arithmetic is modulo 2^64 and wraps on purpose.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import compress
from typing import Any

import numpy as np
import numpy.typing as npt

from curation.likeness.sets import I64, U64, offsets
from curation.likeness.words import ALONE

WORD_BASE = 0x9E3779B97F4A7C15
"""Odd, so that it has an inverse modulo 2^64; the hash of a word is a polynomial in it over code points + 1."""
SHINGLE_BASE = 0xD6E8FEB86659FD93
GRAM_BASE = 0xA0761D6478BD642F
WORD_INVERSE = pow(WORD_BASE, -1, 1 << 64)
GAP, LETTER, SINGLE, MARK, UNSEEN = 0, 1, 2, 3, 255
"""Classes of code points: outside words, in words, a word of its own, a combining mark, not looked up yet."""
BLOCK_CHARS = 1 << 20
BEYOND = 64
"""Bytes that follow the last text for compiled code, which reads that many at once."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """Texts as UTF-8 for the compiled path: text i is `data[begins[i]:ends[i]]`, and behind the last there are `BEYOND`
    bytes. Those outside ASCII are in lower case and their places are `wide`; of the others the compiled code lowers the
    letters.
    """

    data: npt.NDArray[np.uint8]
    begins: I64
    ends: I64
    wide: list[int]


def encoded(texts: Sequence[str]) -> Encoded:
    """Encode the texts: those in ASCII as one string, the few others behind them."""
    sizes = np.array([len(text) if text.isascii() else -1 for text in texts], np.int64)
    plain = sizes >= 0
    if plain.all():
        at = offsets(sizes)
        return Encoded(np.frombuffer("".join((*texts, " " * BEYOND)).encode("ascii"), np.uint8), at[:-1], at[1:], [])
    wide = {place: texts[place] for place in np.flatnonzero(~plain).tolist()}
    line = np.frombuffer("".join(compress(texts, plain.tolist())).encode("ascii"), np.uint8)
    ends = np.cumsum(np.maximum(sizes, 0))
    return with_wide(line, ends - np.maximum(sizes, 0), ends, wide)


def with_wide(line: npt.NDArray[np.uint8], begins: I64, ends: I64, wide: Mapping[int, str]) -> Encoded:
    """Texts in ASCII that are in `line`, and behind them the others, `wide`, whose `begins` and `ends` are set.

    Without others `line` has its `BEYOND` bytes already.
    """
    if not wide:
        return Encoded(line, begins, ends, [])
    lowered = [text.lower() for text in wide.values()]
    classes_of(np.frombuffer("".join(lowered).encode("utf-32-le", "surrogatepass"), np.uint32))
    others = [text.encode("utf-8", "surrogatepass") for text in lowered]
    places = list(wide)
    at = offsets(np.array([len(other) for other in others], np.int64)) + len(line)
    begins[places], ends[places] = at[:-1], at[1:]
    return Encoded(
        np.concatenate((line, np.frombuffer(b"".join((*others, bytes(BEYOND))), np.uint8))), begins, ends, places
    )


def classes_of(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """A table of classes, indexed by code point, with an entry for each of `codes`."""
    table = classes_table()
    if codes.dtype != np.uint8:
        for code in np.unique(codes[table[codes] == UNSEEN]):
            table[code] = _class_of(int(code))
    return table


@cache
def classes_table() -> npt.NDArray[np.uint8]:
    """The class of each code point, as far as they were met."""
    table = np.full(0x110000, UNSEEN, np.uint8)
    table[:128] = [_class_of(code) for code in range(128)]
    return table


def _class_of(code: int) -> int:
    char = chr(code)
    if char == "_" or char.isalnum():
        return SINGLE if any(first <= code <= last for first, last in ALONE) else LETTER
    return MARK if unicodedata.category(char)[0] == "M" else GAP


def polynomials(values: U64, begins: I64, ends: I64) -> U64:
    """Sum of value * WORD_BASE^(places from the end) over each span, by differences of one running sum."""
    up, down = _powers(max(1, len(values)))
    sums = np.zeros(len(values) + 1, np.uint64)
    np.cumsum(values * down[: len(values)], out=sums[1:])
    return (sums[ends] - sums[begins]) * up[np.maximum(ends - 1, 0)]


def _powers(length: int) -> tuple[U64, U64]:
    """WORD_BASE^i and WORD_BASE^-i for i below `length`."""
    up, down = _power_cache(max(BLOCK_CHARS * 2, 1 << max(1, length - 1).bit_length()))
    return up[:length], down[:length]


@cache
def _power_cache(length: int) -> tuple[U64, U64]:
    def run(base: int) -> U64:
        steps = np.full(length, base, np.uint64)
        steps[0] = 1
        return np.cumprod(steps)

    return run(WORD_BASE), run(WORD_INVERSE)
