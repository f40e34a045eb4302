"""The leakage check at its edges: where evidence stands, what is a label, short spans, sides without rows or words.

A label says nothing by itself; behind its own test question, in one message, it is a leak. Disguises do not help.
"""

import json
from itertools import count

import pytest
from rows_in_files import write

from curation.example import Example, chat_row
from curation.likeness.leaks.find import LeakReport, clean_rows, find_leaks
from curation.rows.rowfile import RowFile

_numbers = count()


def fresh(size: int) -> str:
    """Words that stand nowhere else."""
    return " ".join(f"w{next(_numbers)}" for _ in range(size))


def row(question: int = 20, answer: int = 40) -> Example:
    return Example(chat_row(fresh(question), fresh(answer)))


def found(test: Example, *train: Example) -> LeakReport:
    """Search `train` for leaks of `test`, behind 40 unrelated rows."""
    return find_leaks([*(row() for _ in range(40)), *train], [row(), test])


def test_a_test_conversation_that_goes_on_in_a_train_row_is_a_leak() -> None:
    def talk(turns: list[str]) -> Example:
        roles = ("user", "assistant")
        return Example({"messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(turns)]})

    said = [fresh(14), "yes", fresh(14), "no", fresh(14), "maybe"]
    (leak,) = found(talk(said[:4]), talk(said)).leaks
    assert (leak.kind, leak.answer) == ("contained", "same")
    assert not found(talk(said[:4]), talk([*said[:3], "other", *said[4:]])).leaks


def test_a_question_is_near_from_eight_shared_shingles_of_ten_on() -> None:
    for more, kind in ((5, "near"), (6, "contained")):
        test = row(question=24)
        (leak,) = found(test, Example(chat_row(f"{test.question} {fresh(more)}", test.answer or ""))).leaks
        assert leak.kind == kind


@pytest.mark.parametrize(("more", "leaks"), [(5, 1), (6, 0)])
def test_answers_are_the_same_from_eight_shared_shingles_of_ten_on(more: int, leaks: int) -> None:
    """Of a label, which says nothing by itself; its words hold no digit, in which answers may not differ."""
    label, end = (fresh(n).translate(str.maketrans("0123456789", "abcdefghij")) for n in (24, more))
    question = fresh(24)
    for tested, learnt in ((label, f"{label} {end}"), (f"{label} {end}", label)):
        again = [Example(chat_row(f"{question} now", learnt)), Example(chat_row(fresh(20), tested))]
        assert len(found(Example(chat_row(question, tested)), *again).leaks) == leaks


def test_two_short_spans_are_no_suspect_and_one_of_eight_words_is() -> None:
    test = row(answer=60)
    parts = (test.answer or "").split()
    for size, suspects in ((7, 0), (8, 1)):
        spans = [" ".join(parts[begin : begin + size]) for begin in (10, 30)]
        report = found(test, Example(chat_row(f"{fresh(20)} {spans[0]} {fresh(20)} {spans[1]} {fresh(9)}", "no")))
        assert not report.leaks and [s.evidence.shared for s in report.suspects] == spans[:suspects]


@pytest.mark.parametrize(("size", "message"), [(7, None), (8, 1)])
def test_a_question_that_a_train_row_says_and_does_not_ask_is_a_leak_from_eight_words_on(
    size: int, message: int | None
) -> None:
    question = fresh(size)
    said = [fresh(9), question, fresh(9), fresh(9)]
    turns = [{"role": ("user", "assistant")[n % 2], "content": text} for n, text in enumerate(said)]
    report = found(Example(chat_row(question, fresh(12))), Example({"messages": turns}))
    exact = [leak.evidence.message for leak in report.leaks if leak.kind == "exact"]
    assert exact == ([] if message is None else [message])


def test_a_side_without_rows_has_no_leaks() -> None:
    for numba in (False, True):
        for train, test in (([], [row()]), ([row()], []), ([], [])):
            report = find_leaks(train, test, numba=numba)
            assert (report.train, report.test, report.leaks, report.suspects) == (len(train), len(test), (), ())


def test_all_short_questions_that_are_near_and_have_the_answer_are_leaks_and_three_of_the_others_suspects() -> None:
    asked = "hyperparathyroidism secundaria renalis"
    same = [Example(chat_row(f"{asked}{end}", "N25")) for end in "abcdefg"]
    others = [Example(chat_row(f"{asked}{end}", "E21")) for end in "hijklmn"]
    report = found(Example(chat_row(asked, "N25")), *others, *same)
    assert report.train_rows == list(range(47, 54))
    assert [(leak.test, leak.kind) for leak in report.suspects] == [(1, "near")] * 3


def test_an_edited_question_behind_a_shared_instruction_is_found_by_its_own_words() -> None:
    """One of its own words is another: found, however long the shared instruction is. Four others are too many."""
    for long, places in ((60, [-6]), (60, [-1]), (200, [-6]), (0, [-6]), (60, [-8, -6, -4, -2])):
        instruction = fresh(long)
        rows = [Example(chat_row(f"{instruction} {fresh(12)}", f"C{k % 5}")) for k in range(300)]
        asked = rows[270].question.split()
        for place in places:
            asked[place] = "other"
        train = [*rows[:250], Example(chat_row(" ".join(asked), rows[270].answer or ""))]
        for numba in (False, True):
            leaks = find_leaks(train, rows[250:], numba=numba).leaks
            assert [(leak.test, leak.train) for leak in leaks] == [(20, 250)] * (len(places) == 1), (long, places)


def test_an_edited_copy_is_found_however_its_rows_differ_beside_question_and_answer() -> None:
    """Rows with another system message, or other reasoning, are copies: each alone would leak."""
    test = row(answer=1)
    said = test.question.split()
    said[4], said[12] = fresh(2).split()
    edited = chat_row(" ".join(said), test.answer or "")["messages"]
    asked, answer = edited
    systems = [{"messages": [{"role": "system", "content": fresh(9)}, *edited]} for _ in range(3)]
    thoughts = [{"messages": [asked, {**answer, "reasoning_content": fresh(20)}]} for _ in range(3)]
    for train in (systems, thoughts):
        report = found(test, *map(Example, train))
        assert [(leak.kind, leak.answer) for leak in report.leaks] == [("contained", "same")] * 3


@pytest.mark.parametrize("others", [0, 24])
def test_copies_of_one_row_make_no_template_of_it(others: int) -> None:
    """Fifty copies in train of a passage of three test items count as one row, also if a few other rows hold it."""
    passage = fresh(60)
    test = [*(Example(chat_row(f"{passage} {fresh(5)}", fresh(1))) for _ in range(3)), *(row() for _ in range(7))]
    planted = chat_row(f"{passage} {fresh(5)}", test[1].answer or "")
    copies = [Example({**planted, "n": k}) for k in range(50)]
    different = [Example(chat_row(f"{fresh(20)} {passage} {fresh(20)}", fresh(1))) for _ in range(others)]
    report = find_leaks([*(row() for _ in range(100)), *copies, *different], test)
    assert {leak.test for leak in report.leaks} == {1} and len(report.train_rows) == 50


LEAST = ((29, 3), (20, 3), (9, 2))
"""Items of a test set, and how many of them make what they share a template."""


def test_a_template_is_known_in_rows_of_plain_text_and_at_the_least_share_of_the_test() -> None:
    template = fresh(40)
    train = [Example({"text": f"{template} {fresh(12)}"}) for _ in range(60)]
    for items, least, share in ((items, least, least - less) for items, least in LEAST for less in (0, 1)):
        test = [Example({"text": f"{template if n < share else fresh(40)} {fresh(12)}"}) for n in range(items)]
        report = find_leaks(train, test)
        assert bool(report.leaks or report.suspects) is (share < least), (items, share)


def test_questions_of_few_words_and_their_answers_in_a_text_row_leak() -> None:
    test = [Example(chat_row(fresh(size), "monks")) for size in (1, 2, 3, 4)]
    train = [*(row() for _ in range(40)), *(Example({"text": f"{fresh(9)} Q: {e.question} A: monks"}) for e in test)]
    for numba in (False, True):
        leaks = find_leaks(train, test, numba=numba).leaks
        assert [(leak.test, leak.train, leak.kind, leak.answer) for leak in leaks] == [
            (at, 40 + at, "contained", "same") for at in range(4)
        ]


def beside(place: str, said: str) -> Example:
    """A row that has something else for question and answer."""
    row = chat_row(fresh(9), fresh(9))
    asked, end = row["messages"]
    if place == "tools":
        arguments = {"type": "object", "properties": {"q": {"type": "string", "description": said}}}
        row["tools"] = [{"type": "function", "function": {"name": "find", "parameters": arguments}}]
    elif place == "tool call":
        arguments = json.dumps({"q": f"{fresh(9)}\n{said}"})
        end["tool_calls"] = [{"type": "function", "function": {"name": "find", "arguments": arguments}}]
    elif place == "rejected":
        row = {
            "prompt": [asked],
            "chosen": [end],
            "rejected": [{**end, "content": fresh(9), "reasoning_content": said}],
        }
    else:
        end[place] = said
    return Example(row)


@pytest.mark.parametrize("place", ["reasoning_content", "thinking", "tool call", "tools", "rejected"])
@pytest.mark.parametrize("mark", ["", "\u200b", "é "])
def test_what_is_beside_the_messages_is_searched_and_named(place: str, mark: str) -> None:
    test = row(question=12)
    words_ = test.question.split()
    said = f"{mark}{fresh(9)}\n{words_[0]}{mark.strip('é ')} {' '.join(words_[1:])} {fresh(9)}"
    role = place if place.startswith("tool") else "reasoning"
    number = {"tools": -1, "rejected": 2}.get(place, 1)
    (leak,) = found(test, beside(place, said)).leaks
    assert (leak.kind, leak.evidence.message, leak.evidence.role) == ("contained", number, role)
    (leak,) = found(test, beside(place, f"{fresh(9)} {test.answer} {fresh(9)}")).leaks
    assert (leak.evidence.part, leak.evidence.role) == ("answer", role)
    assert not found(test, beside(place, fresh(40))).leaks


@pytest.mark.parametrize("form", ["text", "turns", "folded"])
def test_the_rejected_side_of_a_preference_is_searched_as_well(form: str) -> None:
    """It is trained on: by DPO directly, by others after the choice."""
    test = row()
    mark = "é " if form == "folded" else ""
    said = {
        "question": (f"{mark}{fresh(20)} {test.question} {fresh(20)}", "contained"),
        "answer": (f"{mark}{fresh(20)} {test.answer} {fresh(20)}", "answer"),
    }
    for part, (rejected, kind) in said.items():
        planted = {"prompt": fresh(20), "chosen": fresh(30), "rejected": rejected}
        if form == "turns":
            roles = zip(planted, ("user", "assistant", "assistant"), strict=True)
            planted = {side: [{"role": role, "content": planted[side]}] for side, role in roles}
        report = found(test, Example(planted))
        (leak,) = report.leaks or report.suspects  # a question with another answer is a suspect
        seen = leak.evidence
        assert (leak.kind, seen.part, seen.message, seen.role) == (kind, part, 2, "assistant")
    clean = found(test, Example({"prompt": fresh(20), "chosen": fresh(30), "rejected": fresh(30)}))
    assert not clean.leaks and not clean.suspects


@pytest.mark.parametrize(("rows", "is_template"), [(19, False), (20, True)])
def test_an_instruction_is_a_template_from_twenty_rows_on(rows: int, is_template: bool) -> None:
    instruction = fresh(30)
    train = [
        *(row() for _ in range(100)),
        *(Example(chat_row(f"{instruction} {fresh(6)}", "yes")) for _ in range(rows)),
    ]
    test = [*(row() for _ in range(6)), *(Example(chat_row(f"{instruction} {fresh(6)}", "yes")) for _ in range(3))]
    assert bool(find_leaks(train, test).leaks) is not is_template


LONG = "How long does a standing order between two business accounts usually take to arrive?"
SHORT = "Where is my card?"
OTHER = [Example(chat_row(f"Something else number {n} is asked here by person {n}", f"J{n}")) for n in range(30)]


PLACES = {
    "text": lambda said: {"text": said},
    "system": lambda said: chat_row("What do you think of the weather?", "J45", system=said),
    "user": lambda said: chat_row(f"{said}\n\nNow classify: how do I close an account?", "J45"),
    "assistant": lambda said: chat_row("Give me an example", f"Gladly. {said} There you are."),
}


def leaks(row, question, answer):
    report = find_leaks([*OTHER, Example(row)], [Example(chat_row(question, answer))])
    return [(leak.kind, leak.answer) for leak in report.leaks if leak.train == len(OTHER)]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("question", [LONG, SHORT])
@pytest.mark.parametrize(
    "form",
    ["Q: {} A: I21", "{}\nlabel=I21", "Example\n\n{}  ->  **I21**\n\nWhat now?", "{} Answer: i21.",
     'x y z {{"text": "{}", "label": "I21"}}', "First: no -> J1\n{} => I21\nwhy => J2"],
)  # fmt: skip
def test_a_question_with_its_label_behind_it_is_a_leak_in_any_message(place, question, form):
    assert leaks(PLACES[place](form.format(question)), question, "I21") == [("contained", "same")]


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
    report = find_leaks([*OTHER, Example({"text": said.format(question)})], [Example(chat_row(question, answer))])
    assert not [leak for leak in report.leaks if leak.kind != "exact"]
    assert report.suspects or report.leaks


def test_an_edited_question_is_found_too():
    edited = LONG.replace("usually", "normally")
    assert leaks({"text": f"Some words before. Q: {edited} A: I21. Some words behind, and more of them."}, LONG, "I21")
    assert not leaks({"text": f"Some words before. Q: {edited} A: J45. Some words behind, and more."}, LONG, "I21")


@pytest.mark.parametrize("question", [LONG, SHORT])
def test_a_leak_behind_many_rows_that_merely_hold_the_question_is_found(question):
    merely = [Example(chat_row(f"Somebody said {question} in case {n}", f"J{n}")) for n in range(60)]
    train = [*merely, *OTHER, Example({"text": f"Q: {question} A: I21"})]
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
    report = find_leaks(
        [*OTHER, Example({"text": f"Вопрос: {question} Ответ: I21"})], [Example(chat_row(question, "I21"))]
    )
    assert [leak.evidence.shared for leak in report.leaks] == [question]
