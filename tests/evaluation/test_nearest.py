"""Which training rows made this? The nearest by content, with who let them in."""

import json

from curation.manifest import read_manifest
from evaluation.nearest import Neighbours
from workspace.artefact import write_artefact


def test_the_nearest_rows_come_first_with_their_reviewers(project):
    folder = project.datasets / "v001"
    manifest = read_manifest(folder)
    who = [
        {"split": "train", "line": n + 1, "id": f"r-{n:06d}", "reviewer": "priya", "decision": "edit", "source": "a:1"}
        for n in range(24)
    ]
    write_artefact(folder / "manifest.json", manifest.model_copy(update={"rows": who[:12]}))
    near = Neighbours(folder)
    rows = [json.loads(line) for line in (folder / "train.jsonl").read_text().splitlines()]
    first, second = near.of([rows[3]["messages"][0]["content"], "pin wrong abroad"], 2)
    assert (first[0].line, first[0].id, first[0].reviewer, first[0].decision) == (4, "r-000003", "priya", "edit")
    assert 0.99 < first[0].similarity <= 1.0 + 1e-9 and first[0].similarity > first[1].similarity
    assert second[0].answer == "pin" and "abroad" in second[0].question
    unknown = near.of([rows[20]["messages"][0]["content"]], 1)[0][0]
    assert (unknown.id, unknown.reviewer) == ("", "nobody")
    assert near.of([]) == []
