"""What Start says of the questions: what was measured was not asked."""

from __future__ import annotations

from pathlib import Path

from rung.start import start_project
from rung.status import read_facts, status_of
from workspace.folder import Project

ANSWERS = """
task = "extraction"
examples = 562
team = "part_time"

[answered.examples]
by = "rung"
at = "2026-11-27T19:09:20+00:00"
from = "measured"

[answered.latency]
by = "sam"
at = "2026-11-27T19:09:20+00:00"
from = "said"
"""


def test_measured_answers_are_told_apart(tmp_path: Path) -> None:
    start_project(tmp_path)
    (tmp_path / "answers.toml").write_text(ANSWERS)
    stage = status_of(read_facts(Project(tmp_path))).stage("Questions")
    assert stage.reason == '3 answered, 1 answered "don\'t know", 1 measured'
