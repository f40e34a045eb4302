"""Starting a project, asking where it stands, looking for what is wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from rung.start import start_project
from rung.status import read_status
from workspace.errors import RungError
from workspace.folder import Project


def rung(*arguments, cwd):
    """Run the real command."""
    return subprocess.run([sys.executable, "-P", "-m", "rung", *arguments], cwd=cwd, capture_output=True, text=True)


def test_init_writes_what_is_missing_and_keeps_what_is_there(tmp_path):
    (tmp_path / "guideline.md").write_text("ours\n")
    started = start_project(tmp_path)
    assert started.kept == ["guideline.md"]
    assert (tmp_path / "guideline.md").read_text() == "ours\n"
    assert (tmp_path / "rung.toml").is_file()
    with pytest.raises(RungError, match="already"):
        start_project(tmp_path)


def test_a_new_project_waits_for_answers_and_locks_the_rest(tmp_path):
    start_project(tmp_path)
    status = read_status(Project(tmp_path))
    assert [stage.state for stage in status.stages] == ["open", "locked", "open", *["locked"] * 7]
    assert status.next.name == "Questions"
    assert all(stage.reason for stage in status.stages)


def test_status_follows_the_answers(tmp_path):
    start_project(tmp_path)
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "untried"\n')
    assert read_status(Project(tmp_path)).stage("Advice").state == "open"
    assert rung("advise", cwd=tmp_path).returncode == 0
    assert read_status(Project(tmp_path)).stage("Advice").state == "done"
    (tmp_path / "answers.toml").write_text('task = "extraction"\nprompting = "untried"\n')
    changed = read_status(Project(tmp_path)).stage("Advice")
    assert changed.state == "open"
    assert "changed" in changed.reason


def test_status_as_json_names_every_stage(tmp_path):
    start_project(tmp_path)
    document = json.loads(rung("status", "--json", cwd=tmp_path).stdout)
    assert [stage["number"] for stage in document["stages"]] == list(range(1, 11))
    assert {"state", "reason", "command"} <= set(document["stages"][0])


def test_without_a_terminal_rung_prints_the_status(tmp_path):
    start_project(tmp_path)
    assert rung(cwd=tmp_path).stdout == rung("status", cwd=tmp_path).stdout


def test_outside_a_project_it_says_how_to_start_one(tmp_path):
    done = rung("status", "--json", cwd=tmp_path)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["hint"] == "rung init"
    assert "Traceback" not in done.stderr


def test_a_wrong_setting_is_named_with_its_line_and_stops_nothing_else(tmp_path):
    start_project(tmp_path)
    text = (tmp_path / "rung.toml").read_text().replace("pool =", "pol =")
    (tmp_path / "rung.toml").write_text(text)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith("pol ="))
    problems = read_status(Project(tmp_path)).problems
    assert problems == (f'rung.toml line {line}: unknown key "review.pol". Did you mean "pool"?',)
    assert rung("doctor", cwd=tmp_path).returncode == 1


def test_doctor_names_what_is_here(tmp_path):
    document = json.loads(rung("doctor", "--json", cwd=tmp_path).stdout)
    names = [check["name"] for check in document["checks"]]
    assert names[:2] == ["rung", "llm"]
    assert "model" in names


def test_why_knows_rules_and_says_when_it_knows_nothing(tmp_path):
    assert rung("why", "leekage", cwd=tmp_path).returncode == 2
    assert "Did you mean" in rung("why", "leekage", cwd=tmp_path).stderr


def test_why_takes_an_answer_with_its_value(tmp_path):
    assert rung("why", "task=chat", cwd=tmp_path).stdout == rung("why", "task", cwd=tmp_path).stdout
