"""Shortcuts that a model could learn instead of the task: source, length or preference that gives the answer away."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from curation.checks.base import DataFinding, FindingEvidence, QualityCheck, Subject, Survey
from curation.checks.labels import labels_of
from curation.checks.rules import limit
from curation.example import Example, text_of

FEWEST_SKEWED = 20
"""Rows of an answer, of a source, or pairs, below which nothing is said."""
FEWEST_ROWS = 100


class Skew(QualityCheck):
    """Answers that come from one source, questions whose length tells the answer, preferred answers that are longer."""

    name = "skew"
    title = "Skewed rows"
    reason = "What goes along with an answer by chance of collection is learnt instead of the task."

    def end(self, survey: Survey) -> DataFinding | None:
        """Return each kind of skew, with how many rows show it."""
        found = [*_preferences(survey.sample)]
        if len(survey.sample) >= FEWEST_ROWS:
            labels = labels_of(survey.sample, survey.options.label_limit)
            if labels is not None:
                found += [*_sources(survey.sample, labels), *_lengths(survey.sample, labels)]
            else:
                found += _longest(survey.sample)
        if not found:
            return None
        evidence = [FindingEvidence(key=f"{kind}-{n}", places=(), note=note) for n, (kind, note, _) in enumerate(found)]
        kinds = dict(Counter(kind for kind, _, _ in found))
        return self.finding(evidence, rows=sum(rows for _, _, rows in found), detail={"kinds": kinds})


def source_of(subject: Subject) -> str:
    """Return the source of a row: its own key `source` (or `meta.source`), else its file."""
    meta = subject.example.row.get("meta")
    named = subject.example.row.get("source") or (meta.get("source") if isinstance(meta, dict) else None)
    return named if isinstance(named, str) else subject.source or subject.file


def _sources(subjects: Sequence[Subject], labels: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Yield answers that nearly always come from one of several sources."""
    sources = [source_of(subject) for subject in subjects]
    whole = Counter(sources)
    by_label: dict[str, Counter[str]] = defaultdict(Counter)
    for label, source in zip(labels, sources, strict=True):
        by_label[label][source] += 1
    for label, counts in by_label.items():
        source, count = counts.most_common(1)[0]
        rows = counts.total()
        told = rows >= FEWEST_SKEWED and count >= limit("skew_source") * rows and whole[source] < 0.5 * len(labels)
        if told and whole[source] > 1.2 * count:
            yield "source", f"{label!r}: {count:,} of {rows:,} rows come from {source}", rows


def _lengths(subjects: Sequence[Subject], labels: Sequence[str]) -> Iterator[tuple[str, str, int]]:
    """Yield answers whose questions are nearly all longer, or shorter, than those of the other answers."""
    from scipy.stats import rankdata

    lengths = [len(subject.example.question) for subject in subjects]
    ranks = rankdata(lengths)
    counts = Counter(labels)
    sums: dict[str, float] = defaultdict(float)
    for label, rank in zip(labels, ranks, strict=True):
        sums[label] += float(rank)
    for label, n in counts.items():
        others = len(labels) - n
        if n < FEWEST_SKEWED or others < FEWEST_SKEWED:
            continue
        longer = (sums[label] - n * (n + 1) / 2) / (n * others)
        chance, word = max((longer, "longer"), (1 - longer, "shorter"))
        if chance >= limit("skew_length"):
            yield "length", f"{label!r}: its questions are {word} than the others' in {chance:.0%} of all pairs", n


def _preferences(subjects: Sequence[Subject]) -> Iterator[tuple[str, str, int]]:
    """Preferred answers that are nearly always the longer ones."""
    pairs = [pair for subject in subjects if (pair := _pair(subject.example)) is not None and pair[0] != pair[1]]
    longer = sum(chosen > rejected for chosen, rejected in pairs)
    if len(pairs) >= FEWEST_SKEWED and longer >= limit("skew_chosen") * len(pairs):
        yield "preference", f"{longer:,} of {len(pairs):,} preferred answers are longer than the rejected one", longer


def _pair(example: Example) -> tuple[int, int] | None:
    """Return characters of the chosen and the rejected answer; None if there is no pair."""
    rejected = example.row.get("rejected")
    if rejected is None or example.answer is None:
        return None
    text = rejected if isinstance(rejected, str) else text_of(rejected[-1].get("content")) if rejected else ""
    return len(example.answer), len(text)


def _longest(subjects: Sequence[Subject]) -> Iterator[tuple[str, str, int]]:
    """Yield a tenth of the answers that holds most of the words: the loss would be theirs."""
    words = sorted(
        (len(subject.example.answer.split()) for subject in subjects if subject.example.answer), reverse=True
    )
    tenth = len(words) // 10
    share = sum(words[:tenth]) / max(1, sum(words))
    if tenth and share >= limit("skew_words"):
        yield "answers", f"the longest tenth of the answers holds {share:.0%} of all answer words", tenth
