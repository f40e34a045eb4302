"""Commands that are killed at a chosen moment (warm.py): the moments, and what must hold afterwards."""

import json
import random
import signal
import sqlite3
import tomllib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from warm import warm

from curation.split.manifest import read_manifest
from workspace.files import sha256_file
from workspace.folder import Project

KILLED = -signal.SIGKILL
READ: dict[str, Callable[[str], object]] = {
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".jsonl": lambda text: [json.loads(line) for line in text.split("\n")[:-1]],
}
"""How a file is read that must be whole; of an append-only log the last line may be half."""


def moments(events: int, count: int, seed: str) -> list[int]:
    """Seeded moments, spread over the whole command."""
    chance = random.Random(seed)
    return [1 + int((number + chance.random()) * events / count) for number in range(count)]


def assert_sound(root: Path) -> None:
    """The project opens, doctor finds nothing wrong, and nothing that anyone reads is half."""
    status = warm("status", "--json", at=root)
    assert status.code == 0, status.err
    doctor = warm("doctor", "--json", at=root, XDG_CACHE_HOME=str(root.parent))  # no hash of a whole model each time
    wrong = [check for check in json.loads(doctor.out)["checks"] if check["ok"] is False and check["name"] != "disk"]
    assert wrong == [] and doctor.code in (0, 1)
    project = Project(root)
    for folder in project.datasets.glob("v*"):
        assert all(sha256_file(folder / s.file) == s.sha256 for s in read_manifest(folder).splits.values())
    for path in root.rglob("*"):
        if path.suffix in READ and not any(part.startswith(".") for part in path.relative_to(root).parts):
            READ[path.suffix](path.read_text())


def assert_ended(root: Path) -> None:
    """Check that the kill left at most hidden files, or a run that never began."""
    last = {
        "datasets": "manifest.json",
        "evaluations": "report.json",
        "releases": "release.json",
        "watch": "import.json",
    }
    made = [path for room in last for path in root.glob(f"{room}/[!.]*") if path.is_dir()]
    assert all((path / last[path.parent.name]).is_file() for path in made), made


def standing(root: Path) -> dict[str, Any]:
    """Return the result of the work without times and tokens: rows, decisions, versions, reports, releases."""
    project = Project(root)
    found: dict[str, Any] = {}
    if project.database_file.is_file():
        with closing(sqlite3.connect(project.database_file)) as database:
            if database.execute("SELECT 1 FROM sqlite_master WHERE name = 'decisions'").fetchone():
                found["rows"] = sorted(database.execute("SELECT role, state, payload FROM rows").fetchall())
                asked = "SELECT row_id, reviewer_id, verdict FROM decisions"
                found["decisions"] = sorted(database.execute(asked).fetchall())
                found["freezes"] = set(database.execute("SELECT ref FROM events WHERE kind = 'freeze'"))
    found["versions"] = {
        folder.name: {name: split.sha256 for name, split in read_manifest(folder).splits.items()}
        for folder in sorted(project.datasets.glob("v*"))
    }
    # Sets: a command that was killed when all was done leaves a whole report or release, and the next makes another.
    reports = [json.loads(path.read_bytes()) for path in project.evaluations.glob("*/report.json")]
    found["reports"] = {tuple((arm["arm"], arm["score"]) for arm in report["arms"]) for report in reports}
    found["releases"] = {
        tuple(sorted(str(p.relative_to(path.parent)) for p in path.parent.rglob("*") if p.is_file()))
        for path in project.releases.glob("*/release.json")
    }
    return found
