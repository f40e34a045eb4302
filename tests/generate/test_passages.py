"""Drafts from documents: the passage stays with the row and is shown with the words that the answer uses; RAFT."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import in_shell
import pytest
from scripted import Scripted

from curation.documents import used_words
from curation.review import open_desk
from curation.review.service import next_item
from curation.store import Store
from rung.tui.review.item_text import behind
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

TEXT = "A house line is made of category, system and side. Ask amy@clinic.example for help."
REPLY = json.dumps({"input": "What is a house line made of?", "output": "category, system, side"})


@pytest.fixture
def documents(project: Project) -> Project:
    project.documents.mkdir()
    (project.documents / "line.md").write_text(f"{TEXT}\n")
    for number in range(5):
        (project.documents / f"other{number}.md").write_text(f"Other rule {number}: {'a house line ' * number}ends.\n")
    return project


def test_the_words_that_an_answer_uses_are_pieces_of_their_passage() -> None:
    pieces = used_words(TEXT, "Category, system, side")
    assert "".join(text for text, _ in pieces) == TEXT
    assert [text for text, is_used in pieces if is_used] == ["category, system", "side"]
    assert used_words(TEXT, "") == [(TEXT, False)] and used_words("", "side") == []
    assert used_words("12 of a", "a 12 of") == [("12 of a", True)] and used_words("of a", "of a") == [("of a", False)]


def test_every_face_shows_the_passage_with_the_used_words_and_masked(
    documents: Project, settings: Settings, reviewed: Store, run: Callable[..., Any]
) -> None:
    (row,) = run(Scripted([REPLY]), 1, strategy="from_documents").queued
    assert reviewed.row(row).meta["passage_text"] == TEXT
    words = ("review", "next", "--row", row, "--reviewer", "mo")
    shown = in_shell.rung(*words, cwd=documents.root).stdout
    assert all(f"[[{used}]]" in shown for used in ("category, system", "side")) and "amy@clinic" not in shown
    told = json.loads(in_shell.rung(*words, "--json", cwd=documents.root).stdout)
    assert "[EMAIL]" in told["meta"]["passage_text"] and "amy@clinic" not in json.dumps(told["meta"])
    desk = open_desk(documents, settings)
    item = next_item(desk, "mo", want=row).item
    desk.store.close()
    assert item and "[[side]]" in "".join(str(line) for line in behind(item, 60))


def test_raft_shows_the_passage_among_those_most_like_it(
    documents: Project, reviewed: Store, run: Callable[..., Any]
) -> None:
    plain = TEXT.split(". ")[0] + "."
    (documents.documents / "line.md").write_text(plain)
    outcome = run(Scripted([REPLY]), 1, strategy="raft")
    row = reviewed.row(outcome.queued[0])
    asked = row.example.messages[-2]["content"]
    passages, question = asked.rsplit("\n\n", 1)
    assert (question, row.example.answer) == ("What is a house line made of?", "category, system, side")
    lines = passages.splitlines()
    assert lines[0] == "Passages:" and len(lines) == 5 and any(f"line.md: {plain}" in line for line in lines)
    assert sum("house line" in line for line in lines) == 4, "the others share words with it"
    assert row.meta["passage"] == "documents/line.md:1"
    assert run(Scripted([REPLY]), 1, strategy="raft").queued == [], "the same draft is not asked for again"


def test_raft_needs_two_passages(project: Project, reviewed: Store, run: Callable[..., Any]) -> None:
    project.documents.mkdir()
    for text in ("", TEXT):
        (project.documents / "line.md").write_text(text)
        with pytest.raises(Refusal):
            run(Scripted([REPLY]), 1, strategy="raft")
