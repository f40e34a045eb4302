"""From files to files: lines byte for byte, every line accounted for, the same outcome by workers and by Ray."""

from __future__ import annotations

import importlib.util
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from curation.example import Example, chat_row
from curation.likeness.duplicates import dedup
from curation.likeness.files import DedupOrder, dedup_files


def random_lines(seed: int, size: int) -> list[bytes]:
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(60)]
    texts: list[str] = []
    lines = []
    for number in range(size):
        parts = (
            rng.choice(texts).split(" ") if texts and rng.random() < 0.5 else rng.choices(words, k=rng.choice([3, 30]))
        )
        if rng.random() < 0.5:
            parts[rng.randrange(len(parts))] = rng.choice(words)
        texts.append(" ".join(parts))
        row = chat_row(texts[-1], rng.choice(["yes", "no", "é"]), rng.choice(["", "Be brief."]), id=number)
        lines.append(json.dumps(row, ensure_ascii=rng.random() < 0.5).encode() + rng.choice([b"", b"", b"\r", b" "]))
    return lines


def jsonl(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def order(folder: Path, *sources: Path, **other: Any) -> DedupOrder:
    names = {name: folder / f"{name}.jsonl" for name in ("out", "removed", "pairs")}
    return DedupOrder(tuple(sources), **names, **other)


def run(folder: Path, *sources: Path, **other: Any) -> tuple[dict[str, Any], bytes, bytes, bytes]:
    folder.mkdir(exist_ok=True)
    report = dedup_files(order(folder, *sources, **other))
    report.pop("seconds")
    return report, *((folder / f"{name}.jsonl").read_bytes() for name in ("out", "removed", "pairs"))  # type: ignore[return-value]


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files with a BOM, blank lines, CRLF and no line feed at the end."""
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    lines = random_lines(1, 400)
    one.write_bytes(b"\xef\xbb\xbf" + b"\n".join([*lines[:100], b"", b"  ", *lines[100:200]]))
    two.write_bytes(b"\n".join(lines[200:]) + b"\n")
    return one, two


def test_every_line_is_kept_or_removed(two_files: tuple[Path, Path], tmp_path: Path) -> None:
    report, out, removed, pairs = run(tmp_path / "o", *two_files)
    lines = {str(path): path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n") for path in two_files}
    gone = {(row["file"], row["line"]) for row in map(json.loads, removed.splitlines())}
    kept = [
        line
        for file, all_lines in lines.items()
        for number, line in enumerate(all_lines, 1)
        if line.strip() and (file, number) not in gone
    ]
    assert out == b"\n".join(kept) + b"\n"
    assert report["read"] == 400 == report["kept"] + report["exact"] + report["near"] == len(kept) + len(gone)
    for row in map(json.loads, removed.splitlines()):
        assert (row["kept_file"], row["kept_line"]) not in gone and row["answer"] == "same"
        assert row["similarity"] >= 0.8 or row["via"]["line"]
    assert (
        report
        == dedup([Example(json.loads(line)) for every in lines.values() for line in every if line.strip()]).report()
    )
    found = [row["kind"] for row in map(json.loads, pairs.splitlines())]
    assert len(found) == report["contradictions"] + report["minimal_pairs"] + report["short_near"] > 0


def test_workers_give_the_same_bytes(
    two_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("curation.likeness.files.SIZE", 5000)
    alone = run(tmp_path / "a", *two_files)
    assert run(tmp_path / "b", *two_files, workers=2) == alone


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_ray_on_two_nodes_gives_the_same_bytes(two_files: tuple[Path, Path], tmp_path: Path) -> None:
    """A cluster of two nodes on this machine; rows are read and hashed by both."""
    script = tmp_path / "ray_run.py"
    script.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "import time\n"
        "import ray\n"
        "from ray._private import services\n"
        "from ray.cluster_utils import Cluster\n"
        "import curation.likeness.files\n"
        "from curation.likeness.files import DedupOrder, dedup_files\n"
        "from workspace.errors import RungError\n"
        "curation.likeness.files.SIZE = 5000\n"
        "once = services.get_node\n"
        "def patient(*asked):  # Ray gives a node 30 s to start, whatever its settings: a busy machine takes longer\n"
        "    for _ in range(200):\n"
        "        try:\n"
        "            return once(*asked)\n"
        "        except RuntimeError:\n"
        "            time.sleep(1)\n"
        "    return once(*asked)\n"
        "services.get_node = patient\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1, 'wait': False})\n"
        "cluster.add_node(num_cpus=1, wait=False)\n"
        "cluster.wait_for_nodes(timeout=300)  # `wait` gives them 30 s\n"
        "ray.init(address=cluster.address, log_to_driver=False)\n"
        "assert len([n for n in ray.nodes() if n['Alive']]) == 2\n"
        "out, *sources = map(Path, sys.argv[1:])\n"
        "order = DedupOrder(tuple(sources), out / 'out.jsonl', removed=out / 'removed.jsonl',\n"
        "              pairs=out / 'pairs.jsonl',\n"
        "              engine='ray')\n"
        "report = dedup_files(order)\n"
        "gone = out / 'gone.jsonl'\n"
        "gone.write_bytes(sources[0].read_bytes())\n"
        "chunks = list(curation.likeness.files.chunks_of(0, gone))\n"
        "gone.unlink()\n"
        "try:\n"
        "    list(curation.likeness.files._on_ray(chunks))\n"
        "except RungError as error:  # a node that does not see the file\n"
        "    report['where'] = error.where\n"
        "print(json.dumps(report), flush=True)\n"
        "ray.shutdown()\n"
        "cluster.shutdown()\n"
    )
    alone = run(tmp_path / "a", *two_files)
    out = tmp_path / "b"
    out.mkdir()
    command = [sys.executable, str(script), str(out), *map(str, two_files)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2], env=environment()
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.strip().splitlines()[-1])
    report.pop("seconds")
    assert report.pop("where") == str(out / "gone.jsonl")
    assert (report, *((out / f"{name}.jsonl").read_bytes() for name in ("out", "removed", "pairs"))) == alone


def environment() -> dict[str, str]:
    import os

    patience = {"RAY_NUM_REDIS_GET_RETRIES": "200"}  # seconds, about, for the head to answer: Ray waits 20
    return {**os.environ, **patience, "PYTHONPATH": str(Path(__file__).parents[2]), "RAY_DEDUP_LOGS": "0"}
