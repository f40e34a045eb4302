"""Variety: how much the rows repeat each other, their spread over lengths and sources, and their topics."""

from __future__ import annotations

import itertools
import random
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from curation.checks.base import DataFinding, FindingEvidence, QualityCheck, Subject, Survey, excerpt, one_thread
from curation.checks.rules import limit, quality_rules
from curation.mask import mask

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
            others = ", ".join(f"{name} {score}" for name, score in self.measures["reference"].items())
            reason = (
                f"{distinct:.0%} of the word pairs differ and the questions pack to {packed:.0%}: "
                f"{self.measures['vendi_rows']:,} rows are as varied as about {score:.0f} that share nothing "
                f"(of {VENDI_ROWS} questions: {others})."
            )
            return self.finding([], rows=survey.rows, reason=reason, detail=self.measures)
        if drafts and drafts["generated"] < limit("variety_generated") * drafts["own"]:
            reason = (
                f"{drafts['rows']} generated questions are as varied as about {drafts['generated']:.0f} that share "
                f"nothing, as many of your own as {drafts['own']:.0f}: other seeds, strategies or a higher temperature."
            )
            return self.finding([], rows=int(drafts["drafts"]), reason=reason, detail=self.measures)
        return None


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
    return min(BINS, len(text.split()).bit_length())


def _table(counts: Counter[int]) -> list[dict[str, Any]]:
    return [{"from": 2 ** (b - 1) if b else 0, "to": 2**b - 1 if b else 0, "rows": counts[b]} for b in sorted(counts)]


FEWEST_TOPICS = 60
DRAWN_TOPICS = 3000


class Topics(QualityCheck):
    """Clusters of the questions; a finding where a test set has topics that training lacks."""

    name = "topics"
    title = "Topics without rows"
    reason = "The test set asks about topics for which there are no rows to learn from."

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the map as a measure; the gaps as a finding."""
        if len(survey.sample) < FEWEST_TOPICS:
            return None
        rng = random.Random(survey.options.seed)
        rows = rng.sample(list(survey.sample), min(DRAWN_TOPICS, len(survey.sample)))
        test = [s for s in rows if s.role == "test"]
        train = [s for s in rows if s.role != "test"]
        found = cluster([*train, *test], survey.options.seed)
        if found is None or not train:
            return None
        places, names = found
        topics = _topics(places, names, train, test)
        self.measures = {"topics": topics}
        gaps = [topic for topic in topics if topic["test"] >= 3 and topic["train"] == 0]
        if not gaps:
            return None
        evidence = [
            FindingEvidence(
                key=str(gap["topic"]), places=(), note=f"{gap['words']}: {gap['test']} test rows, none to learn from"
            )
            for gap in gaps
        ]
        return self.finding(evidence, rows=sum(gap["test"] for gap in gaps))


def cluster(subjects: Sequence[Subject], seed: int) -> tuple[list[int], list[str]] | None:
    """Return topic of each row, and the words that name each topic; None if there is no text."""
    from sklearn.cluster import MiniBatchKMeans
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    texts = [subject.example.question[:1000] for subject in subjects]
    count = min(int(limit("overlap_topics")), max(2, int((len(texts) / 10) ** 0.5) * 2))
    try:
        maker = TfidfVectorizer(max_features=8000, max_df=0.5, sublinear_tf=True)
        vectors = maker.fit_transform(texts)
        parts = min(50, vectors.shape[1] - 1)
        if parts < 2:
            return None
        with one_thread():
            dense = normalize(TruncatedSVD(parts, random_state=seed).fit_transform(vectors))
    except ValueError:
        return None
    with one_thread():
        places = MiniBatchKMeans(count, random_state=seed, n_init=1, batch_size=1024).fit_predict(dense)
    words = maker.get_feature_names_out()
    names = []
    for topic in range(count):
        inside = vectors[places == topic]
        weight = inside.mean(axis=0).A1 if inside.shape[0] else None
        names.append(mask(", ".join(words[i] for i in weight.argsort()[::-1][:4])) if weight is not None else "")
    return [int(place) for place in places], names


def _topics(
    places: list[int], names: list[str], train: Sequence[Subject], test: Sequence[Subject]
) -> list[dict[str, Any]]:
    table: list[dict[str, Any]] = []
    for topic, name in enumerate(names):
        inside = [i for i, place in enumerate(places) if place == topic]
        learnt = [i for i in inside if i < len(train)]
        example = (*train, *test)[inside[0]].example.question if inside else ""
        row = {"topic": topic, "words": name, "train": len(learnt), "test": len(inside) - len(learnt)}
        table.append({**row, "example": excerpt(example, 80)})
    return sorted((row for row in table if row["train"] or row["test"]), key=lambda row: -row["train"])
