"""The evidence beside a finding: two rows under one another, with what only one of them has in brackets."""

from __future__ import annotations

from curation.example import Example, chat_row
from curation.project_checkup import check_project
from curation.store import NewRow, open_store
from rung.start import start_project
from rung.tui.data_words import bracketed, evidence_text
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
