"""The checks of a project tell how many rows the present one has gone through."""

import pytest

from curation.checks.run import READING, check_project
from curation.example import Example, chat_row
from curation.store import NewRow, open_store
from rung.start import start_project
from rung.tui.data.data_lines import READING as SHOWN
from workspace.settings import load_settings


@pytest.fixture
def project(tmp_path):
    made = start_project(tmp_path).project
    rows = [chat_row(f"claim {n} of unit {n * 7919}", f"class {n % 40}") for n in range(1_200)]
    with open_store(made, load_settings(made.settings_file)) as store:
        store.add([NewRow(Example(row), line=n) for n, row in enumerate(rows, 1)], role="pool")
    return made


def test_rows_are_counted_while_they_are_read_and_while_duplicates_are_looked_for(project):
    told = {}
    now = [""]

    def stage(title):
        now[0] = title

    settings = load_settings(project.settings_file)
    with open_store(project, settings) as store:
        check_project(
            store,
            project,
            settings,
            stage=stage,
            progress=lambda done, of: told.setdefault(now[0], []).append((done, of)),
        )
    steps = [(0, 1_200), (500, 1_200), (1_000, 1_200), (1_200, 1_200)]
    assert told[READING][:4] == steps
    assert told["Duplicates"][:4] == steps
    assert READING == SHOWN


def test_who_listens_may_end_it_between_two_rows(project):
    def stop(done, of):
        if done:
            raise KeyboardInterrupt

    settings = load_settings(project.settings_file)
    with open_store(project, settings) as store, pytest.raises(KeyboardInterrupt):
        check_project(store, project, settings, progress=stop)
