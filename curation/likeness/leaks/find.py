"""The leakage check from end to end, and a train set without leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import chain

import numpy as np

from curation.example import Example
from curation.likeness import SHORT_THRESHOLD
from curation.likeness.fingerprints import InMemory, RowSource, stripped
from curation.likeness.hashing import hash_texts, words_of
from curation.likeness.join import jaccard_of
from curation.likeness.leaks.folded import FoldedRows, folded_example, visible
from curation.likeness.leaks.index import TestIndex
from curation.likeness.leaks.judge import CandidatePair, LeakJudge
from curation.likeness.leaks.look import ItemPart, Looker, train_rows
from curation.likeness.leaks.report import Leak, LeakReport, in_order
from curation.likeness.leaks.scan import Scan, scan_train
from curation.likeness.leaks.weigh import SUSPECTS, Bools, CandidatePairs, Floats, candidate_pairs, pairs_to_look_at
from curation.likeness.sets import I64, SLACK, U32, U64, Sets
from curation.likeness.words import SHINGLE, is_common

ROWS_AT_ONCE = 4096
"""Train rows that are held in memory while they are compared."""


def find_leaks(
    train: Iterable[Example], test: Sequence[Example], threshold: float = 0.8, *, numba: bool | None = None
) -> LeakReport:
    """Find the test items that are in the train rows, word for word or lightly edited: `LeakSearch`, asked once."""
    return LeakSearch(test, threshold).find(train, numba=numba)


def leaks_between(
    learnt: Iterable[Example], validated: Sequence[Example], tested: Sequence[Example]
) -> tuple[Iterator[Leak], Iterator[Leak]]:
    """Return leaks and suspects: of learnt rows into validation and test, and of validation rows into test.

    Train numbers count the learnt rows, then the validation rows; test numbers the validation rows, then the test rows.
    """
    into_both, into_test = find_leaks(learnt, [*validated, *tested]), find_leaks(validated, tested)
    first, then = into_both.train, len(validated)

    def moved(leaks: Sequence[Leak]) -> Iterator[Leak]:
        return (replace(leak, train=leak.train + first, test=leak.test + then) for leak in leaks)

    sure, unsure = chain(into_both.leaks, moved(into_test.leaks)), chain(into_both.suspects, moved(into_test.suspects))
    return sure, unsure


class LeakSearch:
    """A test set, held and indexed once, that is looked for in train rows as often as there are some."""

    def __init__(self, test: Sequence[Example], threshold: float = 0.8) -> None:
        self._shown, self._threshold = test, threshold
        self._test = [folded_example(item) for item in test]
        self._index: TestIndex | None = None

    def find(self, train: Iterable[Example], *, numba: bool | None = None) -> LeakReport:
        """Find the test items that are in these rows.

        `train` is passed over once and, where it can `fetch` rows by index, not held; else it is held.
        """
        if not hasattr(train, "fetch"):
            train = train if isinstance(train, Sequence) else list(train)
        source: RowSource = FoldedRows(train if hasattr(train, "fetch") else InMemory(train))  # type: ignore[arg-type]
        scan = scan_train(train, self._test, numba, self._index)
        self._index = scan.index
        looked, labels = pairs_to_look_at(scan, source), _labels(scan)
        judge_of = self._judges(scan.index, looked.template, labels)
        leaks, suspects = list[Leak](), list[Leak]()
        for item, pair in self._known(scan, candidate_pairs(scan, looked, labels), source):
            more, also = judge_of(item).judge(pair)
            leaks += more
            suspects += also
        return LeakReport(scan.rows, len(self._test), in_order(leaks), in_order(suspects, SUSPECTS))

    def _judges(self, index: TestIndex, template: Bools, labels: set[int]) -> Callable[[int], LeakJudge]:
        """Gives the judge of a test item, made when the item is met; evidence shows the items as they were given."""
        answers = {int(index.item[p]): int(p) for p in np.flatnonzero(index.is_answer) if int(p) not in labels}
        looker = Looker(index)

        @cache
        def judge_of(item: int) -> LeakJudge:
            shown = self._shown[item]
            parts = {"question": ItemPart("question", visible(shown.question), index, item, template)}
            if item in answers:
                parts["answer"] = ItemPart("answer", visible(shown.answer or ""), index, answers[item], template)
            return LeakJudge(item, self._test[item], parts, looker)

        return judge_of

    def _known(self, scan: Scan, pairs: CandidatePairs, source: RowSource) -> Iterator[tuple[int, CandidatePair]]:
        """The pairs with their items, as far as both rows are compared at once; some thousands of rows are held."""
        rows, common = np.unique(pairs.row), _template(scan) if (pairs.question >= 0).any() else np.zeros(0, np.uint32)
        for begin in range(0, len(rows), ROWS_AT_ONCE):
            some = rows[begin : begin + ROWS_AT_ONCE]
            mine, examples = pairs.of_rows(some[0], some[-1]), source.fetch(some.tolist())
            place = np.searchsorted(some, mine.row)
            learnt = list(train_rows(some.tolist(), examples, scan.index, scan.compiled))
            near, short = self._near(scan, mine, place, examples, common)
            differ, alike = self._told_apart(mine, place, examples, scan.compiled)
            known = (place, mine.item, near, short, mine.question, mine.answer, mine.same_words, mine.differ | differ)
            for at, item, *facts in zip(*(column.tolist() for column in (*known, alike)), strict=True):
                yield item, CandidatePair(self._test[item], learnt[at], self._threshold, *facts)

    def _near(
        self, scan: Scan, mine: CandidatePairs, place: I64, examples: Sequence[Example], common: U32
    ) -> tuple[Floats, Floats]:
        """Similarity of the questions by words (where they share any) and by characters, 0 below the threshold."""
        hashed = hash_texts([example.question for example in examples], compiled=scan.compiled)
        short = jaccard_of(hashed.grams, scan.index.grams, place, mine.item)
        near, asked = np.zeros(len(place)), np.flatnonzero(mine.question >= 0)
        items, at = np.unique(mine.item[asked], return_inverse=True)
        wanted = [self._test[item] for item in items.tolist()]
        shingles = hash_texts([item.question for item in wanted], compiled=scan.compiled, grams=False).shingles
        left, right = _stripped(hashed.shingles, examples, common), _stripped(shingles, wanted, common)
        near[asked] = jaccard_of(left, right, place[asked], at)
        near[near < self._threshold - SLACK] = short[short < SHORT_THRESHOLD - SLACK] = 0
        return near, short

    def _told_apart(
        self, mine: CandidatePairs, place: I64, examples: Sequence[Example], compiled: bool
    ) -> tuple[Bools, Bools]:
        """Return where the answers surely differ, and where they are near by words; others are compared on request."""
        items, at = np.unique(mine.item, return_inverse=True)
        one, other = _answers(examples, compiled), _answers([self._test[item] for item in items.tolist()], compiled)
        near = jaccard_of(one.shingles, other.shingles, place, at) >= self._threshold - SLACK
        return one.plain[place] & other.plain[at] & (one.key[place] != other.key[at]) & ~near, near


def without_leaks(search: LeakSearch, report: LeakReport, chosen: Callable[[I64], Iterable[Example]]) -> I64:
    """Return places of the train rows of a report that leak nothing; `chosen` gives the rows at some places.

    Looks again until nothing is found: with fewer rows a gram is rarer, so that a second look can find more.
    """
    kept: I64 = np.arange(report.train)
    while report.leaks:
        kept = np.delete(kept, report.train_rows)
        report = search.find(chosen(kept))
    return kept


def clean_rows(train: Sequence[Example], test: Sequence[Example]) -> tuple[list[int], LeakReport]:
    """Return indices of the train rows that leak nothing, and the first report."""
    search = LeakSearch(test)
    report = search.find(train)
    kept = without_leaks(search, report, lambda places: [train[place] for place in places])
    return kept.tolist(), report


def _labels(scan: Scan) -> set[int]:
    """Answer parts that are given to two or more different questions, in train and test together."""
    index, asked = scan.index, {key: set(questions) for key, questions in scan.asked.items()}
    parts = np.flatnonzero(index.is_answer)
    for part in parts.tolist():
        question = int(index.sequence[index.item[part]])
        asked.setdefault(int(index.sequence[part]), set()).add(question)
    return {part for part in parts.tolist() if len(asked[int(index.sequence[part])]) > 1}


@dataclass(frozen=True, slots=True)
class _Answers:
    """For each answer its shingles, the key of its words, and whether they are all of it (ASCII, one word or more)."""

    shingles: Sets
    key: U64
    plain: Bools


def _answers(examples: Sequence[Example], compiled: bool) -> _Answers:
    texts = [example.answer or "" for example in examples]
    words = words_of(texts, compiled=compiled)
    ascii_only = np.fromiter(map(str.isascii, texts), np.bool_, len(texts))
    return _Answers(words.sets(SHINGLE), words.sequence_keys(), ascii_only & (words.counts > 0))


def _template(scan: Scan) -> U32:
    """Hashes of the question shingles that are in more than 10% of the different sampled questions, and in 20."""
    hashed = hash_texts(scan.sample.texts, compiled=scan.compiled, grams=False)
    different = np.unique(hashed.exact, return_index=True)[1]
    found, count = np.unique(hashed.shingles.take(different).hashes, return_counts=True)
    counts, place = np.unique(count, return_inverse=True)
    return found[np.array([is_common(c, len(different)) for c in counts.tolist()], np.bool_)[place]]


def _stripped(sets: Sets, examples: Sequence[Example], common: U32) -> Sets:
    """Question shingles without the template, for rows with an answer, unless nothing would remain."""
    return stripped(sets, common, np.array([example.answer is not None for example in examples], np.bool_))
