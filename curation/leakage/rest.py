"""What rows that share a text have besides it: an instruction of many different rows is a template, copies are not."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from curation.example import Example, text_of
from curation.join import distinct
from curation.leakage.grams import GRAM, words_of
from curation.leakage.index import TestIndex
from curation.leakage.scan import NO_GRAM
from curation.prints import Source
from curation.sets import I64, U64

Bools = npt.NDArray[np.bool_]
ROWS_AT_ONCE = 512


def rest_spread(
    index: TestIndex, likely: Bools, wanted: Bools, hits: tuple[I64, I64], source: Source, *, compiled: bool
) -> I64:
    """For each of the `wanted` grams, how many different rests its holders (of those that were noted) have: the least
    of a row's grams that are not `likely` to be of a template. Copies have one rest, or none.
    """
    chosen = np.flatnonzero(wanted[hits[1]])
    rows, numbers = hits[0][chosen], hits[1][chosen]
    holders, place = np.unique(rows, return_inverse=True)
    _, rest = np.unique(rests_of(holders, index.table[likely], source, compiled=compiled), return_inverse=True)
    pairs = distinct(numbers * len(holders) + rest[place])
    return np.bincount(pairs // len(holders), minlength=len(index.table))


def rests_of(rows: I64, table: U64, source: Source, *, compiled: bool) -> U64:
    """For each of the rows the least of its grams that do not stand in `table`, all ones where it has none."""
    parts = [rows[begin : begin + ROWS_AT_ONCE] for begin in range(0, len(rows), ROWS_AT_ONCE)]
    return np.concatenate([_rests(source.fetch(some.tolist()), table, compiled) for some in parts])


def _rests(examples: Sequence[Example], table: U64, compiled: bool) -> U64:
    texts = [[text_of(m.get("content")) for m in e.messages] or [e.question] for e in examples]
    text, hashes = words_of([each for some in texts for each in some], compiled=compiled).grams(GRAM)
    owner = np.repeat(np.arange(len(texts)), [len(some) for some in texts])[text]
    other = table[np.minimum(np.searchsorted(table, hashes), len(table) - 1)] != hashes
    out = np.full(len(texts), NO_GRAM)
    np.minimum.at(out, owner[other], hashes[other])
    return out
