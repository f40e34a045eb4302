"""The leakage check: pairs of a train row and a test item are judged; what leaks and what may, with the evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, partial
from itertools import chain, groupby, islice
from operator import attrgetter
from typing import Literal

import numpy as np

from curation.example import Example
from curation.likeness.fingerprints import Fetch, held
from curation.likeness.leaks.index import GRAM_WORDS, LABEL_WORDS, SUSPECTS, TestIndex, folded_example, visible
from curation.likeness.leaks.look import Answered, AskedRow, ItemPart, LearntRow, Overlap, Part, look
from curation.likeness.leaks.scan import Scan, scan_train
from curation.likeness.leaks.weigh import ANSWER_SHARE, QUESTION_SHARE, candidate_pairs
from curation.likeness.sets import I64, SLACK, Bools
from curation.likeness.words import SHINGLE, Shingles, find_template, jaccard, same_answer, words

Kind = Literal["exact", "near", "contained", "answer"]
STRENGTH: dict[str, int] = {"exact": 3, "near": 2, "contained": 1, "answer": 1}
SHOWN = 100
"""Leaks that the report lists for one test item; all are counted."""


@dataclass(frozen=True, slots=True)
class LeakEvidence:
    """`part` of the test item (question or answer) that is in message number `message` (from 0, -1: the whole
    question) of the train row, which is `role`'s; `why` says for a suspect why it is not a leak. `said` gives the
    shared words when they are asked for.
    """

    part: Part
    message: int
    role: str
    why: str
    said: Callable[[], str] = field(compare=False, repr=False)

    @property
    def shared(self) -> str:
        """The longest run of words that both have."""
        return self.said()

    def as_json(self) -> dict[str, object]:
        """Return the report as in `--json`."""
        out: dict[str, object] = {
            "part": self.part, "message": self.message, "role": self.role, "shared": self.shared,
        }  # fmt: skip
        return {**out, "why": self.why} if self.why else out


@dataclass(frozen=True, slots=True)
class Leak:
    """Test item `test` (input order) in train row `train`: `score` is the share found, `answer`: same answer."""

    test: int
    train: int
    kind: Kind
    answer: Literal["same", "different"]
    score: float
    evidence: LeakEvidence

    @property
    def rank(self) -> tuple[int, float, int]:
        """Sorts the stronger evidence first; of equals the earlier train row."""
        return -STRENGTH[self.kind], -self.score, self.train


@dataclass(frozen=True, slots=True)
class LeakReport:
    """`leaks` by test item, the strongest first; `suspects` likewise. `train_rows` are all train rows that leak."""

    train: int
    test: int
    leaks: tuple[Leak, ...]
    suspects: tuple[Leak, ...]

    @property
    def leaked_test(self) -> int:
        """Return the number of test items that leak."""
        return len({leak.test for leak in self.leaks})

    @property
    def train_rows(self) -> list[int]:
        """Train rows that hold a leak, in input order."""
        return sorted({leak.train for leak in self.leaks})

    def strongest(self) -> dict[int, Leak]:
        """Return the strongest leak of each leaked test item."""
        return {leak.test: leak for leak in map(next, _by_item(self.leaks))}

    def shown(self) -> Iterator[Leak]:
        """Return the leaks of each test item, at most 100 each."""
        return (leak for mine in _by_item(self.leaks) for leak in islice(mine, SHOWN))


def in_order(leaks: Iterable[Leak], most: int | None = None) -> tuple[Leak, ...]:
    """Return leaks by test item, the strongest first, at most `most` each; of one train row only the strongest."""
    best: dict[tuple[int, int], Leak] = {}
    for leak in leaks:
        if leak.rank < best.setdefault((leak.test, leak.train), leak).rank:
            best[leak.test, leak.train] = leak
    found = sorted(best.values(), key=lambda leak: (leak.test, leak.rank))
    return tuple(leak for mine in _by_item(found) for leak in islice(mine, most))


def _by_item(leaks: Iterable[Leak]) -> Iterator[Iterator[Leak]]:
    """Return the leaks of each test item, of leaks in order."""
    return (mine for _, mine in groupby(leaks, key=attrgetter("test")))


MOST = 0.7
"""Share of the word 5-grams, undiscounted, from which a text is contained."""
STRETCH = 0.5
"""Share of the part's own words (not of a template), small gaps included, over which the found grams must reach."""
LEAST_WORDS = 6
"""Words that must be found before an edited text counts as found."""
SHOWN_WORDS = 60


@dataclass
class CandidatePair:
    """A test item and a train row that is to be judged. `question` and `answer` are the discounted shares of the parts
    that are worth a look, -1 for others; `same_words` where texts with the same words were met.
    """

    test: AskedRow
    row: LearntRow
    threshold: float
    question: float
    answer: float
    same_words: bool

    @cached_property
    def near(self) -> float:
        """Similarity of the questions, 0 where they are not near."""
        return self.test.near(self.row, self.threshold, share_words=self.question >= 0)

    @cached_property
    def same(self) -> bool:
        """True if both answers are the same."""
        one, other = self.test.example.answer, self.row.example.answer
        if one is None or other is None or one == other:
            return one == other
        near = self._answers_are_near()
        if not near and one.isascii() and other.isascii() and self.test.answer_grams:
            return False  # other words: then no form of the two is the same
        return same_answer(one, other, near=near)

    def _answers_are_near(self) -> bool:
        """True if the answers share enough shingles. Too few shared 3-grams rule it out, and these are known already: a
        text has at least as many shingles as different 3-grams, but for those of its last words.
        """
        grams, here = self.test.answer_grams, self.row.grams[self.row.last]
        least = self.threshold * (len(set(grams)) + GRAM_WORDS - SHINGLE)
        if sum(map(here.__contains__, grams)) < least - SLACK:
            return False
        return jaccard(self.test.answer, self.row.answer) >= self.threshold


Found = tuple[list[Leak], list[Leak]]
"""Leaks and suspects."""


class LeakJudge:
    """Judges pairs of one test item. `parts`: its question and, where it is not a label, its answer."""

    def __init__(self, item: int, asked: AskedRow, parts: Mapping[str, ItemPart]) -> None:
        self.item, self.asked, self.example, self.parts = item, asked, asked.example, parts

    @cached_property
    def _answered(self) -> Answered:
        return Answered(self.example)

    def judge(self, pair: CandidatePair) -> Found:
        """Return leaks and suspects of this pair, the question's first."""
        leaks, suspects = self._question(pair)
        if "answer" in self.parts and (pair.answer >= 0 or pair.same_words):
            more, also = self._answer(pair)
            leaks, suspects = leaks + more, suspects + also
        return leaks, [] if leaks else suspects

    def _leak(self, pair: CandidatePair, kind: Kind, score: float, evidence: LeakEvidence) -> Leak:
        answer: Literal["same", "different"] = "same" if pair.same else "different"
        return Leak(self.item, pair.row.index, kind, answer, round(min(score, 1.0), 4), evidence)

    def _evidence(self, part: ItemPart, row: LearntRow, text: int, run: tuple[int, int], why: str = "") -> LeakEvidence:
        run = run[0], min(run[1], run[0] + SHOWN_WORDS)
        message, role = (row.message[text], row.roles[text]) if text >= 0 else (-1, "user")
        return LeakEvidence(part.name, message, role, why, partial(part.words, *run))

    def _question(self, pair: CandidatePair) -> Found:
        part, row = self.parts["question"], pair.row
        if (message := self._stands_as(part, row)) is not None:
            exact = self._leak(pair, "exact", 1.0, self._evidence(part, row, message, (0, part.size)))
            # Of very many that have the same words not all pairs are noted: those stand for the others.
            return [exact] if pair.same_words else [], []
        if not pair.near and pair.question < 0:
            return [], []
        leaks, suspects = self._alike(part, pair)
        if not leaks and (message := self._answered.find(row.texts)) is not None:
            evidence = self._evidence(part, row, message, (0, part.size))
            return [Leak(self.item, row.index, "contained", "same", 1.0, evidence)], []
        if not leaks and (found := self._beside(part, row)):
            return [self._leak(pair, "contained", 1.0, self._evidence(part, row, found.text, found.run))], []
        return leaks, suspects

    def _beside(self, part: ItemPart, row: LearntRow) -> Overlap | None:
        """Return an overlap if all of a question is in reasoning, a tool call or tools: the row answers another one."""
        if len(row.roles) == row.said or part.size < LABEL_WORDS:
            return None
        found = look(part, row)
        return found if found.text >= row.said and part.whole(found.most) >= 1 else None

    def _alike(self, part: ItemPart, pair: CandidatePair) -> Found:
        """Judge a question that is near, or is contained, by itself."""
        found, near = look(part, pair.row), pair.near
        if not near and not _is_found(found, pair.question, QUESTION_SHARE):
            return [], []
        settled = self.example.answer is None or pair.same
        if near:
            evidence = self._evidence(part, pair.row, -1, found.run, "" if settled else "a minimal pair: other answer")
            leak = self._leak(pair, "near", near, evidence)
        else:
            short = part.size < LABEL_WORDS
            why = "a question of fewer than 8 words" if short else "" if settled else "other answer"
            evidence = self._evidence(part, pair.row, found.text, found.run, why)
            leak = self._leak(pair, "contained", found.share, evidence)
        return ([], [leak]) if leak.evidence.why else ([leak], [])

    def _stands_as(self, part: ItemPart, row: LearntRow) -> int | None:
        """Return the message that has the same words (-1: the whole question); a short one must be asked, not said."""
        if not part.size:
            return -1 if self.example.question == row.example.question else None
        if part.said == row.question:
            return -1
        for number, text in enumerate(row.texts):
            if text.words == part.said and (part.size >= LABEL_WORDS or row.roles[number] == "user"):
                return number
        return None

    def _answer(self, pair: CandidatePair) -> Found:
        part, row = self.parts["answer"], pair.row
        found = look(part, row)
        if _is_found(found, pair.answer, ANSWER_SHARE):
            why, size = "", LABEL_WORDS
        else:
            why, size = "a short shared span", found.run[1] - found.run[0]
        if size < LABEL_WORDS:
            return [], []
        kind: Kind = "answer" if row.message[found.text] != row.last else "near" if pair.same else "contained"
        leak = self._leak(pair, kind, found.share, self._evidence(part, row, found.text, found.run, why))
        return ([], [leak]) if why else ([leak], [])


def _is_found(found: Overlap, share: float, wanted: float) -> bool:
    """True if most of it is in the row: word for word, or edited all over."""
    if found.whole >= MOST and (found.count >= LEAST_WORDS or found.part.size < LABEL_WORDS):
        return True
    return share >= wanted and found.stretch >= STRETCH and found.own_count >= LEAST_WORDS


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
        fetch: Fetch = train.fetch if hasattr(train, "fetch") else held(train)
        scan = scan_train(train, self._test, numba, self._index)
        self._index, labels = scan.index, _labels(scan)
        pairs = candidate_pairs(scan, labels)
        template = find_template(list(scan.sample.values())) if (pairs.question >= 0).any() else frozenset()
        judge_of = self._judges(scan.index, template, pairs.template, labels)
        leaks, suspects = list[Leak](), list[Leak]()
        rows, begins = np.unique(pairs.row, return_index=True)
        ends = np.append(begins, len(pairs.row))[1:]
        for place, example in enumerate(_fetched(fetch, rows.tolist())):
            row, begin, end = LearntRow(int(rows[place]), example, template), begins[place], ends[place]
            mine = (pairs.item, pairs.question, pairs.answer, pairs.same_words)
            for item, *facts in zip(*(column[begin:end].tolist() for column in mine), strict=True):
                judge = judge_of(item)
                more, also = judge.judge(CandidatePair(judge.asked, row, self._threshold, *facts))
                leaks += more
                suspects += also
        return LeakReport(scan.rows, len(self._test), in_order(leaks), in_order(suspects, SUSPECTS))

    def _judges(
        self, index: TestIndex, template: Shingles, common: Bools, labels: set[int]
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


def _fetched(fetch: Fetch, rows: Sequence[int]) -> Iterator[Example]:
    """Yield these rows as they are compared; some are held at once."""
    for begin in range(0, len(rows), ROWS_AT_ONCE):
        yield from map(folded_example, fetch(rows[begin : begin + ROWS_AT_ONCE]))


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
