"""How many modules a row passes through: those in which an import or a freeze of 60 rows runs a function."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = {"import": 38, "freeze": 43}
"""A bound that only falls: a new layer between two others must replace one."""
PASSED = """
import inspect, json, os, random, sys
from pathlib import Path

from curation.example import chat_row
from curation.store import open_store
from rung.cli.data.ingest import import_files
from curation.split.freeze import freeze
from rung.start import start_project
from workspace.settings import ReviewSettings, load_settings

root, packages = Path(sys.argv[1]), tuple(sys.argv[2].split())
passed, project = set(), start_project(Path.cwd() / "project").project
settings = load_settings(project.settings_file).model_copy(update={"review": ReviewSettings(pool="trust")})
open_store(project, settings).close()
draw, file = random.Random(13), project.root / "rows.jsonl"
for place in range(60):
    row = chat_row(" ".join(f"word{draw.randrange(900)}" for _ in range(12)), f"answer {place}")
    with file.open("a") as lines:
        lines.write(json.dumps(row) + "\\n")

def note(frame, what, _):
    code = frame.f_code
    function = what == "call" and code.co_flags & inspect.CO_OPTIMIZED and not code.co_name.startswith("<")
    if function and code.co_filename.startswith(packages):
        passed.add(str(Path(code.co_filename).relative_to(root)))

def take_in():
    os.chdir(project.root)
    import_files([file], as_json=True)

found = {}
for name, run in (("import", take_in), ("freeze", lambda: freeze(project, settings))):
    passed.clear()
    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    found[name] = sorted(passed)
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def passed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    packages = " ".join(
        f"{ROOT / name}/" for name in ("advisor", "chat", "curation", "evaluation", "rung", "training", "workspace")
    )
    done = subprocess.run(
        [sys.executable, "-c", PASSED, str(ROOT), packages],
        capture_output=True,
        text=True,
        cwd=tmp_path_factory.mktemp("paths"),
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path_factory.mktemp("home")), "PATH": "/usr/bin:/bin"},
        check=True,
    )
    found: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize("path", MOST)
def test_a_row_passes_through_few_modules(passed: dict[str, list[str]], path: str) -> None:
    assert {"curation/store/writing.py", "curation/review/queue.py"} <= set(passed[path]), passed[path]
    assert len(passed[path]) <= MOST[path], "\n".join(passed[path])
