"""Diversity: how much the rows repeat each other, and how evenly numbers and lengths are spread."""

from __future__ import annotations

import itertools
import math
import random
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from curation.checks.base import DataFinding, QualityCheck, Subject, Survey
from curation.checks.rules import limit, quality_rules

FEWEST = 50
DRAWN = 2000
PIECE = 400
"""Characters of a question that are compared."""
VENDI_ROWS = 300
"""Rows whose similarities are computed: the score needs the eigenvalues of all pairs."""


class Diversity(QualityCheck):
    """Different word pairs over all (distinct-2), packed over plain bytes, and the Vendi score beside that of public
    sets; generated questions are compared with as many of the user's own.
    """

    name = "diversity"
    title = "Little variety"
    reason = "The questions repeat each other: more rows of this kind add little."

    def end(self, survey: Survey) -> DataFinding | None:
        """Return a finding if both simple measures are low, or drafts vary far less than own rows; always measure."""
        if len(survey.sample) < FEWEST:
            return None
        chosen = random.Random(survey.options.seed).sample(list(survey.sample), min(DRAWN, len(survey.sample)))
        texts = [subject.example.question[:PIECE] for subject in chosen]
        distinct, packed, score = distinct_pairs(texts), packing(texts), vendi(texts)
        self.measures = {"rows": len(texts), "distinct_2": distinct, "compression": packed, "vendi": score}
        self.measures["vendi_rows"] = min(len(texts), VENDI_ROWS)
        self.measures["reference"] = dict(quality_rules()["variety"]["sets"])
        drafts = against_own(survey.sample, survey.options.seed)
        if drafts:
            self.measures["generated"] = drafts
        if distinct < limit("distinct_low") and packed < limit("compression_low"):
            return self.finding([], rows=survey.rows, reason=self._repeated(), detail=self.measures)
        if drafts and drafts["generated"] < limit("variety_generated") * drafts["own"]:
            return self.finding([], rows=int(drafts["drafts"]), reason=_narrow(drafts), detail=self.measures)
        return None

    def _repeated(self) -> str:
        found = self.measures
        others = ", ".join(f"{name} {score}" for name, score in found["reference"].items())
        return (
            f"{found['distinct_2']:.0%} of the word pairs differ and the questions pack to {found['compression']:.0%}: "
            f"{found['vendi_rows']:,} rows are as varied as about {found['vendi']:.0f} that share nothing "
            f"(of {VENDI_ROWS} questions: {others})."
        )


def against_own(subjects: Sequence[Subject], seed: int) -> dict[str, float] | None:
    """Vendi scores of as many generated as own questions, and their numbers; None if one side has under 50."""
    drafts = [s.example.question[:PIECE] for s in subjects if s.origin == "generated"]
    own = [s.example.question[:PIECE] for s in subjects if s.origin != "generated"]
    rows = min(len(drafts), len(own), VENDI_ROWS)
    if rows < FEWEST:
        return None
    rng = random.Random(seed)
    scores = vendi(rng.sample(drafts, rows)), vendi(rng.sample(own, rows))
    return {"rows": rows, "generated": scores[0], "own": scores[1], "drafts": len(drafts)}


def _narrow(drafts: dict[str, float]) -> str:
    return (
        f"{drafts['rows']} generated questions are as varied as about {drafts['generated']:.0f} that share nothing, "
        f"as many of your own as {drafts['own']:.0f}: other seeds, strategies or a higher temperature."
    )


def distinct_pairs(texts: Sequence[str]) -> float:
    """Different neighbouring word pairs over all word pairs, 0..1 (Li et al. 2016, distinct-2)."""
    pairs: list[tuple[str, str]] = []
    for text in texts:
        words = re.findall(r"\w+", text.lower())
        pairs += itertools.pairwise(words)
    return len(set(pairs)) / len(pairs) if pairs else 1.0


def packing(texts: Sequence[str]) -> float:
    """Return bytes after zlib over bytes before, 0..1: the lower the more is repeated."""
    plain = "\n".join(texts).encode()
    return len(zlib.compress(plain, 6)) / len(plain) if plain else 1.0


def vendi(texts: Sequence[str]) -> float:
    """Vendi score (Friedman and Dieng 2022) of TF-IDF vectors: how many texts that share nothing these amount to.

    On at most VENDI_ROWS texts, because it needs the eigenvalues of their similarities.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    some = list(texts[:VENDI_ROWS])
    try:
        vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(some)
    except ValueError:
        return 1.0
    kernel = np.asarray((vectors @ vectors.T).todense()) / len(some)
    np.fill_diagonal(kernel, 1 / len(some))
    values = np.linalg.eigvalsh(kernel)
    values = values[values > 1e-12]
    return float(np.exp(-np.sum(values * np.log(values))))


FEWEST_SPREAD = 100
LOPSIDED = 0.9
BINS = 16


class Spread(QualityCheck):
    """Lengths of questions and answers; a finding if one of several sources holds nearly all rows.

    Rows of the test set are no source of their own here: they often come from one file more.
    """

    name = "spread"
    title = "One-sided rows"
    reason = "One source holds nearly all rows."

    def __init__(self) -> None:
        super().__init__()
        self.questions: Counter[int] = Counter()
        self.answers: Counter[int] = Counter()
        self.turns: Counter[int] = Counter()
        self.sources: Counter[str] = Counter()

    def see(self, subject: Subject) -> None:
        """Count words, turns and source."""
        example = subject.example
        self.questions[_bin(example.question)] += 1
        if example.answer is not None:
            self.answers[_bin(example.answer)] += 1
        self.turns[len(example.messages)] += 1
        source = example.row.get("source")
        if len(self.sources) < 1000 and subject.role != "test":
            self.sources[source if isinstance(source, str) else subject.source or subject.file] += 1

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the spread as a measure; lopsided sources as a finding."""
        self.measures = {
            "question_words": _table(self.questions),
            "answer_words": _table(self.answers),
            "messages": dict(sorted(self.turns.items())),
            "sources": dict(self.sources.most_common(20)),
        }
        if survey.rows < FEWEST_SPREAD or len(self.sources) < 2:
            return None
        name, count = self.sources.most_common(1)[0]
        rows = self.sources.total()
        if count < LOPSIDED * rows:
            return None
        others = len(self.sources) - 1
        rest = "the other source hardly counts" if others == 1 else f"the other {others} sources hardly count"
        reason = f"{count:,} of {rows:,} rows come from {name}; {rest}."
        return self.finding([], rows=count, reason=reason)


def _bin(text: str) -> int:
    """Return bins that double: 0, 1, 2-3, 4-7 ... words."""
    words = len(text.split())
    return min(BINS, int(math.log2(words)) + 1) if words else 0


def _table(counts: Counter[int]) -> list[dict[str, Any]]:
    return [{"from": 2 ** (b - 1) if b else 0, "to": 2**b - 1 if b else 0, "rows": counts[b]} for b in sorted(counts)]
