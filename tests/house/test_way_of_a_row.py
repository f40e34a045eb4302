"""How many modules a row passes through: those of which a function runs between a command and its end."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from freezing import rows
from in_process import rung

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
