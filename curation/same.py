"""Same answer for many pairs at once, with the outcome of `curation.similarity.same_answer`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from curation.join import SLACK, jaccard_of
from curation.prints import Prints, Source, use_compiled
from curation.shingling import hash_texts
from curation.similarity import answer_form, critical

Bools = npt.NDArray[np.bool_]
AT_ONCE = 100_000
FETCHED = 5_000
"""Rows that are held at once for the sake of their answers."""


def same_answers(
    prints: Prints, source: Source, one: npt.NDArray[Any], other: npt.NDArray[Any], threshold: float
) -> Bools:
    """For each pair of rows whether their answers are the same. Texts are fetched only where the keys differ."""
    left, right = prints.answer[one], prints.answer[other]
    out: Bools = left == right
    open_pairs = np.flatnonzero(~out & (left != 0) & (right != 0))
    for begin in range(0, len(open_pairs), AT_ONCE):
        some = open_pairs[begin : begin + AT_ONCE]
        out[some] = _compare(source, one[some], other[some], threshold)
    return out


def _compare(source: Source, one: npt.NDArray[Any], other: npt.NDArray[Any], threshold: float) -> Bools:
    rows, where = np.unique(np.concatenate((one, other)), return_inverse=True)
    a, b = where[: len(one)], where[len(one) :]
    parts = (rows[begin : begin + FETCHED].tolist() for begin in range(0, len(rows), FETCHED))
    texts = [example.answer or "" for part in parts for example in source.fetch(part)]
    compiled = use_compiled(len(rows))
    hashed = hash_texts(texts, compiled=compiled, grams=False)
    near = jaccard_of(hashed.shingles, hashed.shingles, a, b, compiled=compiled) >= threshold - SLACK
    odd = np.array([not text.isascii() for text in texts], np.bool_) | (hashed.words == 0)
    out = np.zeros(len(one), np.bool_)
    for k in np.flatnonzero(near | odd[a] | odd[b]):
        left, right = texts[a[k]], texts[b[k]]
        out[k] = answer_form(left) == answer_form(right) or bool(near[k] and critical(left) == critical(right))
    return out
