"""Commands that are killed at a chosen moment: what drives `warm.py`, and what must hold afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.split.manifest import read_manifest
from workspace.files import sha256_file
from workspace.folder import Project

KILLED = -signal.SIGKILL


@dataclass(frozen=True)
class Done:
    """How a command ended. `events` is -1 for one that was killed."""

    code: int
    events: int
    out: str
    err: str


class Warm:
    """`warm("status", at=root)` runs `rung status` there in a fork of a process that has everything imported."""

    def __init__(self, room: Path, modules: list[str]) -> None:
        self.room = room
        code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import warm; warm.serve(sys.argv[1:])"
        command = [sys.executable, "-P", "-X", "fork", "-c", code, *modules]
        env = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env)

    def __call__(
        self,
        *words: str,
        at: Path,
        kill_at: int = 0,
        under: Path | None = None,
        program: str = "rung",
        ordinary: bool = False,
        vanish: bool = False,
        offline: bool = False,
        **env: str,
    ) -> Done:
        """Run it there.

        `ordinary`: permissions count, also for root; `vanish`: its folder goes before it begins; `offline`: the
        network is cut. Every address that it reaches for stands in `err`, after `reached:`.
        """
        out, err = self.room / "out", self.room / "err"
        order = {"words": words, "cwd": str(at), "under": str(under or at), "kill_at": kill_at, "program": program}
        order |= {"ordinary": ordinary, "vanish": vanish, "offline": offline}
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({**order, "env": env, "out": str(out), "err": str(err)}) + "\n")
        self.process.stdin.flush()
        ended = json.loads(self.process.stdout.readline())
        return Done(ended["code"], ended["events"], out.read_text(), err.read_text())


@contextmanager
def warmed(room: Path, *modules: str) -> Iterator[Warm]:
    warm = Warm(room, list(modules))
    try:
        yield warm
    finally:
        assert warm.process.stdin
        warm.process.stdin.close()
        warm.process.wait(60)


def moments(events: int, count: int, seed: str) -> list[int]:
    """Seeded moments, spread over the whole command."""
    chance = random.Random(seed)
    return [1 + int((number + chance.random()) * events / count) for number in range(count)]


def assert_sound(warm: Warm, root: Path) -> None:
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
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts):
            assert_whole(path)


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


def assert_whole(path: Path) -> None:
    """JSON parses, TOML parses, and every line of JSONL but the last of an append-only log."""
    if path.suffix == ".json":
        json.loads(path.read_bytes())
    elif path.suffix == ".toml":
        tomllib.loads(path.read_text())
    elif path.suffix == ".jsonl":
        lines = path.read_bytes().split(b"\n")
        for line in lines[:-1]:
            json.loads(line)


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
    found["versions"] = {
        folder.name: {name: split.sha256 for name, split in read_manifest(folder).splits.items()}
        for folder in sorted(project.datasets.glob("v*"))
    }
    # Sets: a command that was killed when all was done leaves a whole report or release, and the next makes another.
    found["reports"] = {read_scores(path) for path in project.evaluations.glob("*/report.json")}
    found["releases"] = {
        tuple(sorted(str(p.relative_to(path.parent)) for p in path.parent.rglob("*") if p.is_file()))
        for path in project.releases.glob("*/release.json")
    }
    return found


def read_scores(path: Path) -> tuple[tuple[str, float], ...]:
    return tuple((arm["arm"], arm["score"]) for arm in json.loads(path.read_bytes())["arms"])
