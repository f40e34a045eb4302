"""The command as a user runs it: a process of its own, in a folder of its own, seen through its streams and files."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import in_shell
import pytest
from rows_in_files import lines as write_lines


class Ran(NamedTuple):
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


@pytest.fixture
def rung(tmp_path: Path) -> Callable[..., Ran]:
    """Run `rung ...` in `tmp_path`; never with a traceback."""

    def run(*arguments: str, given: str = "", **environment: str) -> Ran:
        shown = {"PYTHONIOENCODING": "utf-8", **environment}
        done = in_shell.rung(*arguments, cwd=tmp_path, stdin=given, **shown)
        assert "Traceback" not in done.stderr, done.stderr
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture
def lines(tmp_path: Path) -> Callable[..., Path]:
    """Write rows as JSON Lines into the folder of the test."""
    return lambda name, rows: write_lines(tmp_path / name, rows)
