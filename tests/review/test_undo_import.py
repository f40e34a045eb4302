"""An import is shown before it is taken, asks before a folder, and can be taken back as if it had never been."""

from __future__ import annotations

from typing import Any

import pytest

from curation.example import Example


def write(project, name: str, rows: list[Example]) -> str:
    path = project.root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(row.to_json() + "\n" for row in rows))
    return name


def state(told) -> dict[str, Any]:
    """Return the rows' state as a user sees it."""
    return {
        "status": told("status")["stages"][2:5],
        "review": told("review", "status")["states"],
    }


@pytest.mark.parametrize("role", ["pool", "candidates", "train", "test"])
def test_the_last_import_is_taken_back_whole(rung, told, imported, project, rows_of, role: str):
    """Also with duplicates inside and beside it, with a sample drawn, and twice; the same file comes in again."""
    imported("a.jsonl", rows_of(20))
    before = state(told)
    more = write(project, "b.jsonl", [*rows_of(30, 15), *rows_of(2, 16)])
    first = told("data", "import", more, "--as", role)["files"][0]
    assert state(told) != before
    assert "b.jsonl" in told("data", "undo")["undone"]
    assert state(told) == before
    again = told("data", "import", more, "--as", role)["files"][0]
    assert {k: again[k] for k in ("kept", "exact", "near", "known")} == {
        k: first[k] for k in ("kept", "exact", "near", "known")
    }
    rung("data", "undo")
    assert state(told) == before
    rung("data", "undo")
    assert sum(state(told)["review"].values()) == 0
    done = rung("data", "undo", wanted=2)
    assert "undo" in done.stderr


def test_what_something_stands_on_stays(rung, told, imported, ruled, rows_of):
    """Decided rows; an import that came later is undone first."""
    imported("a.jsonl", rows_of(3), "--as", "candidates")
    item, _ = ruled("approve")
    error = told("data", "undo", wanted=1)["error"]
    assert error["where"] == "a.jsonl" and item["id"] in error["message"]
    imported("b.jsonl", rows_of(5, 50))
    rung("data", "undo")
    assert told("review", "status")["states"].get("approved") == 1


def test_frozen_rows_stay(rung, told, imported, project, rows_of):
    project.settings_file.write_text('[review]\npool = "trust"\n')
    imported("a.jsonl", rows_of(40))
    rung("data", "freeze", "--test-only")
    error = told("data", "undo", wanted=1)["error"]
    assert error["where"] == "a.jsonl" and "v001" in error["message"]


def test_a_sample_that_people_see_stands_as_it_was_drawn(rung, imported, project, rows_of):
    project.settings_file.write_text("[review]\nsample = 10\n")
    imported("a.jsonl", rows_of(20))
    imported("b.jsonl", rows_of(20, 30))
    rung("review", "next", "--reviewer", "dana")
    rung("data", "undo", wanted=1)


def test_a_folder_is_taken_only_where_that_was_asked_for(rung, told, project, rows_of):
    write(project, "in/a.jsonl", rows_of(5))
    write(project, "in/deep/b.jsonl", rows_of(5, 10))
    error = told("data", "import", "in", wanted=2)["error"]
    assert error["where"] == "in" and "2 data files" in error["message"]
    assert len(told("data", "import", "in", "--dry-run")["files"]) == 2 and not project.database_file.exists()
    made = told("data", "import", "in", "--recursive")["files"]
    assert [each["kept"] for each in made] == [5, 5]


@pytest.mark.parametrize("words", [("data", "import"), ("data", "check"), ("data", "convert", "-o", "o.jsonl")])
def test_a_loop_of_links_is_an_error_in_words(rung, project, words: tuple[str, ...]):
    (project.root / "a.jsonl").symlink_to("b.jsonl")
    (project.root / "b.jsonl").symlink_to("a.jsonl")
    done = rung(*words, "a.jsonl", wanted=2)
    assert "a.jsonl" in done.stderr and "Traceback" not in done.stderr


def test_the_files_of_one_import_are_sampled_together(rung, told, project, rows_of):
    files = [write(project, "a.jsonl", rows_of(20)), write(project, "b.jsonl", rows_of(10, 30))]
    rung("data", "import", *files)
    (sample,) = told("review", "status")["samples"]
    assert (sample["plan"]["population"], sample["plan"]["replaces"]) == (30, None)


def test_named_columns_are_remembered_by_the_header(rung, told, project):
    for name, first in (("a.csv", "one"), ("b.csv", "two"), ("c.csv", "three")):
        (project.root / name).write_text(f"id,said,team\n1,{first} card,cards\n2,{first} pin,pins\n")
    (project.root / "d.csv").write_text("id,words,team\n1,where,cards\n")
    rung("data", "import", "a.csv", wanted=2)
    rung("data", "import", "a.csv", "--question", "said", "--answer", "team")
    (shown,) = told("data", "import", "b.csv", "--dry-run")["files"]
    assert shown["first"][0] == {"question": "two card", "answer": "cards"}
    assert told("data", "import", "b.csv", "c.csv")["files"][1]["kept"] == 2
    rung("data", "import", "b.csv", "d.csv", wanted=2)  # one of them has other columns
