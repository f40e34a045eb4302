"""Odd words on the command line: each is told in a sentence, none is passed over, and `--json` stays one document."""

from __future__ import annotations

import io
import json
import re
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import in_process
import pytest

from rung.cli.output import ProgressLine, complain
from rung.cli.train import LiveLine

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command in this process, in an empty folder: exit code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    return in_process.rung


@pytest.fixture
def project(run: Run, tmp_path: Path) -> Path:
    assert run("init")[0] == 0
    return tmp_path


@pytest.mark.parametrize("words", [("why", "r-000001"), ("why", "rows.jsonl:3"), ("status",), ("doctor",)])
def test_looking_makes_no_database(project: Path, run: Run, words: tuple[str, ...]) -> None:
    run(*words)
    assert not (project / "rung.db").exists()


def test_problems_of_a_kind_in_a_score_file_are_counted(run: Run, tmp_path: Path) -> None:
    """The first three of each kind in the shell; every one, with its line, in the document."""
    rows = [{"id": n, "baseline": 0.5} | ({} if n % 2 else {"tuned": 1 + n / 8}) for n in range(1, 21)]
    (tmp_path / "s.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    code, _, told = run("verdict", "--scores", "s.jsonl")
    assert code == 2 and len(told.splitlines()) == 2 * 4 + 1 and told.count("7 more") == 2 and "line 20" in told
    problems = json.loads(run("verdict", "--scores", "s.jsonl", "--json")[1])["error"]["problems"]
    assert [each["where"] for each in problems] == [f"s.jsonl line {n}" for n in range(1, 21)]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[[rental]\n", "line 1"),
        ('[[rental]]\ngpu = "A 24GB"\n', '"per_hour"'),
        ('[[api]]\nmodel = "m"\ninput = "3"\noutput = 1.0\n', "input"),
        ('[[rentals]]\ngpu = "A"\n', '"rental"'),
        ("[upkeep]\nper_month = 3\n", "[[upkeep]]"),
        ('[[upkeep]]\nper_month = 3\ndate = "today"\n', "date"),
        ("[[upkeep]]\nper_moth = 3\n", '"per_month"'),
    ],
)
def test_a_team_s_own_prices_are_read_with_care(project: Path, run: Run, text: str, named: str) -> None:
    (project / "rules").mkdir()
    (project / "rules" / "prices.toml").write_text(text)
    code, out, _ = run("advise", "--set", "task=chat", "--set", "incumbent_model=gpt-5", "--json")
    error = json.loads(out)["error"]
    assert (code, error["where"]) == (2, "rules/prices.toml") and named in error["message"]


def test_notes_on_the_data_in_another_encoding_end_no_page(tmp_path: Path) -> None:
    from rung.text.evaluation_text import about_data
    from workspace.folder import Project

    (tmp_path / "about-data.md").write_bytes(b"- Die F\xe4lle sind \xf6ffentlich.\n")
    assert about_data(Project(tmp_path)) == ["Die F\ufffdlle sind \ufffdffentlich."]


class Screen(io.StringIO):
    """A terminal of 40 columns."""

    def isatty(self) -> bool:
        return True


STEP: dict[str, Any] = {"kind": "step", "step": 3, "steps": 465, "loss": 0.5, "tokens_per_second": 795.0}


def test_a_line_that_is_redrawn_fits_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "40")
    LiveLine("R-001").show({**STEP, "eta_seconds": 4000.0})
    line = ProgressLine("Fetching and converting the embedded model", clock=lambda: 1.0)
    line(0, 271_000_000)
    complain("a line of its own")
    line(271_000_000, 271_000_000)
    drawn = [part for part in re.split(r"\r\x1b\[2K|\n", screen.getvalue()) if part]
    assert all(len(part) < 40 for part in drawn) and drawn[0].startswith("R-001 ") and "465" in drawn[0]
    assert drawn.count("a line of its own") == 1 and screen.getvalue().endswith("\n")


def test_a_line_that_goes_on_below_remarks_is_drawn_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Screen())
    line, before = ProgressLine("Rows"), threading.active_count()
    for done in range(9):
        line(done, 9)
        complain("a line of its own")
    assert threading.active_count() <= before + 1
    line(9, 9)


def test_signs_that_a_terminal_has_not_are_written_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from rung.cli.output import never_fail_on_text, say

    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    never_fail_on_text()
    say("✓ decision  ✗ dataset  ○ open  … running  ▸ here  ├─o─┤  5 – 7  ä")
    stdout.flush()
    assert (
        stdout.buffer.getvalue()
        == rb"+ decision  x dataset  o open  ~ running  > here  |-o-|  5 \u2013 7  \xe4" + b"\n"
    )  # type: ignore[attr-defined]
