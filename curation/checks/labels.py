"""Answers that are labels (unequal, constant, spelled in two ways), and what gives an answer away by chance."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence

from curation.checks.base import DataFinding, FindingEvidence, Pile, QualityCheck, Subject, Survey
from curation.checks.rules import class_sizes, limit
from curation.example import Example, text_of
from workspace.counted import counted

FEWEST = 20
LONGEST_LABEL = 12
"""Words of an answer that may be a label."""


def labels_of(subjects: Sequence[Subject], limit: int) -> list[str] | None:
    """Return the label of each row; None if the answers are not labels.

    They are where every answer is short, at most `limit` differ, and four in five rows share theirs with two others.
    """
    answers = [subject.example.answer for subject in subjects]
    if len(answers) < FEWEST or any(answer is None or len(answer.split()) > LONGEST_LABEL for answer in answers):
        return None
    labels = [(answer or "").strip() for answer in answers]
    counts = Counter(labels)
    shared = sum(count for count in counts.values() if count >= 3)
    if len(counts) > min(limit, len(labels) // 3) or shared < 0.8 * len(labels):
        return None
    return labels


COUNTED = 5_000
"""Different short answers that are counted; where there are more, they are no labels."""


class Balance(QualityCheck):
    """Classes with fewer rows than the size table asks for, and classes that outweigh the others."""

    name = "balance"
    title = "Thin classes"
    reason = "A class with few rows is neither learnt nor measured."

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def see(self, subject: Subject) -> None:
        """Count the answer, if it may be a label."""
        answer = (subject.example.answer or "").strip()
        if answer in self.counts or (len(self.counts) < COUNTED and len(answer.split()) <= LONGEST_LABEL):
            self.counts[answer] += 1

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the thin classes with their counts. `rows` counts their rows; if all are thin, the smallest's."""
        if labels_of(survey.sample, survey.options.label_limit) is None:
            return None
        counts = dict(self.counts.most_common())
        minimum, recommended, table = class_sizes()
        least = survey.options.smallest_class or minimum
        most, fewest = max(counts.values()), min(counts.values())
        thin = {label: count for label, count in reversed(counts.items()) if count < least}
        sizes = {"classes": len(counts), "largest": most, "smallest": fewest, "least": least}
        self.measures = {**sizes, "recommended": recommended, "size_table": table, "classes": counts}
        if not thin and most < limit("imbalance") * fewest:
            return None
        asks = f"{least} that you set" if survey.options.smallest_class else f"{least} that {table} asks for"
        many = f"All {len(counts)}" if len(thin) == len(counts) else f"{len(thin)} of {len(counts)}"
        reason = f"{many} classes have fewer rows than the {asks} ({recommended} are recommended)"
        if not thin:
            reason = f"The largest class has {most:,} rows, {most / fewest:.0f} times as many as the smallest"
        name = next(reversed(counts))
        reason += f"; the smallest, {name!r}, has {fewest:,}."
        shown = thin or {name: fewest}
        evidence = [
            FindingEvidence(key=label[:8], places=(), note=f"{label}: {counted(n, 'row')}")
            for label, n in shown.items()
        ]
        rows = fewest if len(thin) == len(counts) else sum(shown.values())
        return self.finding(evidence, rows=rows, detail=sizes, reason=reason)


ANSWERS_KEPT = 50_000


class Constant(QualityCheck):
    """One answer for 95% of the rows: a model learns to say it always."""

    name = "constant"
    title = "Nearly one answer"
    reason = "A model that always gives this answer would score as well."

    def __init__(self) -> None:
        self.answers: Counter[int] = Counter()
        self.first: dict[int, str] = {}

    def see(self, subject: Subject) -> None:
        """Count the answer."""
        answer = subject.example.answer
        if answer is None:
            return
        key = hash(answer.strip())
        if key in self.answers or len(self.answers) < ANSWERS_KEPT:
            self.answers[key] += 1
            self.first.setdefault(key, answer[:80])

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the answer and its share."""
        total = self.answers.total()
        if total < FEWEST:
            return None
        key, count = self.answers.most_common(1)[0]
        if count < limit("constant_answer") * total:
            return None
        reason = f"{count:,} of {total:,} answers are {self.first[key]!r}: always giving it would score as well."
        return self.finding([], rows=count, reason=reason)


LONGEST_SPELLED = 6
"""Words of an answer that may be a label."""


class Spelling(QualityCheck):
    """Labels that differ only in case, white space, `-`, `_` or a full stop: `Card lost`, `card_lost`."""

    name = "spelling"
    title = "One label, two spellings"
    reason = "Labels that differ only in case or punctuation are two classes to a metric and to a model."
    action = "queue"

    def __init__(self) -> None:
        self.spellings: dict[str, Counter[str]] = defaultdict(Counter)

    def see(self, subject: Subject) -> None:
        """Count a short answer's spelling."""
        answer = subject.example.answer
        if answer and len(answer) <= 80 and len(answer.split()) <= LONGEST_SPELLED and len(self.spellings) < 20_000:
            self.spellings[_without_case(answer)][answer] += 1

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the rows with the rarer spelling of a label of five rows or more."""
        several = {k: c for k, c in self.spellings.items() if k and len(c) > 1 and c.total() >= 5}
        if not several:
            return None
        pile = Pile()
        for subject in survey.sample:
            answer = subject.example.answer or ""
            counts = several.get(_without_case(answer)) if len(answer) <= 80 else None
            if counts and answer != (usual := counts.most_common(1)[0][0]):
                pile.add(f"{answer!r}, {counts[usual]:,} rows write {usual!r}", subject)
        rows = sum(c.total() - c.most_common(1)[0][1] for c in several.values())
        return self.finding(pile.evidence, rows=rows, ids=pile.ids)


def _without_case(text: str) -> str:
    """Without case, white space, hyphens, underscores and a full stop at the end; signs that carry meaning stay."""
    return re.sub(r"(?<=\w)[\s_-]+(?=\w)|\s+|\.$", "", text.casefold().strip())


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
    text = example.row.get("rejected")
    if isinstance(text, list) and text and isinstance(text[-1], dict):
        text = text_of(text[-1].get("content"))
    if not isinstance(text, str) or example.answer is None:
        return None
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
