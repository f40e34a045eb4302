"""The lead's commands by script: a review again."""

from __future__ import annotations

import json

from curation.example import Example, chat_row
from curation.review import Ruling, decide_all, open_desk
from workspace.settings import load_settings


def at_desk(project, rows: list[Example], who: str = ""):
    """These candidates in the store, approved by this person."""
    desk = open_desk(project, load_settings(project.settings_file, {}))
    with desk.store as store:
        ids = store.add(rows, role="candidates").ids
        if who:
            decide_all(desk, who, [(name, Ruling("approve")) for name in ids], kind="person")
        return ids


def test_a_review_again_by_script(rung, told, project):
    project.guideline_file.write_text("# G\n\nCode it.\n")
    rows = [Example(chat_row(f"{word} case", "A1")) for word in ("asthma", "fracture", "fever")]
    at_desk(project, rows, "mo")
    rung("review", "again", wanted=1)
    project.guideline_file.write_text("# G\n\nCode it.\nAsthma first.\n")
    dry = told("review", "again", "--word", "Asthma", "--dry-run")
    assert list(dry["rows"].values()) == [["asthma"]] and dry["change"] is None
    assert len(told("review", "again", "--all", "--dry-run")["rows"]) == 3, "as scripts ask"
    asked = json.loads(rung("review", "again", "--json", wanted=2).stdout)["error"]
    assert (asked["where"], asked["found"]) == ("--word", "3"), "all older rows only with --yes"
    assert told("review", "status")["older_guideline"] == 3
    rung("review", "again", "--word", "!", wanted=2)
    done = told("review", "again", "--word", "Asthma", "--yes")
    assert (done["guideline"], done["older"], len(done["rows"])) == (2, 3, 1)
    with open_desk(project, load_settings(project.settings_file, {})).store as store:
        assert [event.detail["rows"] for event in store.events(kind="guideline_review")] == [1]
    assert told("review", "next", "--reviewer", "kim")["queued"] == "guideline v2"
    rung("data", "undo")
    assert told("review", "status")["states"]["approved"] == 3
    assert told("review", "again", "--word", "Asthma", "--yes")["change"] == done["change"] + 1
    assert told("review", "status")["states"]["pending"] == 1
    assert len(told("review", "again", "--yes")["rows"]) == 2, "the third one is open already"


def test_a_row_that_was_taken_out_is_not_reopened(rung, project, rows_of):
    """Nobody would be given it, though it was told as sent to review."""
    rows = at_desk(project, rows_of(2))
    with open_desk(project, load_settings(project.settings_file, {})).store as store:
        store.exclude(rows[:1], "exact duplicate", "duplicates")
    refused = rung("review", "reopen", *rows, wanted=2).stderr
    assert rows[0] in refused and "exact duplicate" in refused and rows[1] not in refused
    rung("review", "reopen", rows[1])
