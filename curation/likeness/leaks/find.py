"""The leakage check from end to end, and a train set without leaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.likeness import SHORT_THRESHOLD
from curation.likeness.fingerprints import InMemory, RowSource, stripped
from curation.likeness.hashing import hash_texts, words_of
from curation.likeness.join import jaccard_of
from curation.likeness.leaks.folded import FoldedRows, folded_example, visible
from curation.likeness.leaks.index import TestIndex
from curation.likeness.leaks.judge import LeakJudge
from curation.likeness.leaks.look import ItemPart, LearntRow, Looker, train_rows
from curation.likeness.leaks.report import Leak, LeakReport, Part, in_order
from curation.likeness.leaks.scan import Scan, scan_train
from curation.likeness.leaks.weigh import SUSPECTS, CandidatePair, CandidatePairs, Looked, pairs_to_look_at
from curation.likeness.sets import I64, SLACK, U32, U64, Sets
from curation.likeness.template import is_common

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
    """Leaks and suspects: of learnt rows into validation and test, and of validation rows into test.

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
        index, scan = scan_train(train, self._test, numba, self._index)
        self._index, threshold = index, self._threshold
        looked = pairs_to_look_at(index, scan, source, compiled=scan.compiled)
        labels = _labels(index, scan)
        pairs = CandidatePairs(index, scan, looked, labels)
        judges = Judges(index, looked, labels, self._shown, self._test, threshold)
        leaks, suspects = _judge(pairs, index, scan, source, judges, threshold)
        return LeakReport(scan.rows, len(self._test), in_order(leaks), in_order(suspects, SUSPECTS))


def without_leaks(search: LeakSearch, report: LeakReport, chosen: Callable[[I64], Iterable[Example]]) -> I64:
    """Places of the train rows of a report that leak nothing; `chosen` gives the rows at some places.

    Looks again until nothing is found: with fewer rows a gram is rarer, so that a second look can find more.
    """
    kept: I64 = np.arange(report.train)
    while report.leaks:
        kept = np.delete(kept, report.train_rows)
        report = search.find(chosen(kept))
    return kept


def clean_rows(train: Sequence[Example], test: Sequence[Example]) -> tuple[list[int], LeakReport]:
    """Indices of the train rows that leak nothing, and the first report."""
    search = LeakSearch(test)
    report = search.find(train)
    kept = without_leaks(search, report, lambda places: [train[place] for place in places])
    return kept.tolist(), report


class Judges:
    """The judges of the test items, each made when its item is met. `shown` are the items as they were given."""

    def __init__(
        self,
        index: TestIndex,
        looked: Looked,
        labels: set[int],
        shown: Sequence[Example],
        test: Sequence[Example],
        threshold: float,
    ) -> None:
        self.test = test
        self._index, self._template, self._shown, self._threshold = index, looked.template, shown, threshold
        self._answers = {int(index.item[p]): int(p) for p in np.flatnonzero(index.is_answer) if int(p) not in labels}
        self._looker = Looker(index)
        self._made: dict[int, LeakJudge] = {}

    def __getitem__(self, item: int) -> LeakJudge:
        """The judge of an item."""
        if item not in self._made:
            parts = {"question": self._part("question", self._shown[item].question, item)}
            if item in self._answers:
                parts["answer"] = self._part("answer", self._shown[item].answer or "", self._answers[item])
            self._made[item] = LeakJudge(item, self.test[item], parts, self._looker, self._threshold)
        return self._made[item]

    def _part(self, name: Part, text: str, part: int) -> ItemPart:
        return ItemPart(name, visible(text), self._index, part, self._template)


def _judge(
    pairs: CandidatePairs, index: TestIndex, scan: Scan, source: RowSource, judges: Judges, threshold: float
) -> tuple[list[Leak], list[Leak]]:
    leaks, suspects = list[Leak](), list[Leak]()
    for row, mine in _looked_at(pairs, index, scan, source, judges.test, threshold):
        for item, pair in mine.items():
            more, also = judges[item].judge(row, pair)
            leaks += more
            suspects += also
    return leaks, suspects


def _looked_at(
    pairs: CandidatePairs, index: TestIndex, scan: Scan, source: RowSource, test: Sequence[Example], threshold: float
) -> Iterator[tuple[LearntRow, dict[int, CandidatePair]]]:
    """The train rows of the pairs with these, which know then how near they are; some thousands of rows are held at
    once.
    """
    compiled = scan.compiled
    common: U32 | None = None
    for begin in range(0, len(pairs.rows), ROWS_AT_ONCE):
        some = pairs.rows[begin : begin + ROWS_AT_ONCE].tolist()
        mine = pairs.of(some)
        fetched = dict(zip(some, source.fetch(some), strict=True))
        if common is None and any(pair.question is not None for row in some for pair in mine[row].values()):
            common = _template(scan, compiled)
        _measure_near(mine, fetched, common, index, test, threshold, compiled)
        _tell_apart(mine, fetched, test, threshold, compiled)
        for row in train_rows(some, list(fetched.values()), index, compiled):
            yield row, mine[row.index]


def _labels(index: TestIndex, scan: Scan) -> set[int]:
    """Answer parts that are given to two or more different questions, in train and test together."""
    asked = {key: set(questions) for key, questions in scan.asked.items()}
    parts = np.flatnonzero(index.is_answer)
    for part in parts.tolist():
        question = int(index.sequence[index.item[part]])
        asked.setdefault(int(index.sequence[part]), set()).add(question)
    return {part for part in parts.tolist() if len(asked[int(index.sequence[part])]) > 1}


def _measure_near(
    pairs: dict[int, dict[int, CandidatePair]],
    fetched: dict[int, Example],
    common: U32 | None,
    index: TestIndex,
    test: Sequence[Example],
    threshold: float,
    compiled: bool,
) -> None:
    """Set `near` and `short_near` of the pairs whose questions are."""
    known = [(row, item) for row in fetched for item, pair in pairs[row].items() if not pair.short_near]
    if not known:
        return
    examples = list(fetched.values())
    hashed = hash_texts([example.question for example in examples], compiled=compiled)
    row_at = {row: k for k, row in enumerate(fetched)}
    one, other = np.array([(row_at[row], item) for row, item in known]).T
    grams = jaccard_of(hashed.grams, index.grams, one, other)
    for (row, item), score in zip(known, grams.tolist(), strict=True):
        pairs[row][item].short_near = score if score >= SHORT_THRESHOLD - SLACK else 0.0
    asked = [k for k, (row, item) in enumerate(known) if pairs[row][item].question is not None]
    if not asked or common is None:
        return
    items, place = np.unique(other[asked], return_inverse=True)
    left = _stripped(hashed.shingles, examples, common)
    wanted = [test[item] for item in items.tolist()]
    shingles = hash_texts([example.question for example in wanted], compiled=compiled, grams=False).shingles
    score = jaccard_of(left, _stripped(shingles, wanted, common), one[asked], place)
    for k, value in zip(asked, score.tolist(), strict=True):
        row, item = known[k]
        pairs[row][item].near = value if value >= threshold - SLACK else 0.0


def _tell_apart(
    pairs: dict[int, dict[int, CandidatePair]],
    fetched: dict[int, Example],
    test: Sequence[Example],
    threshold: float,
    compiled: bool,
) -> None:
    """Set `answers_near`, and `differ` of pairs whose answers surely do: others are compared when it is asked for."""
    known = [(row, item) for row in fetched for item, pair in pairs[row].items() if not pair.differ]
    items = {item: k for k, item in enumerate(sorted({item for _, item in known}))}
    left = _answers([fetched[row].answer for row in fetched], compiled)
    right = _answers([test[item].answer for item in items], compiled)
    row_at = {row: k for k, row in enumerate(fetched)}
    one, other = np.array([(row_at[row], items[item]) for row, item in known], np.int64).reshape(-1, 2).T
    near = jaccard_of(left.shingles, right.shingles, one, other) >= threshold - SLACK
    sure = left.plain[one] & right.plain[other] & (left.key[one] != right.key[other]) & ~near
    for (row, item), differ, alike in zip(known, sure.tolist(), near.tolist(), strict=True):
        pairs[row][item].differ, pairs[row][item].answers_near = differ, alike


@dataclass(frozen=True, slots=True)
class _Answers:
    """Of each answer its shingles, the key of its words, and whether they are all there is to it: it is ASCII, with a
    word.
    """

    shingles: Sets
    key: U64
    plain: npt.NDArray[np.bool_]


def _answers(answers: Sequence[str | None], compiled: bool) -> _Answers:
    texts = [answer or "" for answer in answers]
    words = words_of(texts, compiled=compiled)
    ascii_only = np.fromiter(map(str.isascii, texts), np.bool_, len(texts))
    shingles = hash_texts(texts, compiled=compiled, grams=False).shingles
    return _Answers(shingles, words.sequence_keys(), ascii_only & (words.counts > 0))


def _template(scan: Scan, compiled: bool) -> U32:
    """Hashes of the question shingles that are in more than 10% of the different sampled questions, and in 20."""
    hashed = hash_texts(scan.sample.texts, compiled=compiled, grams=False)
    different = np.unique(hashed.exact, return_index=True)[1]
    found, count = np.unique(hashed.shingles.take(different).hashes, return_counts=True)
    counts, place = np.unique(count, return_inverse=True)
    return found[np.array([is_common(c, len(different)) for c in counts.tolist()], np.bool_)[place]]


def _stripped(sets: Sets, examples: Sequence[Example], common: U32) -> Sets:
    """Question shingles without the template, for rows with an answer, unless nothing would remain."""
    return stripped(sets, common, np.array([example.answer is not None for example in examples], np.bool_))
