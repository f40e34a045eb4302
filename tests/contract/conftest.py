"""The command as a user runs it: a process of its own, in a folder of its own, seen through its streams and files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Ran:
    """Result of a command: exit code and both streams."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output as the one JSON document it must be."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, Any]:
        """The error document, whose keys the contract names."""
        found = self.json["error"]
        assert {"message", "where", "expected", "found", "hint"} <= set(found)
        return dict(found)


Run = Callable[..., Ran]


@pytest.fixture
def rung(tmp_path: Path) -> Run:
    """Run `rung ...` in `tmp_path`; never with a traceback."""

    def run(*arguments: str, given: str | bytes = b"", **environment: str) -> Ran:
        done = subprocess.run(
            [sys.executable, "-m", "rung", *arguments],
            cwd=tmp_path,
            input=given.encode() if isinstance(given, str) else given,
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
            check=False,
        )
        ran = Ran(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert "Traceback" not in ran.err, ran.err
        return ran

    return run


def chat(question: str, answer: str, system: str = "", **other: Any) -> dict[str, Any]:
    """A canonical row."""
    turns = [{"role": "system", "content": system}] if system else []
    turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": turns, **other}


def write_lines(path: Path, rows: list[Any]) -> Path:
    """JSON Lines."""
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def row() -> Callable[..., dict[str, Any]]:
    """`chat`, for test modules (which cannot import a conftest under importlib)."""
    return chat


@pytest.fixture
def lines(tmp_path: Path) -> Callable[[str, list[Any]], Path]:
    """`write_lines` into the folder of the test."""
    return lambda name, rows: write_lines(tmp_path / name, rows)
