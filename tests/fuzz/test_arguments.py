"""Whatever words a command is given, it ends with a message and one of its exit codes, never with a fault."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from known_commands import leaves

from rung.cli import main

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
    monkeypatch.chdir(tmp_path / "p")
    monkeypatch.setenv("RUNG_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "p"


def ends_well(words: list[str]) -> None:
    out, err = io.StringIO(), io.StringIO()
    before = sys.argv, sys.stdin
    sys.argv, sys.stdin = ["rung", *words], io.TextIOWrapper(io.BytesIO(b""))
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            main()
    finally:
        sys.argv, sys.stdin = before
    assert left.value.code in (0, 1, 2, None), (words, err.getvalue()[-1500:])


@pytest.mark.parametrize("examples", [10, pytest.param(400, marks=pytest.mark.slow)])
def test_any_words_end_well(examples: int, project: Path) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), derandomize=examples < 99)
    @given(orders())
    def run(words: list[str]) -> None:
        os.chdir(project)
        ends_well(words)

    run()
