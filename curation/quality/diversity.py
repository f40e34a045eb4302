"""How much the rows repeat each other."""

from __future__ import annotations

import itertools
import random
import re
import zlib
from collections.abc import Sequence

from curation.quality.base import Check, Finding, Survey
from curation.quality.rules import limit

FEWEST = 50
DRAWN = 2000
PIECE = 400
"""Characters of a question that are compared."""


class Diversity(Check):
    """Different word pairs over all (distinct-2) and packed over plain bytes, on a fixed number of rows."""

    name = "diversity"
    title = "Little variety"
    reason = "The questions repeat each other: more rows of this kind add little."

    def end(self, survey: Survey) -> Finding | None:
        """A finding where both measures are low; always the measures."""
        if len(survey.sample) < FEWEST:
            return None
        chosen = random.Random(survey.options.seed).sample(list(survey.sample), min(DRAWN, len(survey.sample)))
        texts = [subject.example.question[:PIECE] for subject in chosen]
        distinct, packed, score = distinct_pairs(texts), packing(texts), vendi(texts)
        self.measures = {"rows": len(texts), "distinct_2": distinct, "compression": packed, "vendi": score}
        if distinct >= limit("distinct_low") or packed >= limit("compression_low"):
            return None
        reason = (
            f"{distinct:.0%} of the word pairs differ and the questions pack to {packed:.0%}: "
            f"{len(texts):,} rows are as varied as about {score:.0f} that share nothing."
        )
        return self.finding([], rows=survey.rows, reason=reason, detail=self.measures)


def distinct_pairs(texts: Sequence[str]) -> float:
    """Different neighbouring word pairs over all word pairs, 0..1 (Li et al. 2016, distinct-2)."""
    pairs: list[tuple[str, str]] = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        pairs += itertools.pairwise(words)
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def packing(texts: Sequence[str]) -> float:
    """Bytes after zlib over bytes before, 0..1: the lower the more is repeated."""
    plain = "\n".join(texts).encode()
    return len(zlib.compress(plain, 6)) / len(plain) if plain else 1.0


def vendi(texts: Sequence[str], most: int = 300) -> float:
    """Vendi score (Friedman and Dieng 2022) of TF-IDF vectors: how many texts that share nothing these amount to.

    On at most `most` texts, because it needs the eigenvalues of their similarities.
    """
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    some = list(texts[:most])
    try:
        vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(some)
    except ValueError:
        return 1.0
    kernel = np.asarray((vectors @ vectors.T).todense()) / len(some)
    np.fill_diagonal(kernel, 1 / len(some))
    values = np.linalg.eigvalsh(kernel)
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))
