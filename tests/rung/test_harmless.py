"""Row text never acts: not on a terminal, not in a spreadsheet."""

import csv
import json
import re
from pathlib import Path

import in_process
import pytest
from rows_in_files import lines, row

TITLE, CLIPBOARD, LINK = "\x1b]0;pwned\x07", "\x1b]52;c;cHduZWQ=\x07", "\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\"
DEVICE, BIDI, ONE_BYTE = "\x1bP+q544e\x1b\\", "\u200f\u2066\u202eevil", "\x9b31m\x7f\x85"
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FORMULA = "=cmd|' /C calc'!A0"


def rung(folder: Path, *arguments: str) -> str:
    """Everything a command printed."""
    done = in_process.rung(*arguments, cwd=folder)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Path:
    hostile = f"open {TITLE}{CLIPBOARD}{LINK}{DEVICE}{BIDI}{ONE_BYTE} now"
    asked = [(hostile, "A"), (hostile, f"B{TITLE}"), (FORMULA, "-1+1"), ("plain question here", "@SUM(1)")]
    lines(tmp_path / "rows.jsonl", [row(question, answer) for question, answer in asked])
    (tmp_path / "torn.jsonl").write_text(f'{{"prompt": "{hostile}')
    rung(tmp_path, "init", "p")
    return tmp_path / "p"


def test_no_command_lets_row_text_act_on_the_terminal(project: Path) -> None:
    commands = (
        ("data", "import", "../rows.jsonl"),
        ("data", "import", "../torn.jsonl", "--rejects", "torn.jsonl"),
        ("data", "check", "../torn.jsonl"),
        ("data", "check", "--show", "contradictions"),
        ("data", "check", "../rows.jsonl", "--show", "contradictions"),
        ("review", "next", "--reviewer", "dana"),
        ("review", "status"),
        ("why", "r-000001"),
        ("data", "leakage", "--train", "../rows.jsonl", "--test", "../rows.jsonl"),
        ("status",),
    )
    for command in (*commands, *((*words, "--json") for words in commands)):
        printed = rung(project, *command)
        assert printed and not ACTS.search(printed), (command, ACTS.findall(printed))
    row = json.loads(rung(project, "review", "next", "--reviewer", "dana", "--json"))
    assert "\x9b" in json.dumps(row, ensure_ascii=False), "the value itself is not changed"
    assert "\\u001b]0;pwned" in rung(project, "data", "check", "--show", "contradictions"), "shown, not hidden"
    for name in ("--json", "--verbose"):
        wrong = in_process.rung("data", "check", f"../{ONE_BYTE}{BIDI}{DEVICE}", name, cwd=project)
        assert wrong.returncode == 2 and not ACTS.search(wrong.stdout + wrong.stderr), name


def test_a_spreadsheet_works_nothing_out_and_the_sheet_comes_back(project: Path) -> None:
    rung(project, "data", "import", "../rows.jsonl")
    rung(project, "review", "export", "-o", "sheet.csv")
    with (project / "sheet.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert lines and not [c for line in lines for c in line.values() if c.startswith(("=", "+", "-", "@"))]
    for line in lines:
        line["decision"] = "approve"
        if line["question"] == f"'{FORMULA}":
            line.update(decision="edit", text="'-2+2", reason="wrong answer")
    with (project / "back.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    rung(project, "review", "import", "back.csv", "--reviewer", "dana")
    edited = next(line["id"] for line in lines if line["decision"] == "edit")
    shown = json.loads(rung(project, "why", edited, "--json"))
    facts = [fact for link in shown["chain"] for fact in link["facts"]]
    assert any("-2+2" in fact and "'-2+2" not in fact for fact in facts), facts
