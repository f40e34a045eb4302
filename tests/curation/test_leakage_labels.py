"""A label says nothing by itself; behind its own test question, in one message, it is a leak. Disguises do not help."""

from __future__ import annotations

import json

import pytest
from rows_in_files import write

from curation.example import Example, chat_row
from curation.likeness.leaks.find import clean_rows, find_leaks
from curation.rows.rowfile import RowFile

LONG = "How long does a standing order between two business accounts usually take to arrive?"
SHORT = "Where is my card?"
OTHER = [Example(chat_row(f"Something else number {n} is asked here by person {n}", f"J{n}")) for n in range(30)]


def text(said):
    return {"text": said}


def system(said):
    return chat_row("What do you think of the weather?", "J45", system=said)


def user(said):
    return chat_row(f"{said}\n\nNow classify: how do I close an account?", "J45")


def assistant(said):
    return chat_row("Give me an example", f"Gladly. {said} There you are.")


def leaks(row, question, answer, rows=()):
    report = find_leaks([*OTHER, Example(row), *rows], [Example(chat_row(question, answer))])
    return [(leak.kind, leak.answer) for leak in report.leaks if leak.train == len(OTHER)]


@pytest.mark.parametrize("place", [text, system, user, assistant])
@pytest.mark.parametrize("question", [LONG, SHORT])
@pytest.mark.parametrize(
    "form",
    ["Q: {} A: I21", "{}\nlabel=I21", "Example\n\n{}  ->  **I21**\n\nWhat now?", "{} Answer: i21.",
     'x y z {{"text": "{}", "label": "I21"}}', "First: no -> J1\n{} => I21\nwhy => J2"],
)  # fmt: skip
def test_a_question_with_its_label_behind_it_is_a_leak_in_any_message(place, question, form):
    assert leaks(place(form.format(question)), question, "I21") == [("contained", "same")]


@pytest.mark.parametrize("question", [LONG, SHORT])
@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("Q: {} A: J45", "I21"),
        ("A: I21 Q: {}", "I21"),
        ("Q: {} A: -1", "1"),
        ("Q: {} A: 1.5", "1"),
        ("Q: {} A: 1", "-1"),
        ("Q: {} A: C++", "C"),
        ("Q: {} A: not approved", "approved"),
        ("Q: {} A: left-handed", "left"),
        ("Q: {} A: I210", "I21"),
        ("{}", "I21"),
    ],
)
def test_another_answer_or_none_is_no_leak(question, said, answer):
    report = find_leaks([*OTHER, Example(text(said.format(question)))], [Example(chat_row(question, answer))])
    assert not [leak for leak in report.leaks if leak.kind != "exact"]
    assert report.suspects or report.leaks


def test_an_edited_question_is_found_too():
    edited = LONG.replace("usually", "normally")
    assert leaks(text(f"Some words before. Q: {edited} A: I21. Some words behind, and more of them."), LONG, "I21")
    assert not leaks(text(f"Some words before. Q: {edited} A: J45. Some words behind, and more."), LONG, "I21")


@pytest.mark.parametrize("question", [LONG, SHORT])
def test_a_leak_behind_many_rows_that_merely_hold_the_question_is_found(question):
    merely = [Example(chat_row(f"Somebody said {question} in case {n}", f"J{n}")) for n in range(60)]
    train = [*merely, *OTHER, Example(text(f"Q: {question} A: I21"))]
    report = find_leaks(train, [Example(chat_row(question, "I21"))])
    assert len(train) - 1 in {leak.train for leak in report.leaks}
    kept, _ = clean_rows(train, [Example(chat_row(question, "I21"))])
    assert len(train) - 1 not in kept


def test_the_same_few_shot_example_in_every_row_is_found():
    train = [Example(chat_row(f"Ask {n}", "J1", system=f"Classify. Example: {LONG} I21. Done.")) for n in range(300)]
    assert find_leaks(train, [Example(chat_row(LONG, "I21"))]).leaked_test == 1


CYRILLIC, GREEK = str.maketrans("aeopcxyTH", "аеорсхуТН"), str.maketrans("oavTNHu", "οανΤΝΗυ")
DISGUISES = {
    "zero width": lambda text: "\u200b".join(text),
    "soft hyphens": lambda text: text.replace("e", "e\u00ad").replace("a", "\u2060a"),
    "joiners": lambda text: text.replace("i", "i\u200d").replace("o", "\ufeffo"),
    "Cyrillic": lambda text: text.translate(CYRILLIC),
    "Greek": lambda text: text.translate(GREEK),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "direction marks": lambda text: f"\u202d{text}\u202c".replace("n", "n\u200e"),
    "ligatures": lambda text: text.replace("f", "ﬀ").replace("ﬀ", "f").replace("fi", "ﬁ"),
    "mathematical": lambda text: "".join(chr(0x1D41A + ord(c) - 97) if "a" <= c <= "z" else c for c in text),
}  # fmt: skip


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("side", ["train", "test"])
def test_a_disguised_question_is_the_same_question(tmp_path, disguise, side):
    """In rows and numpy's way, and in a file and by compiled code."""
    changed = DISGUISES[disguise]
    long = "the registered keeper of the vehicle must notify the agency of a change of address within two weeks " * 2
    rows = [chat_row(LONG, "I21"), chat_row("Which form?", long)]
    train = [chat_row(f"Row {n} asks é {n * 7}", f"and gets {n * 3}") for n in range(20)]
    train += [chat_row(f"Before it. {changed(LONG)} After it.", "I21"), chat_row(f"Context: {changed(long)}", "yes")]
    if side == "test":
        train[-2:] = [chat_row(f"Before it. {LONG} After it.", "I21"), chat_row(f"Context: {long}", "yes")]
        rows = [chat_row(changed(LONG), "I21"), chat_row("Which form?", changed(long))]
    test = [Example(row) for row in rows]
    report = find_leaks([Example(row) for row in train], test, numba=False)
    assert [(leak.test, leak.train) for leak in report.leaks] == [(0, 20), (1, 21)]
    with RowFile([write(tmp_path / "a.jsonl", *(json.dumps(row, ensure_ascii=False) for row in train))]) as files:
        assert find_leaks(files, test, numba=True) == report


def test_evidence_shows_the_words_of_the_test_item_as_they_are():
    question = "где находится ближайшее отделение банка и когда оно открывается в воскресенье"
    report = find_leaks([*OTHER, Example(text(f"Вопрос: {question} Ответ: I21"))], [Example(chat_row(question, "I21"))])
    assert [leak.evidence.shared for leak in report.leaks] == [question]
