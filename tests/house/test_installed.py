"""The wheel in an environment of its own: it works, and when it is removed only projects and named places are left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
ROWS = "question,answer\n" + "".join(f"what is number {n} of the list in words,answer {n}\n" for n in range(30))


def ran(*command: str | Path, cwd: Path, home: Path) -> str:
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home / "tmp")}
    kept = {name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_", "REQUESTS_"))}
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=environment | kept, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_removed_it_leaves_projects_and_the_places_that_locate_names(tmp_path: Path) -> None:
    home, work, own = tmp_path / "home", tmp_path / "work", tmp_path / "own"
    pips = tmp_path / "pips"  # what pip itself leaves behind is not Rung's
    for each in (home, pips):
        (each / "tmp").mkdir(parents=True)
    work.mkdir()
    subprocess.run([sys.executable, "-m", "build", "--wheel", "-o", tmp_path, ROOT], check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", own], check=True)
    before = files(own)
    ran(own / "bin/pip", "install", "-q", "--no-cache-dir", next(tmp_path.glob("*.whl")), cwd=work, home=pips)
    rung = own / "bin/rung"
    (work / "rows.csv").write_text(ROWS)
    (work / "answers.toml").write_text('task = "classification"\n')
    ran(rung, "init", "claims", cwd=work, home=home)
    project = work / "claims"
    ran(rung, "advise", "--answers", "../answers.toml", "--save", cwd=project, home=home)
    for words in (("data", "import", "../rows.csv"), ("data", "check"), ("review", "next"), ("status",), ("trust",)):
        ran(rung, *words, cwd=project, home=home)
    places = json.loads(ran(rung, "locate", "--json", cwd=project, home=home))
    ran(own / "bin/pip", "uninstall", "-q", "-y", "rung", cwd=work, home=pips)
    assert not rung.exists() and not [name for name in files(own) - before if "/rung" in name or "advisor" in name]
    left = {str(home / name) for name in files(home)}
    assert left == {places["trusted"]}, "the cache holds models and tools, and none was asked for"
    assert {path.name for path in work.iterdir()} == {"rows.csv", "answers.toml", "claims"}
