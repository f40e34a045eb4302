"""The line after `i` takes what the command takes, goes on on Tab, and is offered again, mended, after an error."""

from __future__ import annotations

import pytest
from conftest_tui import on_stage, sees, settled, text_of, until
from textual.widgets import Input

from curation.store import open_store
from rung.tui.data.import_line import arguments, columns_named, columns_of, completed, mended
from workspace.folder import Project
from workspace.settings import load_settings

NAMED = ["--rejects", "rejects.jsonl"]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("claims.jsonl", ["claims.jsonl", "--as", "pool", *NAMED]),
        ("my rows.jsonl as test", ["my rows.jsonl", "--as", "test", *NAMED]),
        ("'my rows.jsonl' as train", ["my rows.jsonl", "--as", "train", *NAMED]),
        (
            "t.csv --question 'The text' --answer Team as test",
            ["t.csv", "--as", "test", *NAMED, "--question", "The text", "--answer", "Team"],
        ),
        ("t.csv --as candidates --rejects no.jsonl", ["t.csv", "--as", "candidates", "--rejects", "no.jsonl"]),
        ("t.csv --question 'open", ["t.csv", "--as", "pool", *NAMED, "--question", "'open"]),
    ],
)
def test_the_line_is_the_command(line, expected):
    assert arguments(line) == ["data", "import", *expected]


def test_a_name_is_gone_on_with_as_far_as_one_way_is_open(tmp_path):
    (tmp_path / "raw").mkdir()
    for name in ("raw/one.csv", "raw/only.csv", "tickets.csv", ".hidden"):
        (tmp_path / name).touch()
    assert completed("ti", tmp_path) == "tickets.csv"
    assert completed("r", tmp_path) == "raw/"
    assert completed("raw/o", tmp_path) == "raw/on"
    assert completed("raw/one", tmp_path) == "raw/one.csv"
    assert completed("none", tmp_path) == "none"
    assert completed("nowhere/x", tmp_path) == "nowhere/x"
    assert completed(str(tmp_path / "ti"), tmp_path) == str(tmp_path / "tickets.csv")
    columns = ("ticket_id", "queue", "message")
    assert completed("t.csv --question me", tmp_path, columns) == "t.csv --question message"
    assert completed("t.csv --question message --answer ", tmp_path, columns) == "t.csv --question message --answer "
    assert completed("t.csv --question message --answer q", tmp_path, columns).endswith("--answer queue")


def told(columns):
    return (
        f"t.csv: cannot tell which column is the question and which the answer. Columns: {columns}.",
        "-> name them",
    )


def test_where_columns_could_not_be_told_apart_the_line_names_them():
    assert mended("t.csv", columns_of(told("Text, Team")), {}) == "t.csv --question Text --answer Team"
    assert (
        mended("t.csv as test", columns_of(told("Team, The words")), {})
        == "t.csv --as test --question Team --answer 'The words'"
    )
    assert mended("t.csv", columns_of(told("id, Text, Team")), {}) == "t.csv --question Text --answer "
    assert mended("t.csv", columns_of(told("id, a, b")), {}) == "t.csv --question --answer "
    assert mended("t.csv --question x", columns_of(told("id, a")), {}) == "t.csv --question x"
    assert mended("t.jsonl", columns_of(("t.jsonl: no such file.",)), {}) == "t.jsonl"


async def test_a_table_with_other_names_comes_in_by_keys_alone(project, program):
    (project / "tickets.csv").write_text("Text,Team\nwhere is my card,cards\nI lost my pin,pins\n")
    async with on_stage(program(project), 3) as (app, pilot, _):
        await pilot.press("i", *"tic")
        await pilot.pause()
        assert "Enter import   Tab complete   Esc cancel" in text_of(app)
        await pilot.press("tab")
        assert app.screen.query_one(Input).value == "tickets.csv"
        await pilot.press("enter")
        await sees(pilot, "cannot tell which column")
        field = app.screen.query_one(Input)
        await until(pilot, lambda: field.display and field.has_focus)
        assert field.value == "tickets.csv --question Text --answer Team"
        await pilot.press("x", "backspace")  # what is typed is added to the line
        assert field.value == "tickets.csv --question Text --answer Team"
        await pilot.press("enter")
        await until(pilot, lambda: not app.jobs and "tickets.csv" in sources(project))
        await settled(pilot)
        await pilot.press("i")
        assert app.screen.query_one(Input).value == ""


def sources(folder):
    opened_project = Project(folder)
    with open_store(opened_project, load_settings(opened_project.settings_file)) as store:
        return " ".join(str(source) for source in store.sources())


def test_columns_that_were_named_once_are_offered_for_a_file_with_the_same_header():
    named = columns_named(["data", "import", "a.csv", "--question", "message", "--answer", "queue"])
    columns = ("ticket_id", "message", "queue", "agent")
    assert mended("b.csv as test", columns, named) == "b.csv --as test --question message --answer queue"
    assert mended("b.csv", ("id", "a", "b"), named) == "b.csv --question --answer "
    assert columns_named(["data", "import", "a.csv", "--question", "message"]) == {}
