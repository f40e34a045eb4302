"""Whatever words a command is given, it ends with a message and one of its exit codes, never with a fault."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from in_process import rung
from known_commands import leaves

LEFT_OUT = {"demo", "mcp", "serve", "watch", "train", "baseline", "evaluate", "judge", "generate", "score"}
"""Commands that load a model, serve, or wait for ever; their arguments have tests of their own."""
VALUES = ["", "-1", "0", "1", "1e400", "nan", "0x10", "a,b", "../x", "no-such", "\x00", "\udcff", "é", "a" * 300,
          "rung.toml", ".", "/dev/null", "rows.jsonl", "r-000001", "v001", "{",
          "unknown", "2026-13-45", "=1"]  # fmt: skip


TREE = [(path, flags) for path, flags in leaves() if not LEFT_OUT & set(path)]


@st.composite
def orders(draw: Any) -> list[str]:
    path, flags = draw(st.sampled_from(TREE))
    words = st.sampled_from(VALUES) | st.sampled_from(flags or ["--x"]) | st.text(max_size=4)
    return [*path, *draw(st.lists(words, max_size=4))]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "rung.toml").write_text("")
    (tmp_path / "p" / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
    monkeypatch.setattr(sys, "stdin", None)
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "p"


@pytest.mark.parametrize("examples", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_any_words_end_well(examples: int, project: Path) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=examples < 99)
    @given(orders())
    def run(words: list[str]) -> None:
        sys.stdin = io.TextIOWrapper(io.BytesIO())
        assert rung(*words, cwd=project).returncode in (0, 1, 2), words

    run()
