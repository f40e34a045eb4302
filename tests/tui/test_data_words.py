"""The evidence beside a finding: two rows under one another, with what only one of them has in brackets."""

from __future__ import annotations

import json

import pytest
from conftest import rung
from conftest_tui import opened, settled, text_of, until

from curation.example import Example, chat_row
from curation.project_checkup import check_project
from curation.quality.base import Finding
from curation.store import NewRow, open_store
from rung.start import start_project
from rung.tui.data_words import bracketed, evidence_text, finding_lines
from rung.tui.screens.rows import RowsScreen
from workspace.settings import load_settings

SAID = "Type 2 diabetes mellitus with peripheral neuropathy, painful, both feet, on insulin"


def test_what_only_one_row_has_stands_in_brackets(tmp_path):
    project = start_project(tmp_path).project
    settings = load_settings(project.settings_file)
    with open_store(project, settings) as store:
        store.add([NewRow(Example(chat_row(SAID, "E11.42")), line=1)], role="test")
        store.add([NewRow(Example(chat_row(f"{SAID} since [may]", "E11.42")), line=1)], role="pool")
        leaks = check_project(store, project, settings).named("leaks")
    text = evidence_text(leaks)
    assert "near" in text.plain.splitlines()[1]
    assert "[since [may]]" in text.plain
    assert text.plain.endswith("[ ] marks what only one row has")
    assert [text.plain[s.start : s.end] for s in text.spans if "reverse" in str(s.style)] == ["[since [may]]"]


def test_only_the_beginning_is_shown_and_nothing_in_it_acts():
    text = "word " * 100 + "\x1b[31mend"
    spans = [(0, 4), (5, 9), (490, 494)]
    made = bracketed(text, spans)
    assert made.plain.startswith("[word] [word] word")
    assert len(made.plain) < 400
    assert "\x1b" not in bracketed("a \x1b[31m b", [(2, 7)]).plain


def found(name, title, severity, action=None, what_to_do=""):
    return Finding(
        name=name, title=title, severity=severity, rows=9, reason="", action=action, what_to_do=what_to_do, evidence=()
    )


def test_the_list_says_what_to_do_in_the_words_of_the_screen():
    findings = [
        found("leaks", "Leaks into test", "blocks", "exclude"),
        found("contradictions", "Contradictions", "blocks", "queue"),
        found("pii", "Phones, e-mails", "look", "queue"),
        found("over_long", "Over-long rows", "look", "queue"),
        found("duplicates", "Duplicates", "handled", "exclude", "1 kept of each cluster"),
        found("malformed", "Malformed lines", "handled", None, "kept in the rejects file"),
    ]
    lines = [entry.text for entry in finding_lines(findings)]
    assert lines == [
        "  Finding          Rows  State    What to do",
        "✗ Leaks into test     9  blocks   f takes out of train",
        "✗ Contradictions      9  blocks   f sends both to review",
        "! Phones, e-mails     9  look     Enter shows them, masked",
        "! Over-long rows      9  look     Enter shows them",
        "✓ Duplicates          9  handled  1 kept of each cluster",
        "✓ Malformed lines     9  handled  kept in the rejects file",
    ]
    assert max(map(len, lines)) <= 59  # the stage at 80 columns, without the cursor's two


@pytest.mark.parametrize("width", [80, 100, 140])
async def test_enter_shows_the_two_rows_beside_one_another_where_there_is_room(project, program, width):
    row = json.dumps({"messages": [{"role": "user", "content": SAID}, {"role": "assistant", "content": "E11.42"}]})
    near = row.replace(SAID, f"{SAID} since [may]")
    (project / "one.jsonl").write_text(row + "\n")
    (project / "two.jsonl").write_text(near + "\n")
    rung(project, "data", "import", "one.jsonl", "--as", "test")
    rung(project, "data", "import", "two.jsonl", "--as", "pool")
    app = program(project)
    async with app.run_test(size=(width, 40)) as pilot:
        await settled(pilot)
        screen = await opened(pilot, 3)
        await settled(pilot)
        screen.lines.marked = "leaks"
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, RowsScreen))
        await until(pilot, lambda: "[since [may]]" in text_of(app))
        text = text_of(app)
        assert "f takes out of train, u undoes it: rung data fix leaks" in text
        both = [line for line in text.split("\n") if "one.jsonl:1" in line and "two.jsonl:1" in line]
        assert bool(both) == (width >= 100)
        for line in both:
            assert line.index("one.jsonl:1") < line.index(" │ two.jsonl:1")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
