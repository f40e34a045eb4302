"""`--quiet` and `--verbose` on every command; a word that is no command is answered with the way on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import in_process
import in_shell
import pytest
from known_commands import leaves

from rung.cli import output

CSV = "question,team\nHow do I get a new card?,cards\nWhere is my money?,transfers\nWhat is the rate?,\n"


def ran(folder: Any, *words: str) -> in_process.Done:
    return in_process.rung(*words, cwd=folder)


def test_every_command_has_both_flags_and_prints_its_result_as_json() -> None:
    flags = dict(leaves())
    assert len(flags) > 40 and all({"--quiet", "--verbose"} <= set(found) for found in flags.values())
    assert [path for path, found in flags.items() if "--json" not in found] == [("mcp",)], "it prints JSON-RPC alone"


def test_what_changes_the_queue_is_one_document(tmp_path: Path) -> None:
    assert ran(tmp_path, "init").returncode == 0
    rows = "question,answer\n" + "".join(f"what does word number {n} mean here,answer {n}\n" for n in range(4))
    (tmp_path / "rows.csv").write_text(rows)
    assert ran(tmp_path, "data", "import", "rows.csv").returncode == 0

    def told(*words: str) -> Any:
        return json.loads(ran(tmp_path, *words, "--json").stdout)

    assert told("review", "export", "-o", "sheet.csv") == {"rows": 4, "file": "sheet.csv"}
    item = told("review", "next", "--reviewer", "dana")
    decided = ("review", "decide", item["id"], "approve", "--token", item["token"], "--reviewer", "dana")
    assert ran(tmp_path, *decided).returncode == 0
    assert told("review", "reopen", item["id"])["rows"] == [item["id"]]
    assert "1 row" in told("data", "undo")["undone"]
    assert "/enter/" in told("review", "invite", "mo")["link"]
    assert told("review", "invite", "mo", "--revoke") == {"name": "mo", "revoked": True}
    assert told("review", "sample") == {"role": "pool", "sample": None}


def test_quiet_leaves_results_warnings_and_errors(tmp_path: Any) -> None:
    (tmp_path / "rows.csv").write_text(CSV)
    columns = ("--question", "question", "--answer", "team")
    loud = ran(tmp_path, "data", "check", "rows.csv", *columns)
    for words in (
        ("--quiet", "data", "check", "rows.csv", *columns),
        ("data", "check", "rows.csv", *columns, "--quiet"),
    ):
        hushed = ran(tmp_path, *words)
        assert (hushed.returncode, hushed.stdout) == (loud.returncode, loud.stdout)
        assert '"question"' in loud.stderr and hushed.stderr == ""
    wrong = ran(tmp_path, "data", "check", "nothing.csv", "--quiet")
    assert wrong.returncode == 2 and "nothing.csv" in wrong.stderr


def test_verbose_logs_no_row(tmp_path: Any) -> None:
    (tmp_path / "rows.csv").write_text(CSV.replace("cards\n", "Wendelin Quarz\n"))
    assert ran(tmp_path, "init").returncode == 0
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
    ran(tmp_path, "init", ".")
    for name, value in {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", "PYTHONUTF8": "1", "NO_COLOR": ""}.items():
        monkeypatch.setenv(name, value)
    leader, follower = os.openpty()
    subprocess.run([sys.executable, "-P", "-m", "rung", "status"], cwd=tmp_path, stdout=follower, check=True)
    assert "\x1b[1mNext: " in os.read(leader, 20_000).decode()
    assert "\x1b" not in ran(tmp_path, "status").stdout
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
