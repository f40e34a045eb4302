"""Request logs as gateways write them, and a small project whose released prompt they were asked of."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from workspace.folder import Project
from workspace.settings import Settings, load_settings

Write = Callable[..., Path]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rung.toml").write_text("")
    return Project(folder)


@pytest.fixture
def settings(project: Project) -> Settings:
    return load_settings(project.settings_file, {})


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """`write(lines, name)`: a log file; an entry that is text or bytes is written as it is."""

    def made(lines: Sequence[Any], name: str = "log.jsonl", end: str = "\n") -> Path:
        path = tmp_path / name
        raw = [
            x if isinstance(x, bytes) else x.encode() if isinstance(x, str) else json.dumps(x).encode() for x in lines
        ]
        path.write_bytes(b"\n".join(raw) + end.encode())
        return path

    return made
