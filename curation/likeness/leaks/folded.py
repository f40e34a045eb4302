"""Texts as they are compared for leaks: what a reader cannot see is taken out, and look-alike signs become one.

NFKC makes full-width and other compatibility forms the plain ones. Cyrillic and Greek letters that look like Latin ones
become these, in whole words too, so that a word has one form whatever alphabet it was typed in. The table of a word
without a Latin letter is closed under case: a Russian or Greek word and its capitals still have the same form.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from curation.example import Example, every_text
from curation.mask import UNSEEN

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
