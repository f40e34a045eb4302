"""What quick commands may not load, the CPU seconds that they may take, and the modules that a row passes through."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from freezing import rows
from in_process import rung
from review_rows import begun

from curation.example import Example, chat_row
from curation.store import open_store
from rung.start import start_project
from workspace.settings import load_settings

HEAVY = ("torch", "transformers", "peft", "trl", "anthropic", "openai", "sklearn", "scipy", "datasketch", "numba")
"""Never loaded for help, the questionnaire, Start, Advice and Review."""


def loaded_after(code: str, cwd: str, heavy: tuple[str, ...] = HEAVY) -> list[str]:
    """Heavy modules in `sys.modules` after `code` ran in a fresh process."""
    probe = f"{code}\nimport json, sys\nprint(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-P", "-c", probe], capture_output=True, text=True, cwd=cwd, check=True)
    return json.loads(done.stdout.splitlines()[-1])


RUN = """
import sys
from rung.cli import main
for words in {commands!r}:
    sys.argv = ["rung", *words.split()]
    try:
        main()
    except SystemExit as end:
        assert end.code in (0, None), end.code
"""


def test_quick_commands_and_public_names_load_nothing_heavy(tmp_path):
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "untried"\n')
    commands = (
        "--help", "questions --json", "data --help", "train --help", "advise --answers answers.toml --json",
        "estimate --model Qwen3-8B --fit 24GB --json",
    )  # fmt: skip
    assert loaded_after(RUN.format(commands=commands[:3]), str(tmp_path), ("numpy", "curation")) == []
    names = "import rung, rung.status, curation.review, training.gates.clearance"
    assert loaded_after(f"{RUN.format(commands=commands)}\n{names}", str(tmp_path)) == []
    assert loaded_after("import curation.store", str(tmp_path), ("sqlalchemy",)) == []
    assert loaded_after("import curation.review", str(tmp_path), ("alembic", "numpy")) == []


SCREENS = """
import asyncio
from pathlib import Path
from conftest_tui import opened, rested, running
from rung.tui.app import RungApp
from rung.tui.source import ScreenSource

async def look():
    app = RungApp(ScreenSource.of(Path()))
    async with running(app) as pilot:
        await rested(pilot)
        for number in (1, 2, 4):
            screen = await opened(pilot, number)
            await rested(pilot)
        assert screen.item is not None

asyncio.run(look())
"""


def test_start_questions_advice_and_review_load_nothing_heavy(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    assert loaded_after(SCREENS, str(begun(tmp_path / "icd"))) == []


def test_no_store_is_loaded_where_there_is_none(tmp_path):
    root = start_project(tmp_path / "project").project.root
    (root / "answers.toml").write_text('task = "classification"\nprompting = "untried"\n')
    (root / "s.jsonl").write_text("".join(f'{{"id": "{n}", "baseline": 0, "tuned": 1}}\n' for n in range(40)))
    commands = ("status", "advise", "advise --json", "verdict --scores s.jsonl", "runs list")
    assert loaded_after(RUN.format(commands=commands), str(root), ("sqlalchemy",)) == []


def test_showing_a_row_loads_no_check(tmp_path):
    """Its texts are masked: that takes `curation.mask` alone."""
    project = start_project(tmp_path / "project").project
    with open_store(project, load_settings(project.settings_file)) as store:
        store.add([Example(chat_row("Who answers?", "Ann, 0151 23456789"))], role="pool")
    code = RUN.format(commands=["why r-000001"])
    assert loaded_after(code, str(project.root), ("curation.checks", "curation.mask")) == ["curation.mask"]


def cpu_seconds(arguments: list[str], cwd: str) -> float:
    """User and system seconds of one run of rung: not wall time."""
    before = os.times()
    subprocess.run([sys.executable, "-P", "-m", "rung", *arguments], cwd=cwd, check=True, capture_output=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.cold
@pytest.mark.parametrize(
    ("arguments", "budget"), [(["--help"], 0.5), (["advise", "--answers", "answers.toml", "--json"], 0.7)]
)
def test_within_its_budget(arguments, budget, tmp_path):
    (tmp_path / "answers.toml").write_text('task = "classification"\nprompting = "partial"\nexamples = 300\n')
    assert min(cpu_seconds(arguments, str(tmp_path)) for _ in range(3)) <= budget


PACKAGES = {"advisor", "chat", "curation", "evaluation", "rung", "training", "workspace"}
MOST = {"import": 47, "freeze": 62}
"""Bounds that only fall: a new layer between two others must replace one."""


def passed_through(folder: Path, *words: str) -> set[str]:
    """The modules of which a function was called while this command ran."""
    seen: set[str] = set()

    def look(frame: Any, event: str, _: object) -> None:
        name = frame.f_globals.get("__name__", "")
        if event == "call" and frame.f_code.co_name[0] != "<" and name.partition(".")[0] in PACKAGES:
            seen.add(name)

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        rung("data", *words, cwd=folder, code=0)
    finally:
        sys.setprofile(before)
    return seen


def test_a_row_passes_through_few_modules(tmp_path: Path) -> None:
    rung("init", tmp_path, code=0)
    (tmp_path / "rung.toml").write_text('[review]\npool = "trust"\n')
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(example.row) + "\n" for example in rows(60, 1)))
    found = {}
    for command, *words in (("import", "rows.jsonl"), ("freeze",)):
        rung("data", command, *words, "--dry-run", cwd=tmp_path, code=0)  # what a first import runs is none of the way
        found[command] = passed_through(tmp_path, command, *words)
    assert all({"curation.store.writing", "curation.review.queue"} <= seen for seen in found.values())
    assert {name: sorted(each) for name, each in found.items() if len(each) > MOST[name]} == {}
