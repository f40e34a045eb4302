"""The leakage check from end to end, and a train set without leaks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from curation.example import Example
from curation.join import SLACK, jaccard_of
from curation.leakage.index import LABEL_WORDS, TestIndex, build_index
from curation.leakage.judge import Judge, Pair, Part, TrainRow
from curation.leakage.report import Leak, LeakReport
from curation.leakage.scan import Scan, scan_train
from curation.leakage.weigh import Looked, pairs_to_look_at
from curation.prints import InMemory, Source, stripped, use_compiled
from curation.sets import U32, Sets
from curation.shingling import hash_texts
from curation.similarity import words
from curation.similarity.template import is_common

SUSPECTS = 3
"""Suspects that are listed for one test item."""


def find_leaks(
    train: Iterable[Example], test: Sequence[Example], threshold: float = 0.8, *, numba: bool | None = None
) -> LeakReport:
    """Which test items stand in the train rows, word for word or lightly edited.

    `train` is passed over once and, where it can `fetch` rows by index, not held; else it is held. The test items
    are held.
    """
    if not hasattr(train, "fetch"):
        train = train if isinstance(train, Sequence) else list(train)
    source: Source = train if hasattr(train, "fetch") else InMemory(train)  # type: ignore[assignment]
    index = build_index(test)
    scan = scan_train(train, index, numba)
    looked = pairs_to_look_at(index, scan, compiled=use_compiled(scan.rows, numba))
    pairs = _pairs(index, scan, looked)
    leaks, suspects = _judge(pairs, index, scan, looked, source, test, threshold)
    return LeakReport(scan.rows, len(test), _in_order(leaks), _few(_in_order(suspects)))


def clean_rows(
    train: Sequence[Example], test: Sequence[Example], threshold: float = 0.8
) -> tuple[list[int], LeakReport]:
    """Indices of the train rows that leak nothing, and the first report.

    Repeats until nothing is found: with fewer rows a gram is rarer, so that a second look can find more.
    """
    kept = list(range(len(train)))
    first: LeakReport | None = None
    while True:
        report = find_leaks([train[i] for i in kept], test, threshold)
        first = first or report
        gone = set(report.train_rows)
        if not gone:
            return kept, first
        kept = [row for place, row in enumerate(kept) if place not in gone]


def _pairs(index: TestIndex, scan: Scan, looked: Looked) -> dict[int, dict[int, Pair]]:
    """Pairs to judge: by train row, by test item."""
    found: dict[int, dict[int, Pair]] = defaultdict(lambda: defaultdict(Pair))
    merely: dict[int, int] = defaultdict(int)
    for row, part, share in zip(looked.row.tolist(), looked.part.tolist(), looked.share.tolist(), strict=True):
        if index.words[part] < LABEL_WORDS:
            merely[part] += 1
            if merely[part] > SUSPECTS:
                continue
        found[row][int(index.item[part])].share["answer" if index.is_answer[part] else "question"] = share
    for rows, parts in scan.same_words:
        for row, part in zip(rows.tolist(), parts.tolist(), strict=True):
            found[row][int(index.item[part])].same_words = True
    _add_short(found, scan)
    return found


def _add_short(found: dict[int, dict[int, Pair]], scan: Scan) -> None:
    """Short near pairs that may have the same answer, or are looked at anyway; of the others a few, as suspects."""
    others: dict[int, int] = defaultdict(int)
    for pairs in scan.short_near:
        for row, item, score, may_be in zip(*(column.tolist() for column in pairs), strict=True):
            known = row in found and item in found[row]
            if not (may_be or known):
                others[item] += 1
                if others[item] > SUSPECTS:
                    continue
            pair = found[row][item]
            pair.short_near, pair.differ = score, not (may_be or known)


def _judge(
    pairs: dict[int, dict[int, Pair]],
    index: TestIndex,
    scan: Scan,
    looked: Looked,
    source: Source,
    test: Sequence[Example],
    threshold: float,
) -> tuple[list[Leak], list[Leak]]:
    rows = sorted(pairs)
    fetched = dict(zip(rows, source.fetch(rows), strict=True))
    _measure_near(pairs, fetched, scan, test, threshold)
    common = looked.template
    judges: dict[int, Judge] = {}
    leaks: list[Leak] = []
    suspects: list[Leak] = []
    labels = _labels(index, scan)
    answer_part = {int(index.item[p]): int(p) for p in np.flatnonzero(index.is_answer) if int(p) not in labels}
    for row in rows:
        train_row = TrainRow(row, fetched[row])
        for item, pair in pairs[row].items():
            if item not in judges:
                parts = {"question": _part("question", words(test[item].question), index, item, common)}
                if item in answer_part:
                    parts["answer"] = _part("answer", words(test[item].answer or ""), index, answer_part[item], common)
                judges[item] = Judge(item, test[item], parts, threshold)
            more, also = judges[item].judge(train_row, pair)
            leaks += more
            suspects += also
    return leaks, suspects


def _part(name: str, tokens: list[str], index: TestIndex, part: int, common: npt.NDArray[np.bool_]) -> Part:
    return Part(name, tokens, common[index.part_grams(part)].tolist())


def _labels(index: TestIndex, scan: Scan) -> set[int]:
    """Answer parts that are given to two or more different questions, in train and test together."""
    asked = {key: set(questions) for key, questions in scan.asked.items()}
    parts = np.flatnonzero(index.is_answer)
    for part in parts.tolist():
        question = int(index.sequence[index.item[part]])
        asked.setdefault(int(index.sequence[part]), set()).add(question)
    return {part for part in parts.tolist() if len(asked[int(index.sequence[part])]) > 1}


def _measure_near(
    pairs: dict[int, dict[int, Pair]],
    fetched: dict[int, Example],
    scan: Scan,
    test: Sequence[Example],
    threshold: float,
) -> None:
    """Set `near` of each pair to the similarity of the questions where it reaches the threshold."""
    places = [(row, item) for row in fetched for item, pair in pairs[row].items() if "question" in pair.share]
    if not places:
        return
    rows, items = sorted({row for row, _ in places}), sorted({item for _, item in places})
    common = _template(scan)
    left = _stripped([fetched[row] for row in rows], common)
    right = _stripped([test[item] for item in items], common)
    row_at, item_at = {row: k for k, row in enumerate(rows)}, {item: k for k, item in enumerate(items)}
    one = np.array([row_at[row] for row, _ in places])
    other = np.array([item_at[item] for _, item in places])
    for (row, item), score in zip(places, jaccard_of(left, right, one, other).tolist(), strict=True):
        pairs[row][item].near = score if score >= threshold - SLACK else 0.0


def _template(scan: Scan) -> U32:
    """Hashes of the question shingles that stand in more than 10% of the different sampled questions, and in 20."""
    hashed = hash_texts(scan.sample, grams=False)
    different = np.unique(hashed.exact, return_index=True)[1]
    found, count = np.unique(hashed.shingles.take(different).hashes, return_counts=True)
    return found[np.array([is_common(c, len(different)) for c in count.tolist()], np.bool_)]


def _stripped(examples: Sequence[Example], common: U32) -> Sets:
    """Question shingles without the template, for rows with an answer, unless nothing would remain."""
    sets = hash_texts([example.question for example in examples], grams=False).shingles
    return stripped(sets, common, np.array([example.answer is not None for example in examples], np.bool_))


def _in_order(found: list[Leak]) -> tuple[Leak, ...]:
    """By test item, the strongest first; of one train row only the strongest."""
    best: dict[tuple[int, int], Leak] = {}
    for leak in found:
        key = (leak.test, leak.train)
        if key not in best or leak.rank > best[key].rank:
            best[key] = leak
    return tuple(sorted(best.values(), key=lambda leak: (leak.test, [-part for part in leak.rank])))


def _few(suspects: tuple[Leak, ...]) -> tuple[Leak, ...]:
    """The first suspects for each test item."""
    seen: dict[int, int] = defaultdict(int)
    out = []
    for suspect in suspects:
        seen[suspect.test] += 1
        if seen[suspect.test] <= SUSPECTS:
            out.append(suspect)
    return tuple(out)
