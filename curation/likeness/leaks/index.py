"""The test side: every question and every long answer, as word 3-grams in one table. Train only passes by.

Texts are compared as `folded`: what a reader cannot see is taken out, and look-alike signs become one. NFKC makes
full-width and other compatibility forms the plain ones. Cyrillic and Greek letters that look like Latin ones become
these, in whole words too, so that a word has one form whatever alphabet it was typed in. The table of a word without a
Latin letter is closed under case: a Russian or Greek word and its capitals still have the same form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from curation.example import Example, every_text
from curation.likeness.hashing import GramTable, hash_texts, with_bytes, words_of
from curation.likeness.sets import I64, U64, Bools, Sets, distinct, offsets
from curation.mask import UNSEEN

LABEL_WORDS = 8
"""An answer of fewer words is a label; a question of fewer words inside a message is a suspect."""
GRAM_WORDS = 3
"""Words in a gram: short enough to live through edits."""
GAP = 8
"""Words between two found ones that count for a stretch as well."""
SUSPECTS = 3
"""Suspects that are listed for one test item."""
NO_ANSWER = 1
"""Key of an answer where there is none."""


@dataclass(frozen=True, slots=True)
class TestIndex:
    """Parts are the questions of all items, then their answers of 8 words and more.

    By part: `item`, `is_answer`, `words`, `sequence` (key of its words in their order; ascending, with the part of
    each, in `by_key`), and `ordered[begins[p]:begins[p + 1]]`, the number of each gram in the order of the text. By
    gram: its hash in `table` and the parts that hold it, `holders[held_from[g]:held_from[g + 1]]`. Grams have 3 words,
    or 1 or 2 where a question has no more.

    By item: `grams` of its question where it is short, the key of its answer's words in `answers`, and in `odd` whether
    that key is not enough to tell an answer apart (no word, or not ASCII).
    """

    item: I64
    is_answer: Bools
    words: I64
    sequence: U64
    by_key: tuple[U64, I64]
    ordered: I64
    begins: I64
    table: GramTable
    holders: I64
    held_from: I64
    grams: Sets
    answers: U64
    odd: Bools

    def part_grams(self, part: int) -> I64:
        """Return numbers of the part's grams, in the order of its text."""
        return self.ordered[self.begins[part] : self.begins[part + 1]]


def build_index(test: Sequence[Example], *, compiled: bool = False) -> TestIndex:
    """Index the test items."""
    questions = [example.question for example in test]
    answers = [example.answer or "" for example in test]
    given = words_of(answers, compiled=compiled)
    said = with_bytes(given.sequence_keys(), answers).tolist()
    long = np.flatnonzero(given.sizes >= LABEL_WORDS)
    texts = [*questions, *(answers[int(i)] for i in long)]
    found = words_of(texts, compiled=compiled)
    counts = found.sizes
    owner, values = found.every(GRAM_WORDS)
    table, number = np.unique(values, return_inverse=True)
    order = np.argsort(owner, kind="stable")
    pairs = distinct((number.astype(np.int64) << 32) | owner)
    sequence = with_bytes(found.sequence_keys(), texts)
    by_key = np.argsort(sequence, kind="stable")
    return TestIndex(
        item=np.concatenate((np.arange(len(test)), long)),
        is_answer=np.arange(len(texts)) >= len(test),
        words=counts,
        sequence=sequence,
        by_key=(sequence[by_key], by_key),
        ordered=number[order].astype(np.int64),
        begins=offsets(np.bincount(owner, minlength=len(texts))),
        table=GramTable.of(table, np.unique(np.minimum(counts[counts > 0], GRAM_WORDS))),
        holders=pairs & 0xFFFFFFFF,
        held_from=offsets(np.bincount(pairs >> 32, minlength=len(table))),
        grams=hash_texts(questions, compiled=compiled).grams,
        answers=np.array([NO_ANSWER if e.answer is None else k for e, k in zip(test, said, strict=True)], np.uint64),
        odd=np.array([not (a.isascii() and n) for a, n in zip(answers, given.sizes, strict=True)], np.bool_),
    )


_SHAPES = dict(zip(
    "аеорсухіјѕһԁԛԝӏѵктмнвгьАВЕКМНОРСТУХІЈЅԚԜѴӀαονρυικτεχηγωσβϳΑΒΕΖΗΙΚΜΝΟΡΤΥΧɑɡı",
    "aeopcyxijshdqwlvktmhbrbABEKMHOPCTYXIJSQWVIaovpuiktexnywobjABEZHIKMNOPTYXagi",
    strict=True,
))  # fmt: skip
"""Letters and the Latin one that each looks like, in a word that has Latin letters."""
_EXACT = str.maketrans(_SHAPES)
_CLOSED = str.maketrans(dict(zip(
    "аеорсухіјѕһԁԛԝӏѵктмнвαονρυικτεχηγωβμζϳɑɡı",
    "aeopcyxijshdqwlvktmhbaovpuiktexnywbmzjagi",
    strict=True,
)))  # fmt: skip
"""The same for a word without: small letters, each like the Latin one that it or its capital looks like."""
_LETTERS = "".join(dict.fromkeys([*_SHAPES, "μ", "ζ"]))
_LIKE = re.compile(f"[{_LETTERS}{_LETTERS.replace('ı', '').upper()}]")
_WORD = re.compile(r"[^\W\d_]+")
_LATIN = re.compile("[A-Za-z]")


def visible(text: str) -> str:
    """Return the text in NFKC, without characters that cannot be seen."""
    if text.isascii():
        return text
    text = UNSEEN.sub("", text)
    return text if unicodedata.is_normalized("NFKC", text) else unicodedata.normalize("NFKC", text)


def folded(text: str) -> str:
    """Return the visible text with Latin letters for all that look like them. It has as many words as `visible`."""
    if text.isascii():
        return text
    text = visible(text)
    return _WORD.sub(_fold, text) if _LIKE.search(text) else text


def _fold(word: re.Match[str]) -> str:
    text = word[0]
    if text.isascii():
        return text
    if _LATIN.search(text):
        text = text.translate(_EXACT)
    return text if text.isascii() else text.lower().translate(_CLOSED)


def folded_example(example: Example) -> Example:
    """Return the row with its texts folded, without other keys, or the row itself where nothing changes."""
    if all(map(str.isascii, every_text(example))):
        return example
    return Example({key: _folded_within(value) for key, value in example.row.items() if key in _SEARCHED})


_SEARCHED = ("messages", "prompt", "chosen", "rejected", "text", "tools")


def _folded_within(value: Any) -> Any:
    """Return the value with each string in it folded."""
    if isinstance(value, str):
        return folded(value)
    if isinstance(value, Mapping):
        return {key: _folded_within(part) for key, part in value.items()}
    return [_folded_within(part) for part in value] if isinstance(value, list | tuple) else value
