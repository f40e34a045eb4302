"""A gate that a person answers for: which may be, what it takes, and that the log must know of it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from training.gates.clearance import Locked, admit, grant, override
from training.runs import read_run
from workspace.errors import InputError
from workspace.folder import Project
from workspace.settings import Settings


def close_the_decision(project: Project) -> None:
    """An answer by which prompting is enough: nothing is to be trained."""
    text = project.answers_file.read_text()
    project.answers_file.write_text(text.replace('prompting = "insufficient"', 'prompting = "works"'))


@pytest.mark.parametrize("name", ["dataset", "leakage", "baseline", "machines"])
def test_gates_that_can_only_be_met(name: str) -> None:
    with pytest.raises(InputError, match="can only be met"):
        override(name, "priya", "because")


def test_all_that_an_override_lacks_is_said_at_once() -> None:
    with pytest.raises(InputError) as refused:
        override("leakage", " ", "")
    assert len(refused.value.problems) == 3


def test_an_override_is_an_event_and_is_admitted(ready: Project, settings: Settings, planned: Path) -> None:
    close_the_decision(ready)
    with pytest.raises(Locked, match="decision"):
        grant(ready, settings, planned)
    given = override("decision", "priya", "contract demands on-premise")
    folder = grant(ready, settings, planned, overrides=[given], by="sam")
    assert read_run(folder).overrides == [given]
    assert admit(folder).clearance.overrides == [given]


def test_an_override_that_is_not_in_the_log_counts_for_nothing(
    ready: Project, settings: Settings, planned: Path
) -> None:
    close_the_decision(ready)
    folder = grant(ready, settings, planned, overrides=[override("decision", "priya", "x")])
    with sqlite3.connect(ready.database_file) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DROP TRIGGER IF EXISTS events_no_delete")
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'")]
        for trigger in tables:
            database.execute(f'DROP TRIGGER "{trigger}"')
        database.execute("DELETE FROM events WHERE kind = 'override'")
    with pytest.raises(Locked, match="decision"):
        admit(folder)
