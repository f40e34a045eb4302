"""The labels that an edit offers: a slip of one edit is none of them, and many slips do not take the offer away."""

from __future__ import annotations

import pytest

from curation.example import Example, chat_row
from curation.review.item import answers_in_use
from curation.store import open_store
from workspace.folder import Project
from workspace.settings import Settings

LABELS = [f"label {n}" for n in range(12)]
OWN = [f"its own answer {n}" for n in range(60)]


@pytest.mark.parametrize(
    ("answers", "offered"),
    [
        (LABELS * 50 + ["labl 0"], LABELS),
        (LABELS * 50 + [f"labl {n}" for n in range(30)], LABELS),
        (["b"] * 4 + ["a"] * 9, ["a", "b"]),
        (OWN + ["yes"] * 9 + ["no"] * 9, []),
    ],
    ids=["a slip", "many slips", "the most frequent first", "no labels"],
)
def test_labels(tmp_path, answers, offered):
    with open_store(Project(tmp_path), Settings()) as store:
        store.add([Example(chat_row(f"question {n}", answer)) for n, answer in enumerate(answers)], role="pool")
        assert list(answers_in_use(store)) == offered
