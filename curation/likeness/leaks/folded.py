"""Texts as they are compared for leaks: what a reader cannot see is taken out, and look-alike signs become one.

NFKC makes full-width and other compatibility forms the plain ones. Cyrillic and Greek letters that look like Latin ones
become these, in whole words too, so that a word has one form whatever alphabet it was typed in. The table of a word
without a Latin letter is closed under case: a Russian or Greek word and its capitals still have the same form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from curation.example import Example, all_messages, all_texts
from curation.likeness.fingerprints import RowSource

_UNSEEN = re.compile("[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
                     "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]")  # fmt: skip
"""Zero-width characters, joiners, direction marks, fillers and variation selectors."""
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
    text = _UNSEEN.sub("", text)
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
    """Return the row with its texts folded: roles and contents alone, or the row itself where nothing changes."""
    texts = all_texts(example)
    if all(map(str.isascii, texts)):
        return example
    texts = [folded(text) for text in texts]
    if not example.messages:
        return Example({"text": texts[0]})
    turns = [{"role": m.get("role"), "content": text} for m, text in zip(all_messages(example), texts, strict=True)]
    own = len(example.messages)
    if own == len(turns):
        return Example({"messages": turns})
    return Example({"prompt": [], "chosen": turns[:own], "rejected": turns[own:]})


class FoldedRows:
    """Rows that are folded when they are asked for."""

    def __init__(self, rows: RowSource) -> None:
        self.rows = rows

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices`."""
        return [folded_example(example) for example in self.rows.fetch(indices)]
