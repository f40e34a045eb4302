"""No network call that nobody asked for: the main commands reach for no address, and work with the network cut."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from killing import Warm
from works import answer

SCORES = "".join(json.dumps({"id": n, "baseline": n % 2, "tuned": 1}) + "\n" for n in range(40))
COMMANDS = (
    ("status",), ("doctor", "--json"), ("questions", "--json"), ("advise",), ("rules", "list"), ("locate",),
    ("estimate", "--model", "SmolLM2-135M-Instruct"),
    ("data", "convert", "../test.jsonl", "-o", "alpaca.jsonl", "--to", "alpaca"),
    ("data", "import", "../pool.jsonl", "--rejects", "odd.jsonl"), ("data", "check"),
    ("data", "dedup", "../test.jsonl", "-o", "kept.jsonl"),
    ("data", "leakage", "--train", "kept.jsonl", "--test", "../test.jsonl"),
    ("review", "next", "--reviewer", "mo"), ("review", "status"), ("review", "invite", "dana"), ("data", "freeze"),
    ("release", "--to", "prompt", "--by", "sam", "--reason", "best"), ("verdict", "--scores", "scores.jsonl"),
    ("why", "r-000001"), ("backup", "../b.tar"), ("restore", "../b.tar", "../q"),
)  # fmt: skip


def test_the_main_commands_work_with_the_network_cut(warm: Warm, stages: Any, loopback: Any, tmp_path: Path) -> None:
    before = stages("measured", loopback.say(answer).url + "/v1")
    root = Path(shutil.copytree(before, tmp_path / "p"))
    for name in ("pool.jsonl", "test.jsonl"):
        shutil.copy(before.parent / name, tmp_path)
    (root / "scores.jsonl").write_text(SCORES)
    loopback.requests.clear()
    for words in COMMANDS:
        done = warm(*words, at=root, offline=True, XDG_CACHE_HOME=str(tmp_path))
        assert done.code in (0, 1) and "Traceback" not in done.err, (words, done.err)
        assert "reached:" not in done.err, (words, done.err)
    assert loopback.requests == []


def test_the_guard_sees_what_is_reached_for(warm: Warm, stages: Any, loopback: Any, tmp_path: Path) -> None:
    """The same watch on a command that was told to ask a server."""
    url = loopback.say(answer).url + "/v1"
    root = Path(shutil.copytree(stages("reviewed", url), tmp_path / "p"))
    words = ("data", "generate", "--count", "1", "--yes", "--provider", "openai", "--model", "m", "--base-url", url)
    assert "reached:" in warm(*words, at=root).err
