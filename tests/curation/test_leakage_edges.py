"""The leakage check at its edges: where evidence stands, what is a label, short spans, sides without rows or words."""

from __future__ import annotations

from itertools import count

from curation.example import Example, chat_row
from curation.leakage import LeakReport, find_leaks
from curation.leakage.grams import words_of
from curation.similarity import words

_numbers = count()


def fresh(size: int) -> str:
    """Words that stand nowhere else."""
    return " ".join(f"w{next(_numbers)}" for _ in range(size))


def row(question: int = 20, answer: int = 40) -> Example:
    return Example(chat_row(fresh(question), fresh(answer)))


def found(test: Example, *train: Example) -> LeakReport:
    """What of `test` stands in `train`, which comes behind 40 rows that have nothing to do with it."""
    return find_leaks([*(row() for _ in range(40)), *train], [row(), test])


def test_evidence_names_the_part_the_message_and_its_role() -> None:
    test = row()
    question, answer = test.question, test.answer or ""
    inside = f"{fresh(30)} {answer} {fresh(30)}"
    cases = {
        ("question", -1, "user", question): chat_row(question, "ok"),
        ("answer", 0, "system", answer): chat_row(fresh(5), "ok", system=inside),
        ("answer", 0, "user", answer): chat_row(inside, "ok"),
        ("question", 1, "assistant", question): chat_row(fresh(5), f"{fresh(30)} {question}, {fresh(30)}"),
    }
    for (part, message, role, shared), planted in cases.items():
        report = found(test, Example(planted))
        (leak,) = report.leaks or report.suspects
        seen = leak.evidence
        assert (seen.part, seen.message, seen.role, seen.shared) == (part, message, role, " ".join(words(shared)))


def test_a_score_has_four_places() -> None:
    test = row(answer=33)
    parts = (test.answer or "").split()
    edited = " ".join([*parts[:5], "other", *parts[6:]])
    (leak,) = found(test, Example(chat_row(fresh(20), edited))).leaks
    assert leak.score == 0.9032 and leak.score != 28 / 31


def test_an_answer_to_two_questions_is_a_label() -> None:
    title = fresh(12)
    assert not found(Example(chat_row(fresh(20), title)), Example(chat_row(fresh(20), title))).leaks


def test_two_short_spans_are_no_suspect_and_one_of_eight_words_is() -> None:
    test = row(answer=60)
    parts = (test.answer or "").split()
    for size, suspects in ((7, 0), (8, 1)):
        spans = [" ".join(parts[begin : begin + size]) for begin in (10, 30)]
        report = found(test, Example(chat_row(f"{fresh(20)} {spans[0]} {fresh(20)} {spans[1]} {fresh(9)}", "no")))
        assert not report.leaks and len(report.suspects) == suspects


def test_a_question_without_a_word_is_compared_as_it_is() -> None:
    same, other = Example(chat_row("!!", "one")), Example(chat_row("??", "one"))
    assert [leak.kind for leak in found(Example(chat_row("!!", "two")), same, other).leaks] == ["exact"]


def test_a_side_without_rows_has_no_leaks() -> None:
    for numba in (False, True):
        for train, test in (([], [row()]), ([row()], []), ([], [])):
            report = find_leaks(train, test, numba=numba)
            assert (report.train, report.test, report.leaks, report.suspects) == (len(train), len(test), (), ())


def test_fewer_words_than_a_gram_have_no_gram() -> None:
    for texts in (["one"], ["one two"], ["", ""], ["one", ""]):
        owner, hashes = words_of(texts).grams(3)
        assert owner.tolist() == [] and hashes.tolist() == []
    owner, hashes = words_of(["a b c", "d e", "f g h i"]).grams(3)
    assert owner.tolist() == [0, 2, 2] and len(set(hashes.tolist())) == 3


def test_nearness_is_that_of_what_a_shared_instruction_leaves() -> None:
    """One word of twenty is another: with the instruction of sixty words the two questions would be near."""
    instruction = fresh(60)
    rows = [Example(chat_row(f"{instruction} {fresh(20)}", f"C{k % 5}")) for k in range(300)]
    asked = rows[270].question.split()
    asked[-10] = "other"
    leaks = find_leaks([*rows[:250], Example(chat_row(" ".join(asked), rows[270].answer or ""))], rows[250:]).leaks
    assert [(leak.test, leak.train, leak.kind) for leak in leaks] == [(20, 250, "contained")]


def test_all_short_questions_that_are_near_and_have_the_answer_are_leaks_and_three_of_the_others_suspects() -> None:
    asked = "hyperparathyroidism secundaria renalis"
    same = [Example(chat_row(f"{asked}{end}", "N25")) for end in "abcdefg"]
    others = [Example(chat_row(f"{asked}{end}", "E21")) for end in "hijklmn"]
    report = found(Example(chat_row(asked, "N25")), *others, *same)
    assert report.train_rows == list(range(47, 54))
    assert [(leak.test, leak.kind) for leak in report.suspects] == [(1, "near")] * 3
