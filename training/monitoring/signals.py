"""Each thing that may drift, as one test of two samples: what it was, what it is, and whether that is chance.

The false alarm rate of each test holds for every n. A permutation test of B rounds with p = (1 + rounds at least as
far) / (B + 1) rejects a true null with a chance of at most alpha, whatever the distribution and for ties too (Phipson
and Smyth 2010). Fisher's test conditions on the total and keeps its level at every rate.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

import numpy as np

from curation.likeness.words import words
from curation.review.queue import draw
from workspace.artefact import ArtefactPart, revised

FALSE_ALARM = 0.01
"""The chance that one signal is raised although nothing changed."""
FEWEST = 30
"""Requests, and rows to compare with, below which nothing is reported."""
MOST = 1000
"""Values compared on each side, drawn by seed: more would report differences that matter to nobody."""
TOPICS = 8
Figures = Mapping[str, Any]
"""Fields of a signal that its test gives: p, now, before, evidence; or why it could not be measured."""


class Signal(ArtefactPart):
    """One measure. `before` and `now` are figures in the unit that `unit` names (words, share, seconds, usd).

    `raised` is null if it could not be measured; `why` is the reason. `n` of `what` against `n_before` of `against`.
    `evidence` are lines that show the change.
    """

    name: str
    title: str
    against: str
    what: str = "request"
    unit: str = "share"
    n: int = 0
    n_before: int = 0
    before: float | None = None
    now: float | None = None
    p: float | None = None
    false_alarm: float = FALSE_ALARM
    raised: bool | None = None
    why: str = ""
    evidence: tuple[str, ...] = ()


def unmeasured(signal: Signal, why: str) -> Signal:
    """Return the signal, with why it could not be measured."""
    return revised(signal, why=why)


def compared(signal: Signal, now: Sequence[Any], before: Sequence[Any], test: Callable[[], Figures]) -> Signal:
    """Return the signal with the figures of its test; not measured where one side is too small."""
    signal = revised(signal, n=len(now), n_before=len(before))
    if len(now) < FEWEST:
        return unmeasured(signal, f"{signal.n:,} {signal.what}s tell nothing; {FEWEST} are needed")
    if len(before) < FEWEST:
        return unmeasured(signal, f"{signal.n_before:,} {signal.against} are too few; {FEWEST} are needed")
    found = test()
    return revised(signal, **found, raised=found["p"] <= signal.false_alarm if "p" in found else None)


def drawn(values: Sequence[Any], seed: int) -> list[Any]:
    """Draw at most MOST of them by seed, in order."""
    places = draw(seed, [str(n) for n in range(len(values))], min(MOST, len(values)))
    return [values[place] for place in places]


def share_signal(signal: Signal, now: Sequence[bool], before: Sequence[bool]) -> Signal:
    """Compare the present share of hits with the earlier one; raised if it is higher."""

    def test() -> Figures:
        p = more_often(sum(now), len(now), sum(before), len(before))
        return {"p": p, "now": sum(now) / len(now), "before": sum(before) / len(before)}

    return compared(signal, now, before, test)


def length_signal(signal: Signal, now: Sequence[int], before: Sequence[int], seed: int) -> Signal:
    """Return lengths in words: raised where their distribution differs, longer or shorter."""

    def test() -> Figures:
        _, p = differ(drawn(now, seed), drawn(before, seed), seed)
        return {"p": p, "now": median(now), "before": median(before)}

    return compared(revised(signal, unit="words"), now, before, test)


def later_signal(signal: Signal, values: Sequence[float], seed: int) -> Signal:
    """Return values in order of time: raised where the later half is larger than the earlier half."""
    half = len(values) // 2
    earlier, later = values[:half], values[half:]

    def test() -> Figures:
        p = ranks_higher(drawn(later, seed), drawn(earlier, seed), seed)
        return {"p": p, "now": median(later), "before": median(earlier)}

    return compared(signal, later, earlier, test)


def word_signals(now: Sequence[str], rows: Sequence[str], against: str, seed: int) -> list[Signal]:
    """New words and topics. Words and clusters are learnt on one half of the rows; requests are compared with the other
    half, so that both sides are equally strange to what was learnt.
    """
    known, fresh = halves(rows, seed)
    now = drawn(now, seed)
    rest = f"rows held back of {against}"
    strange = Signal(name="new_words", title="Words that the rows do not have", against=rest)
    spread = Signal(name="topics", title="Topics", against=rest, unit="chi-square")
    return [
        compared(strange, now, fresh, lambda: new_words(now, known, fresh, rows, seed)),
        compared(spread, now, fresh, lambda: topics(now, known, fresh, seed)),
    ]


def halves(rows: Sequence[str], seed: int) -> tuple[list[str], list[str]]:
    """Return two halves of the rows by seed, MOST in each at most."""
    places = set(draw(seed, [f"half {n}" for n in range(len(rows))], min(MOST, len(rows) // 2)))
    rest = [row for place, row in enumerate(rows) if place not in places]
    return [rows[place] for place in sorted(places)], drawn(rest, seed)


def new_words(
    now: Sequence[str], known: Sequence[str], fresh: Sequence[str], rows: Sequence[str], seed: int
) -> Figures:
    """Return the share of a question's words that the known rows lack."""
    lexicon = {word for row in known for word in words(row)}
    share, before = ([_strange(text, lexicon) for text in side] for side in (now, fresh))
    gap, p = higher(share, before, seed)
    mean = sum(before) / len(before)
    everything = {word for row in rows for word in words(row)}
    strange = Counter(word for text in now for word in set(words(text)) - everything)
    most = sorted(strange.items(), key=lambda entry: (-entry[1], entry[0]))[:8]
    evidence = tuple(f"{word} ({count:,} requests)" for word, count in most if count > 1)
    return {"p": p, "now": mean + gap, "before": mean, "evidence": evidence}


def _strange(text: str, lexicon: set[str]) -> float:
    found = words(text)
    return sum(word not in lexicon for word in found) / len(found) if found else 0.0


def topics(now: Sequence[str], known: Sequence[str], fresh: Sequence[str], seed: int) -> Figures:
    """Return clusters of the known rows: raised where requests spread over them otherwise than the other half does."""
    made = _clusters(known, seed)
    if made is None:
        return {"why": "the rows have too few different words for topics"}
    placed, names = made
    ours, theirs = placed(now), placed(fresh)
    chi, p = spread_differs(ours, theirs, seed)
    shares = {topic: (ours.count(topic) / len(ours), theirs.count(topic) / len(theirs)) for topic in range(len(names))}
    moved = sorted(shares, key=lambda topic: -abs(shares[topic][0] - shares[topic][1]))[:3]
    evidence = tuple(f"{names[t]}: {shares[t][1]:.1%} of rows, {shares[t][0]:.1%} of requests" for t in moved)
    return {"p": p, "now": chi, "evidence": evidence}


def _clusters(known: Sequence[str], seed: int) -> tuple[Callable[[Sequence[str]], list[int]], list[str]] | None:
    """Return a function from texts to topics, and the words that name each topic; None if the texts are all alike."""
    from sklearn.cluster import KMeans
    from sklearn.feature_extraction.text import TfidfVectorizer

    maker = TfidfVectorizer(max_features=4000, sublinear_tf=True, token_pattern=r"(?u)\b\w+\b")
    if not any(words(text) for text in known):
        return None
    vectors = maker.fit_transform(known)
    count = min(TOPICS, max(2, len(known) // 15), len(np.unique(vectors.toarray(), axis=0)))
    if count < 2:
        return None
    model = KMeans(count, random_state=seed, n_init=1).fit(vectors)
    terms = maker.get_feature_names_out()
    names = [", ".join(terms[i] for i in centre.argsort()[::-1][:3]) for centre in model.cluster_centers_]
    return lambda texts: [int(n) for n in model.predict(maker.transform(texts))], names


ROUNDS = 999


def more_often(hits: int, n: int, hits_before: int, n_before: int) -> float:
    """Return P-value that something happens more often now: Fisher's exact test, one-sided (hypergeometric tail)."""
    from scipy.stats import hypergeom

    return float(hypergeom.sf(hits - 1, n + n_before, hits + hits_before, n))


def differ(now: Sequence[float], before: Sequence[float], seed: int) -> tuple[float, float]:
    """(largest difference of the two distribution functions, p-value): Kolmogorov-Smirnov by permutation."""
    values = np.concatenate([np.asarray(now, float), np.asarray(before, float)])
    order = np.argsort(values, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(values[order]) > 0, True))

    def distance(labels: Any) -> Any:
        inside = np.cumsum(labels[:, order], axis=1, dtype=np.int64)[:, ends]
        return np.abs(inside / len(now) - (ends + 1 - inside) / len(before)).max(axis=1)

    return _permuted(distance, len(now), len(before), seed)


def higher(now: Sequence[float], before: Sequence[float], seed: int) -> tuple[float, float]:
    """(difference of means, p-value that the mean is higher now), by permutation."""
    values = np.concatenate([np.asarray(now, float), np.asarray(before, float)])
    total = values.sum()

    def gap(labels: Any) -> Any:
        inside = labels @ values
        return inside / len(now) - (total - inside) / len(before)

    return _permuted(gap, len(now), len(before), seed)


def ranks_higher(now: Sequence[float], before: Sequence[float], seed: int) -> float:
    """P-value that values are larger now: the sum of ranks by permutation, so that one slow request decides nothing."""
    from scipy.stats import rankdata

    ranks = rankdata([*now, *before])
    return higher(ranks[: len(now)].tolist(), ranks[len(now) :].tolist(), seed)[1]


def spread_differs(now: Sequence[int], before: Sequence[int], seed: int) -> tuple[float, float]:
    """(chi-square of two samples of classes, p-value), by permutation."""
    both = np.concatenate([np.asarray(now), np.asarray(before)])
    classes = (both[:, None] == np.unique(both)[None, :]).astype(float)
    totals = classes.sum(axis=0)
    expected = totals * len(now) / len(both)

    def chi(labels: Any) -> Any:
        return ((labels @ classes - expected) ** 2 / (expected * (1 - len(now) / len(both)))).sum(axis=1)

    return _permuted(chi, len(now), len(before), seed)


def _permuted(statistic: Any, n: int, m: int, seed: int) -> tuple[float, float]:
    """Return the statistic as it is, and the share of relabellings that reach it."""
    real = np.arange(n + m) < n
    found = float(statistic(real[None, :].astype(float))[0])
    labels = np.random.default_rng(seed).permuted(np.tile(real, (ROUNDS, 1)), axis=1).astype(float)
    reached = int((statistic(labels) >= found - 1e-9).sum())
    return found, (1 + reached) / (ROUNDS + 1)
