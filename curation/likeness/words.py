r"""The definition of exact, near and same answer for dedup, split and leakage, in plain Python: the reference.

Two Unicode rules go beyond `\\w+`. A text without a word has no shingle; it equals only the same bytes (see `exact`).
Long answers may differ in a word, never in a number, an operator or a side. A template is a shared instruction in the
user message, which would make all rows of a class duplicates. `hashing` gives the same as hashes.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache, lru_cache
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from chat.tool_calls import parted, with_calls
from workspace.shipped_rules import rule_file

SHINGLE = 5
"""Words in a shingle."""
SHORT = 20
"""A question with fewer words is compared by characters as well."""
GRAM = 4
"""Characters in a gram of a short question."""
SHORT_THRESHOLD = 0.8
"""Jaccard of character 4-grams from which two short questions are short near."""

ALONE = (
    (0x0E00, 0x0E7F),  # Thai
    (0x3005, 0x3007),  # ideographic iteration mark, closing mark, zero
    (0x3021, 0x3029),  # Hangzhou numerals
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana phonetic extensions
    (0x3400, 0x4DBF),  # CJK extension A
    (0x4E00, 0x9FFF),  # CJK unified ideographs
    (0xF900, 0xFAFF),  # CJK compatibility ideographs
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # Kana extended and supplement
    (0x20000, 0x323AF),  # CJK extensions B to H
)
"""Code points, first and last, whose characters are words of their own: these scripts write no spaces."""

GAP, LETTER, SINGLE, MARK, SPACE = range(5)
"""Classes of characters: outside words, in words, a word of its own, a combining mark, ASCII white space."""

_ASCII = re.compile(r"\w+", re.ASCII)


def words(text: str) -> list[str]:
    r"""`re.findall(r"\\w+", text.lower())`, where a combining mark belongs to its word and each CJK, kana or Thai
    character is a word of its own.
    """
    lower = text.lower()
    return word_pattern(lower).findall(lower)


def word_pattern(lower: str) -> re.Pattern[str]:
    """Return the pattern of a word of this text, which is in lower case."""
    return _ASCII if lower.isascii() else _pattern()


def class_of(char: str) -> int:
    """Return the class of a character."""
    if char == "_" or char.isalnum():
        return SINGLE if any(first <= ord(char) <= last for first, last in ALONE) else LETTER
    if char.isascii():
        return SPACE if char.isspace() else GAP
    return MARK if _is_mark(char) else GAP


def normal(text: str) -> str:
    """NFC, case folded, white space collapsed: equal normal forms make two texts exact duplicates."""
    if text.isascii():
        return " ".join(text.lower().split())
    return " ".join(unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold()).split())


def is_normal_when_lowered(text: str) -> bool:
    """True if the normal form is certainly the text in lower case with its ASCII white space collapsed."""
    return _plain().fullmatch(text) is not None


@cache
def _plain() -> re.Pattern[str]:
    """Characters (ASCII, Latin, Cyrillic, signs) whose case folding is their lower case, alone and in any context."""

    def steady(char: str) -> bool:
        folds = char.lower() == char.casefold() and unicodedata.is_normalized("NFC", char + char.lower())
        return folds and len(char.lower()) == 1 and not char.isspace() and not _is_mark(char)

    codes = (*range(0x80, 0x250), *range(0x400, 0x530), *range(0x2010, 0x2C00))
    return re.compile(f"[{_char_class(_runs([*range(0x80), *(code for code in codes if steady(chr(code)))]))}]*")


def _is_mark(char: str) -> bool:
    """True for a combining mark (categories Mn, Mc, Me)."""
    return unicodedata.category(char)[0] == "M"


def _runs(codes: Sequence[int]) -> list[tuple[int, int]]:
    """Return ascending code points as ranges, first and last."""
    ends = [at for at, (one, other) in enumerate(pairwise(codes), 1) if other != one + 1]
    return [(codes[a], codes[b - 1]) for a, b in pairwise([0, *ends, len(codes)])]


@cache
def _pattern() -> re.Pattern[str]:
    marks = [code for code in (*range(0x300, 0x20000), *range(0xE0100, 0xE01F0)) if _is_mark(chr(code))]
    mark, alone = _char_class(_runs(marks)), _char_class(ALONE)
    return re.compile(rf"(?=[{alone}])\w[{mark}]*|[^\W{alone}](?:[^\W{alone}]|[{mark}])*")


def _char_class(ranges: Iterable[tuple[int, int]]) -> str:
    return "".join(f"{re.escape(chr(first))}-{re.escape(chr(last))}" for first, last in ranges)


Shingles = frozenset[tuple[str, ...]]


def shingles_of(tokens: Sequence[str]) -> Shingles:
    """Return the set of word 5-grams; one shingle of all words where there are 1 to 4, none where there is no word."""
    if len(tokens) < SHINGLE:
        return frozenset([tuple(tokens)] if tokens else ())
    return frozenset(zip(*(tokens[step:] for step in range(SHINGLE)), strict=False))


def shingles(text: str) -> Shingles:
    """`shingles_of` the words of a text."""
    return shingles_of(words(text))


def grams(text: str) -> frozenset[str]:
    """`grams_of` the words of a text."""
    return grams_of(words(text))


def grams_of(tokens: Sequence[str]) -> frozenset[str]:
    """Character 4-grams of 1 to 19 words joined by one space; of more or none the empty set."""
    if not 0 < len(tokens) < SHORT:
        return frozenset()
    line = " ".join(tokens)
    return frozenset(line[i : i + GRAM] for i in range(max(1, len(line) - GRAM + 1)))


def jaccard(one: frozenset[Any], other: frozenset[Any]) -> float:
    """Shared over all; 0.0 where either set is empty."""
    if not one or not other:
        return 0.0
    shared = len(one & other)
    return shared / (len(one) + len(other) - shared)


def exact(one: str, other: str) -> bool:
    """True if equal after NFC, case folding and collapsed white space; byte for byte for a text without words."""
    if one == other:
        return True
    return normal(one) == normal(other) and bool(words(one)) and bool(words(other))


_END = ".,;:!?\"'`´‘’“”«»‹›„‚"
_NUMBER = re.compile(r"(?<!\w)[+-]?[.,]?(?=\w*\d)\w+(?:[.,]\w*\d\w*)*")
_TURN = re.compile(r"\w+(?:['’/]\w+)?")
_OPERATORS = "+-*/=<>&|^%#"


def same_answer(one: str | None, other: str | None, threshold: float = 0.8, *, near: bool | None = None) -> bool:
    """True if two answers are the same.

    Both missing; or equal but for case, white space and the punctuation that ends a word; or Jaccard of the word
    5-grams >= threshold (`near`, where that is known) and the same numbers, operator runs, negation and side words,
    each as often. Tool calls must be equal to the letter.
    """
    if one is None or other is None:
        return one is other
    if one == other or answer_form(one) == answer_form(other):
        return True
    if near is None:
        near = jaccard(shingles(one), shingles(other)) >= threshold
    return near and critical(one) == critical(other)


@lru_cache(maxsize=4096)
def answer_form(text: str) -> str:
    """Return the normal form without `. , ; : ! ?` and quotes that end a word, if anything remains; calls unchanged."""
    said, calls = parted(text)
    if calls:
        return with_calls(answer_form(said), calls)
    line = normal(text)
    bare = " ".join(filter(None, (word.rstrip(_END) for word in line.split(" "))))
    return bare if words(bare) else line


@lru_cache(maxsize=4096)
def critical(text: str) -> tuple[tuple[str, int], ...]:
    """Return the tokens on which two answers must agree: words that hold a digit (with sign and decimal mark), runs of
    operators, negation and side words; each with its count, in a fixed order. Of tool calls the whole.
    """
    said, calls = parted(text)
    if calls:
        return (*critical(said), (with_calls("", calls), 1))
    line = normal(text).replace("\N{MINUS SIGN}", "-")
    found = Counter(_NUMBER.findall(line))
    found.update(_operators(line.isascii()).findall(line))
    turns, endings = _turns()
    found.update(w for w in _parts(line) if w in turns or w.endswith(endings))
    return tuple(sorted(found.items()))


def _parts(line: str) -> list[str]:
    """Return words, and `don't` or `w/o` whole as well as in parts."""
    out = []
    for token in _TURN.findall(line):
        out.append(token.replace("’", "'"))
        if not token.isalnum():
            out += words(token)
    return out


@cache
def _operators(ascii_only: bool) -> re.Pattern[str]:
    """Return runs of operators; outside ASCII every mathematical sign counts as one."""
    signs = set(_OPERATORS)
    if not ascii_only:
        signs.update(chr(c) for c in range(0x80, 0x2C00) if unicodedata.category(chr(c)) == "Sm")
    return re.compile(f"[{re.escape(''.join(sorted(signs)))}]+")


@cache
def _turns() -> tuple[frozenset[str], tuple[str, ...]]:
    table = rule_file("words.toml")
    return negations() | {normal(word) for word in table["side"]["words"]}, tuple(table["negation"]["endings"])


@cache
def negations() -> frozenset[str]:
    """Return the words that negate, in normal form."""
    return frozenset(normal(word) for word in rule_file("words.toml")["negation"]["words"])


SHARE = 0.10
LEAST = 20
SAMPLE = 10_000
SEED = 20_260_923


def drawn(rows: int) -> Sequence[int]:
    """Return indices of the rows on which the template is counted: all, or 10,000 drawn by a fixed seed, ascending."""
    return range(rows) if rows <= SAMPLE else sorted(random.Random(SEED).sample(range(rows), SAMPLE))


def is_common(count: Any, rows: int) -> Any:
    """True if a shingle in `count` of `rows` rows belongs to the template; of an array for each."""
    return (count >= LEAST) & (count > SHARE * rows)


def find_template(questions: Sequence[str]) -> Shingles:
    """Return the shingles that are in more than 10% of the questions of rows that have an answer, and in at least 20.

    They are left out of a question's shingles, unless nothing would remain.
    """
    indices = drawn(len(questions))
    counts = Counter[tuple[str, ...]]()
    for index in indices:
        counts.update(shingles(questions[index]))
    return frozenset(s for s, count in counts.items() if is_common(count, len(indices)))


def covered(question: str, common: Shingles) -> str:
    """Return the words of `question` that shingles of `common` cover, parts joined by ` ... `."""
    tokens = words(question)
    kept = [False] * len(tokens)
    for i in range(max(1, len(tokens) - SHINGLE + 1)):
        if shingles_of(tokens[i : i + SHINGLE]) <= common:
            kept[i : i + SHINGLE] = [True] * len(tokens[i : i + SHINGLE])
    runs = groupby(zip(tokens, kept, strict=True), key=itemgetter(1))
    return " ... ".join(" ".join(token for token, _ in run) for is_kept, run in runs if is_kept)
