"""`--quiet` and `--verbose` on every command; a word that is no command is answered with the way on."""

import io
import json
import os
import re
import subprocess
import sys
import threading
import tracemalloc
from pathlib import Path
from typing import Any

import in_shell
import pytest
from in_process import rung
from known_commands import leaves

from rung.cli import output
from rung.cli.train import LiveLine

CSV = "question,team\nHow do I get a new card?,cards\nWhere is my money?,transfers\nWhat is the rate?,\n"


def test_every_command_has_both_flags_and_prints_its_result_as_json() -> None:
    flags = dict(leaves())
    assert len(flags) > 40 and all({"--quiet", "--verbose"} <= set(found) for found in flags.values())
    assert [path for path, found in flags.items() if "--json" not in found] == [("mcp",)], "it prints JSON-RPC alone"


def test_what_changes_the_queue_is_one_document(tmp_path: Path) -> None:
    rung("init", cwd=tmp_path, code=0)
    rows = "question,answer\n" + "".join(f"what does word number {n} mean here,answer {n}\n" for n in range(4))
    (tmp_path / "rows.csv").write_text(rows)
    rung("data", "import", "rows.csv", cwd=tmp_path, code=0)

    def told(*words: str) -> Any:
        return json.loads(rung(*words, "--json", cwd=tmp_path).stdout)

    assert told("review", "export", "-o", "sheet.csv") == {"rows": 4, "file": "sheet.csv"}
    item = told("review", "next", "--reviewer", "dana")
    decided = ("review", "decide", item["id"], "approve", "--token", item["token"], "--reviewer", "dana")
    rung(*decided, cwd=tmp_path, code=0)
    assert told("review", "reopen", item["id"])["rows"] == [item["id"]]
    assert "1 row" in told("data", "undo")["undone"]
    assert "/enter/" in told("review", "invite", "mo")["link"]
    assert told("review", "invite", "mo", "--revoke") == {"name": "mo", "revoked": True}
    assert told("review", "sample") == {"role": "pool", "sample": None}


def test_quiet_leaves_results_warnings_and_errors(tmp_path: Any) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    columns = ("--question", "question", "--answer", "team")
    loud = rung("data", "check", "rows.csv", *columns, cwd=tmp_path)
    for words in (
        ("--quiet", "data", "check", "rows.csv", *columns),
        ("data", "check", "rows.csv", *columns, "--quiet"),
    ):
        hushed = rung(*words, cwd=tmp_path)
        assert (hushed.returncode, hushed.stdout) == (loud.returncode, loud.stdout)
        assert '"question"' in loud.stderr and hushed.stderr == ""
    wrong = rung("data", "check", "nothing.csv", "--quiet", cwd=tmp_path)
    assert wrong.returncode == 2 and "nothing.csv" in wrong.stderr


def test_verbose_logs_no_row(tmp_path: Any) -> None:
    (tmp_path / "rows.csv").write_text(CSV.replace("cards\n", "Wendelin Quarz\n"))
    rung("init", cwd=tmp_path, code=0)
    columns = ("--question", "question", "--answer", "team", "--rejects", "rejects.jsonl")
    done = in_shell.rung("data", "import", "rows.csv", *columns, "--verbose", cwd=tmp_path)
    assert done.returncode == 0 and "CPU-seconds" in done.stderr
    assert "Wendelin Quarz" not in done.stderr


def test_tab_completes_commands_and_options(tmp_path: Path) -> None:
    environment = {**os.environ, "_RUNG_COMPLETE": "complete_bash", "COMP_WORDS": "rung data imp", "COMP_CWORD": "2"}
    code = "import sys; sys.argv = ['rung']; from rung.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert "import" in done.stdout and "freeze" not in done.stdout, done


def test_a_long_list_is_not_held_while_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path(os.devnull).open("w") as nowhere:
        monkeypatch.setattr(sys, "stdout", nowhere)
        tracemalloc.start()
        output.emit({"list": ({"number": n, "text": "word " * 20} for n in range(20_000))})
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert most < 1 << 21, most  # held, it takes 4.5 MB


@pytest.mark.cold
def test_a_terminal_shows_signs_in_colour_unless_they_are_turned_off(tmp_path, monkeypatch):
    rung("init", ".", cwd=tmp_path)
    for name, value in {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    leader, follower = os.openpty()
    subprocess.run([sys.executable, "-P", "-m", "rung", "status"], cwd=tmp_path, stdout=follower, check=True)
    assert "\x1b[1mNext: " in os.read(leader, 20_000).decode()
    assert "\x1b" not in rung("status", cwd=tmp_path).stdout
    with os.fdopen(follower, "w") as terminal:
        monkeypatch.setattr(sys, "stdout", terminal)
        assert output.shows_colour()
        for name, value in (("NO_COLOR", "1"), ("TERM", "dumb")):
            with monkeypatch.context() as off:
                off.setenv(name, value)
                assert not output.shows_colour()
        monkeypatch.undo()
    os.close(leader)


def test_only_the_sign_a_line_begins_with_has_a_colour():
    for line, sign, colour in (("  3 ! Data  needs", "!", "33"), ("✗ leaks  a ! b", "✗", "1;31")):
        assert output.coloured(line) == line.replace(sign, f"\x1b[{colour}m{sign}\x1b[0m")
    assert output.coloured("a ✓ b") == "a ✓ b"


def test_a_line_that_is_redrawn_fits_the_terminal_and_is_drawn_by_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = io.StringIO()
    monkeypatch.setattr(screen, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", screen)
    monkeypatch.setenv("COLUMNS", "40")
    step = {"kind": "step", "step": 3, "steps": 465, "loss": 0.5, "tokens_per_second": 795.0, "eta_seconds": 4000.0}
    LiveLine("R-001").show(step)
    line = output.ProgressLine("Fetching and converting the embedded model", clock=lambda: 1.0)
    line(0, 271_000_000)
    output.complain("a line of its own")
    line(271_000_000, 271_000_000)
    drawn = [part for part in re.split(r"\r\x1b\[2K|\n", screen.getvalue()) if part]
    assert all(len(part) < 40 for part in drawn) and drawn[0].startswith("R-001 ") and "465" in drawn[0]
    assert drawn.count("a line of its own") == 1 and screen.getvalue().endswith("\n")
    line, before = output.ProgressLine("Rows"), threading.active_count()
    for done in range(9):
        line(done, 9)
        output.complain("a line of its own")
    assert threading.active_count() <= before + 1
    line(9, 9)


def test_signs_that_a_terminal_has_not_are_written_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", stdout)
    output.never_fail_on_text()
    output.say("✓ decision  ✗ dataset  ○ open  … running  ▸ here  ├─o─┤  5 – 7  ä")
    stdout.flush()
    assert (
        stdout.buffer.getvalue()
        == rb"+ decision  x dataset  o open  ~ running  > here  |-o-|  5 \u2013 7  \xe4" + b"\n"
    )  # type: ignore[attr-defined]
