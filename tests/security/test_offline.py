"""No network call that nobody asked for: the main commands reach for no address, and work with the network cut."""

import contextlib
import errno
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rows_in_files import lines
from warm import warm
from works import answer

OFFLINE = Path(__file__).resolve().parents[1] / "offline.py"
COMMANDS = (
    ("status",), ("doctor", "--json"), ("questions", "--json"), ("advise",), ("rules", "list"), ("locate",),
    ("estimate", "--model", "SmolLM2-135M-Instruct"),
    ("data", "convert", "../test.jsonl", "-o", "alpaca.jsonl", "--to", "alpaca"),
    ("data", "import", "../pool.jsonl", "--rejects", "odd.jsonl"), ("data", "check"),
    ("data", "dedup", "../test.jsonl", "-o", "kept.jsonl"),
    ("data", "leakage", "--train", "kept.jsonl", "--test", "../test.jsonl"),
    ("review", "next", "--reviewer", "mo"), ("review", "status"), ("review", "invite", "dana"), ("data", "freeze"),
    ("release", "--to", "prompt", "--by", "sam", "--reason", "best"), ("verdict", "--scores", "scores.jsonl"),
    ("why", "r-000001"),
)  # fmt: skip


def test_the_main_commands_work_with_the_network_cut(stages: Any, loopback: Any, tmp_path: Path) -> None:
    before = stages("measured", loopback.say(answer).url + "/v1")
    root = Path(shutil.copytree(before, tmp_path / "p"))
    for name in ("pool.jsonl", "test.jsonl"):
        shutil.copy(before.parent / name, tmp_path)
    lines(root / "scores.jsonl", [{"id": n, "baseline": n % 2, "tuned": 1} for n in range(40)])
    loopback.requests.clear()
    for words in COMMANDS:
        done = warm(*words, at=root, offline=True, XDG_CACHE_HOME=str(tmp_path))
        assert done.code in (0, 1) and "Traceback" not in done.err, (words, done.err)
        assert "reached:" not in done.err, (words, done.err)
    assert loopback.requests == []


def test_every_test_is_watched_and_a_cut_network_leads_nowhere(nothing_beyond_this_machine: list[str]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing: an address for documentation
    assert nothing_beyond_this_machine == ["192.0.2.1"]
    nothing_beyond_this_machine.clear()
    code = (
        "import socket\nserver = socket.create_server(('127.0.0.1', 0))\n"
        "socket.create_connection(server.getsockname())\n"
        "try: socket.create_connection(('192.0.2.1', 9), 5)\nexcept OSError as error: print(error.errno)"
    )
    command = [sys.executable, str(OFFLINE), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if done.stderr:
        pytest.skip("no right to a network of one's own")
    assert done.stdout.split() == [str(errno.ENETUNREACH)]
