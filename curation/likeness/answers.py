"""Sameness of two answers. Long answers may differ in a word; never in a number, an operator or a side."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache

from chat.tool_calls import parted, with_calls
from curation.likeness.words import jaccard, normal, shingles, words
from workspace.shipped_rules import rule_file

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
