from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest


def write(path: Path, rows: list[Any], extra: str = "") -> None:
    path.write_text("".join(row.to_json() + "\n" for row in rows) + extra)


def test_import_counts_every_line_and_changes_nothing_the_second_time(rung: Any, project: Any, rows_of: Any) -> None:
    rows = rows_of(20)
    near = [rows[0].with_answer("answer 0")]
    write(project.root / "a.jsonl", [*rows, *near, rows[1]], '{"mesages": []}\nnot json\n')
    bad = rung("data", "import", "a.jsonl", wanted=2)
    assert "line 23" in bad.stderr and "line 24" in bad.stderr and 'Did you mean "messages"' in bad.stderr
    asked = rung("data", "import", "a.jsonl", "--json", wanted=2)
    assert json.loads(asked.stdout)["error"]["hint"]
    good = rung("data", "import", "a.jsonl", "--rejects", "rejects.jsonl")
    assert good.stdout.startswith("24 read = 20 kept + 2 exact + 0 near + 2 rejected\n")
    assert [json.loads(line)["line"] for line in (project.root / "rejects.jsonl").read_text().splitlines()] == [23, 24]
    again = json.loads(rung("data", "import", "a.jsonl", "--rejects", "rejects.jsonl", "--json").stdout)["files"][0]
    assert (again["kept"], again["known"], again["rejected"]) == (0, 22, 2)
    write(project.root / "b.jsonl", rows_of(1, 50), "{}\n")
    rung("data", "import", "b.jsonl", "--rejects", "rejects.jsonl")
    files = [json.loads(line)["file"] for line in (project.root / "rejects.jsonl").read_text().splitlines()]
    assert files == ["a.jsonl", "a.jsonl", "b.jsonl"]
    (project.root / "mine.jsonl").write_text("precious\n")
    refused = rung("data", "import", "b.jsonl", "--rejects", "mine.jsonl", wanted=2)
    assert "not a file of rejects" in refused.stderr and (project.root / "mine.jsonl").read_text() == "precious\n"


def test_review_by_script(rung: Any, project: Any, rows_of: Any) -> None:
    (project.root / "guideline.md").write_text("# Guide\n")
    write(project.root / "c.jsonl", rows_of(2))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    item = json.loads(rung("review", "next", "--reviewer", "A", "--json").stdout)
    assert {"id", "token", "messages", "source", "guideline", "findings"} <= set(item)
    assert item["source"] == "c.jsonl:1" and item["guideline"]["version"] == 1
    (project.root / "new.txt").write_text("a better answer\n")
    stale = rung("review", "decide", item["id"], "approve", "--token", "x", "--reviewer", "A", wanted=1)
    assert "Yours was not counted" in stale.stderr
    rung("review", "decide", item["id"], "edit", "--token", item["token"], "--reviewer", "A", wanted=2)
    done = rung(
        "review", "decide", item["id"], "edit", "--token", item["token"], "--reviewer", "A",
        "--text-file", "new.txt", "--reason", "1", "--json",
    )  # fmt: skip
    assert json.loads(done.stdout)["state"] == "edited"
    rung("review", "undo", item["id"], "--reviewer", "A")
    rung("review", "undo", item["id"], "--reviewer", "A", wanted=1)
    other = json.loads(rung("review", "next", "--reviewer", "A", "--json").stdout)
    row = {"messages": [*other["messages"][:-1], {"role": "assistant", "content": "whole"}], "code": "X"}
    (project.root / "row.json").write_text(json.dumps(row, indent=1))
    rung(
        "review", "decide", other["id"], "edit", "--token", other["token"], "--reviewer", "A", "--row-file", "row.json"
    )
    status = json.loads(rung("review", "status", "--json").stdout)
    assert status["states"]["edited"] == 1 and status["states"]["pending"] == 1
    last = json.loads(rung("review", "next", "--reviewer", "B", "--json").stdout)
    assert json.loads(rung("review", "next", "--reviewer", "C", "--json").stdout) == {"id": None, "waiting": 1}
    rung(
        "review",
        "decide",
        last["id"],
        "reject",
        "--token",
        last["token"],
        "--reviewer",
        "B",
        "--reason",
        "wrong_answer",
    )
    shown = rung("review").stdout
    assert shown.startswith("2 of 2 decided, by A and B\n") and shown.endswith("Next: rung data freeze\n")
    assert rung("review", "decide", "r-999999", "approve", "--token", "x", wanted=2).stderr.startswith("No row")


def test_decisions_by_mail(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "c.jsonl", rows_of(4))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    for name in ("out.csv", "out.jsonl"):
        rung("review", "export", "-o", name, "--assign", "mo")
    lines = [json.loads(line) for line in (project.root / "out.jsonl").read_text().splitlines()]
    lines[0]["decision"], lines[1]["decision"], lines[1]["text"] = "approve", "edit", "by mail"
    (project.root / "out.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    found = json.loads(rung("review", "import", "out.jsonl", "--json").stdout)
    assert found == {"decided": 2, "open": 2, "conflicts": []}
    text = (
        (project.root / "out.csv")
        .read_text()
        .replace("answer 0,,,,", "answer 0,reject,,2,")
        .replace("answer 2,,,,", "answer 2,reject,,2,")
    )
    (project.root / "out.csv").write_text(text)
    clash = rung("review", "import", "out.csv", wanted=1)
    assert "mo decided r-000001 meanwhile: approved. The file says reject." in clash.stdout
    status = json.loads(rung("review", "status", "--json").stdout)
    assert (status["states"]["rejected"], status["states"]["edited"], status["reviewers"][0]["name"]) == (1, 1, "mo")
    (project.root / "bad.jsonl").write_text(
        '{"id": "r-000003", "decision": "aprove"}\n{"id": "r-9", "decision": "reject"}\n'
    )
    bad = rung("review", "import", "bad.jsonl", wanted=2)
    assert 'bad.jsonl:1: "aprove" is not a decision' in bad.stderr and "bad.jsonl:2" in bad.stderr


def test_freeze_from_the_shell(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "a.jsonl", rows_of(60))
    rung("data", "import", "a.jsonl")
    assert "wait for review" in rung("data", "freeze", wanted=1).stderr
    (project.root / "rung.toml").write_text('[review]\npool = "trust"\n')
    assert rung("data", "freeze", "--dry-run").stdout.startswith("Would be frozen: 48 train")
    done = json.loads(rung("data", "freeze", "--json").stdout)
    assert done["version"] == "v001" and sum(split["rows"] for split in done["splits"].values()) == 60
    write(project.root / "b.jsonl", rows_of(10, 500))
    rung("data", "import", "b.jsonl")
    rung("data", "freeze")
    found = json.loads(rung("data", "diff", "v001", "v002", "--json").stdout)
    assert len(found["added"]) == 10 and found["same_test"]
    assert "No dataset v009" in rung("data", "diff", "v001", "v009", wanted=2).stderr


def test_invite_prints_a_link(rung: Any, project: Any) -> None:
    link = rung("review", "invite", "dana", "--role", "lead", "--days", "2").stdout.strip()
    assert link.startswith("http://127.0.0.1:") and len(link.split("/enter/")[1]) > 30
    said = rung("review", "invite", "dana", "-o", "dana.link").stdout
    kept = project.root / "dana.link"
    assert "/enter/" not in said and "/enter/" in kept.read_text() and stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "has ended" in rung("review", "invite", "dana", "--revoke").stdout
    assert "did you mean" in rung("review", "invite", "x", "--role", "leed", wanted=2).stderr.lower()


def test_import_killed_and_run_again_finishes(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "a.jsonl", rows_of(3000))
    command = [sys.executable, "-m", "rung", "data", "import", "a.jsonl"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for patience in (0.5, 0.8, 1.1):
        run = subprocess.Popen(command, cwd=project.root, env=environment, stdout=subprocess.DEVNULL)
        time.sleep(patience)
        run.kill()
        run.wait()
    rung("data", "import", "a.jsonl")
    again = json.loads(rung("data", "import", "a.jsonl", "--json").stdout)["files"][0]
    assert (again["kept"], again["known"]) == (0, 3000)
    assert json.loads(rung("review", "status", "--json").stdout)["not_queued"]["unreviewed"] == 3000 - 149


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("nosuch.csv", None, "nosuch.csv: no such file."),
        ("oot.csv", None, 'Did you mean "out.csv"?'),
        ("latin.csv", b"id,decision\nr-000001,caf\xe9\n", "latin.csv line 2: not UTF-8 text."),
        ("bad.jsonl", b'{"id": "r-1"}\n{"id"\n[3]\n' + b"[" * 9000, "bad.jsonl:4: not JSON"),
        ("bad.jsonl", b'{"id": "r-1"}\n{"id"\n[3]\n', 'bad.jsonl:3: "id" is missing.'),
    ],
)
def test_a_file_of_decisions_that_cannot_be_read_is_told_in_the_right_words(
    rung: Any, project: Any, rows_of: Any, name: str, data: bytes | None, said: str
) -> None:
    write(project.root / "c.jsonl", rows_of(2))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    rung("review", "export", "-o", "out.csv")
    if data is not None:
        (project.root / name).write_bytes(data)
    told = rung("review", "import", name, wanted=2).stderr
    assert said in told and "Errno" not in told and "UTF-8 text (" not in told
    if name == "bad.jsonl":
        assert "bad.jsonl:2: not JSON" in told, "every line is told at once"


def test_a_long_row_goes_out_to_csv_and_comes_back(rung: Any, project: Any) -> None:
    long = {"messages": [{"role": "user", "content": "word " * 60_000}, {"role": "assistant", "content": "yes"}]}
    (project.root / "c.jsonl").write_text(json.dumps(long) + "\n")
    rung("data", "import", "c.jsonl", "--as", "candidates")
    rung("review", "export", "-o", "out.csv")
    text = (project.root / "out.csv").read_text().replace(",yes,,,,", ",yes,approve,,,")
    (project.root / "out.csv").write_text(text)
    assert rung("review", "import", "out.csv", "--reviewer", "mo").stdout.startswith("1 decision taken in")


def test_a_folder_that_is_made_for_an_output_is_told(rung: Any, project: Any, rows_of: Any) -> None:
    write(project.root / "c.jsonl", rows_of(2))
    rung("data", "import", "c.jsonl", "--as", "candidates")
    assert "Folder made: new/deep" in rung("review", "export", "-o", "new/deep/out.csv").stderr
    assert "Folder made" not in rung("review", "export", "-o", "new/deep/more.csv").stderr
    wrong = rung("review", "export", "-o", "other/out.xlsx", wanted=2)
    assert "Folder made" not in wrong.stderr and not (project.root / "other").exists()
    assert "nothing can be written" in rung("review", "export", "-o", "c.jsonl/out.csv", wanted=2).stderr
