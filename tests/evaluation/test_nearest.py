"""Which training rows made this? The nearest by content, with who let them in."""

import json

import pytest
from bank import evaluated, ladder

from curation.split.manifest import read_manifest
from evaluation.retrieval import TrainRowIndex
from rung.why import answer
from workspace.artefact import write_artefact
from workspace.errors import Refusal, RungError


def test_the_nearest_rows_come_first_with_their_reviewers(project):
    folder = project.datasets / "v001"
    manifest = read_manifest(folder)
    who = [
        {"split": "train", "line": n + 1, "id": f"r-{n:06d}", "reviewer": "priya", "state": "edited", "source": "a:1"}
        for n in range(24)
    ]
    write_artefact(folder / "manifest.json", manifest.model_copy(update={"rows": who[:12]}))
    near = TrainRowIndex(folder)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    first, second = near.of([rows[3]["messages"][0]["content"], "pin wrong abroad"], 2)
    assert (first[0].line, first[0].id, first[0].reviewer, first[0].state) == (4, "r-000003", "priya", "edited")
    assert 0.99 < first[0].similarity <= 1.0 + 1e-9 and first[0].similarity > first[1].similarity
    assert second[0].answer == "pin" and "abroad" in second[0].question
    unknown = near.of([rows[20]["messages"][0]["content"]], 1)[0][0]
    assert (unknown.id, unknown.reviewer) == ("", "nobody")
    assert near.of([]) == []


def test_an_item_is_explained_once_the_test_set_is_open(project, settings, model):
    ladder(project, settings, model)
    with pytest.raises(Refusal):
        answer(project, "E-001:2")
    evaluated(project, settings)
    found = answer(project, "E-002:2")
    assert found.document["expected"] == "transfer" and len(found.document["train_rows"]) == 3
    assert found.lines[0].startswith("E-002:2 ")
    with pytest.raises(RungError, match="99"):
        answer(project, "E-002:99")
