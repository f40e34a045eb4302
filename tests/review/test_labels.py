"""The labels that an edit offers: a slip of one edit is none of them, and many slips do not take the offer away."""

from __future__ import annotations

import pytest

from curation.example import Example, chat_row
from curation.review.item import answers_in_use
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import Settings


def offered(folder, answers):
    with open_store(Project(folder), Settings()) as store:
        store.add([Example(chat_row(f"question {n}", answer)) for n, answer in enumerate(answers)], role="pool")
        return answers_in_use(store)


@pytest.mark.parametrize("slips", [1, 30])
def test_what_stands_in_one_row_alone_is_no_label(tmp_path, slips):
    answers = [f"label {n % 12}" for n in range(600)] + [f"labl {n}" for n in range(slips)]
    assert sorted(offered(tmp_path, answers)) == sorted(f"label {n}" for n in range(12))


def test_the_most_frequent_comes_first(tmp_path):
    assert offered(tmp_path, ["b"] * 4 + ["a"] * 9) == ("a", "b")


def test_answers_that_are_no_labels_are_not_offered(tmp_path):
    assert offered(tmp_path, [f"its own answer {n}" for n in range(60)] + ["yes"] * 9 + ["no"] * 9) == ()
