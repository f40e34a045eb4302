"""The leakage check from end to end, and a train set without leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain

import numpy as np

from curation.example import Example
from curation.likeness.fingerprints import InMemory, RowSource
from curation.likeness.leaks.folded import folded_example, visible
from curation.likeness.leaks.index import SUSPECTS, TestIndex
from curation.likeness.leaks.judge import CandidatePair, LeakJudge
from curation.likeness.leaks.look import AskedRow, ItemPart, LearntRow
from curation.likeness.leaks.report import Leak, LeakReport, in_order
from curation.likeness.leaks.scan import Scan, scan_train
from curation.likeness.leaks.weigh import candidate_pairs
from curation.likeness.sets import I64, Bools
from curation.likeness.words import Template, find_template, words

ROWS_AT_ONCE = 512
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
        source: RowSource = train if hasattr(train, "fetch") else InMemory(train)  # type: ignore[assignment]
        scan = scan_train(train, self._test, numba, self._index)
        self._index, labels = scan.index, _labels(scan)
        pairs = candidate_pairs(scan, labels)
        template = find_template(list(scan.sample.values())) if (pairs.question >= 0).any() else Template()
        judge_of = self._judges(scan.index, template, pairs.template, labels)
        leaks, suspects = list[Leak](), list[Leak]()
        rows, begins = np.unique(pairs.row, return_index=True)
        ends = np.append(begins, len(pairs.row))[1:]
        for place, example in enumerate(_fetched(source, rows.tolist())):
            row, begin, end = LearntRow(int(rows[place]), example, template), begins[place], ends[place]
            mine = (pairs.item, pairs.question, pairs.answer, pairs.same_words)
            for item, *facts in zip(*(column[begin:end].tolist() for column in mine), strict=True):
                judge = judge_of(item)
                more, also = judge.judge(CandidatePair(judge.asked, row, self._threshold, *facts))
                leaks += more
                suspects += also
        return LeakReport(scan.rows, len(self._test), in_order(leaks), in_order(suspects, SUSPECTS))

    def _judges(
        self, index: TestIndex, template: Template, common: Bools, labels: set[int]
    ) -> Callable[[int], LeakJudge]:
        """Gives the judge of a test item, made when the item is met; evidence shows the items as they were given."""
        answers = {int(index.item[p]): int(p) for p in np.flatnonzero(index.is_answer) if int(p) not in labels}

        @cache
        def judge_of(item: int) -> LeakJudge:
            shown, asked = self._shown[item], AskedRow(self._test[item], template)
            own = common[index.part_grams(item)]
            parts = {"question": ItemPart("question", asked.question, visible(shown.question), own)}
            if item in answers:
                said, own = words(asked.example.answer or ""), common[index.part_grams(answers[item])]
                parts["answer"] = ItemPart("answer", said, visible(shown.answer or ""), own)
            return LeakJudge(item, asked, parts)

        return judge_of


def _fetched(source: RowSource, rows: Sequence[int]) -> Iterator[Example]:
    """Yield these rows as they are compared; some are held at once."""
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        yield from map(folded_example, source.fetch(rows[begin : begin + ROWS_AT_ONCE]))


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
