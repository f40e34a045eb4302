"""`rung why` on artefacts: figures in the words of the other pages; what somebody changed is told, not raised."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rung.why.explain import lines_about
from workspace.folder import Project

ARMS = [{"arm": "retrieved", "score": 0.2, "n": 150}, {"arm": "classical", "score": 0.64, "n": 150}]


@pytest.fixture
def report(tmp_path: Path) -> Path:
    (tmp_path / "rung.toml").write_text("")
    path = tmp_path / "evaluations" / "E-001" / "report.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"arms": ARMS, "made_from": {"decision.json": "0" * 64}}))
    advice = {"next_step": "fine_tune", "destination": "rag_and_fine_tune", "made_from": {"rulebook": "1" * 64}}
    (tmp_path / "decision.json").write_text(json.dumps(advice))
    return path


def test_arms_and_steps_have_their_words(report: Path) -> None:
    told = "\n".join(lines_about(Project(report.parents[2]), "E-001"))
    assert "retrieved few-shot 20.0% of 150 items" in told and "classifier         64.0% of 150 items" in told
    assert "next step fine-tune, likely end rag and fine-tune" in told


@pytest.mark.parametrize(
    "text", ["{", "[]", "{}", '{"arms": [{}]}', '{"arms": [{"arm": ["x"]}]}', '{"arms": 3, "made_from": ["x"]}',
             '{"arms": [{"arm": "base", "score": "high", "n": 1}], "made_from": {"x": 1}}'],
)  # fmt: skip
def test_a_report_that_somebody_changed_is_told_as_that(report: Path, text: str) -> None:
    report.write_text(text)
    assert "! not in the form that Rung writes" in "\n".join(lines_about(Project(report.parents[2]), "E-001"))
