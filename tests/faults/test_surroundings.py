"""A full disk, folders that cannot be written or read, a folder that vanishes, files of another version."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from killing import assert_ended, assert_sound, standing
from warm import Done, warm
from works import HOSTED, WORKS, answer

ROOMS = (0, 16, 100)
"""KiB that a full disk has left."""
NAMES = [name if name == "freeze" else pytest.param(name, marks=pytest.mark.slow) for name in WORKS]


def plain(done: Done, *words: str) -> None:
    """A sentence for people, of a fault that is not the program's."""
    assert done.code in (1, 2), done
    assert "Traceback" not in done.err and any(word in done.err.lower() for word in words), done.err


@contextmanager
def filled(disk: Path, left: int) -> Iterator[None]:
    """A disk with `left` KiB free."""
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
    (disk / "filler").write_bytes(bytes(max(0, free - left * 1024)))
    try:
        yield
    finally:
        (disk / "filler").unlink()


@pytest.fixture
def begun(stages: Any, loopback: Any) -> Any:
    """`begun(name, room)`: a fresh project in `room` for the command of this name, and the command's environment."""
    url = loopback.say(answer).url + "/v1"

    def make(name: str, room: Path) -> tuple[Path, dict[str, str]]:
        before = stages(WORKS[name].stage, url)
        for file in before.parent.glob("*.*"):
            shutil.copy(file, room)
        root = Path(shutil.copytree(before, room / "p"))
        return root, {**HOSTED, "RUNG_MODEL__BASE_URL": url}

    return make


@pytest.mark.parametrize("name", NAMES)
def test_a_full_disk_at_each_write(name: str, begun: Any, small_disk: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    root, env = begun(name, tmp_path / "whole")
    before = standing(root)
    assert warm(*WORKS[name].words, at=root, **env).code == 0
    wanted = standing(root)
    root, env = begun(name, small_disk)
    refused = 0
    for left in ROOMS:
        with filled(small_disk, left):
            done = warm(*WORKS[name].words, at=root, **env)
        if done.code == 0:
            break
        plain(done, "disk is full", "no space")
        refused += 1
        assert not set(before.get("decisions", ())) - set(standing(root).get("decisions", ()))
    assert refused
    assert_sound(root)
    assert warm(*WORKS[name].words, at=root, **env).code == 0
    assert standing(root) == wanted
    assert_ended(root)


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_that_cannot_be_written(name: str, begun: Any, tmp_path: Path) -> None:
    root, env = begun(name, tmp_path)
    before = standing(root)
    closed = [root, *(path for path in root.rglob("*") if path.is_dir())]
    files = [path for path in root.rglob("*") if path.is_file()]
    for path in closed:
        path.chmod(0o555)
    for path in files:
        path.chmod(0o444)
    try:
        done = warm(*WORKS[name].words, at=root, ordinary=True, **env)
        assert warm("status", at=root, ordinary=True).code == 0
    finally:
        for path in closed:
            path.chmod(0o755)
        for path in files:
            path.chmod(0o644)
    plain(done, "permission", "read-only", "nothing can be written", "cannot be opened")
    assert standing(root) == before
    assert warm(*WORKS[name].words, at=root, **env).code == 0


@pytest.mark.parametrize("name", ["rung.toml", "rung.db", "answers.toml", "datasets"])
def test_a_file_that_cannot_be_read(name: str, stages: Any, loopback: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(stages("frozen", loopback.say(answer).url + "/v1"), tmp_path / "p"))
    (root / name).chmod(0)
    for words in (("status",), ("advise",), ("data", "freeze"), ("doctor",)):
        done = warm(*words, at=root, ordinary=True, XDG_CACHE_HOME=str(tmp_path))
        assert done.code in (0, 1, 2) and "Traceback" not in done.err, (words, done.err)


@pytest.mark.parametrize("gone", ["datasets", "prompts", "rung.db"])
def test_a_part_that_vanishes(gone: str, stages: Any, loopback: Any, tmp_path: Path) -> None:
    root = Path(shutil.copytree(stages("frozen", loopback.say(answer).url + "/v1"), tmp_path / "p"))
    shutil.rmtree(root / gone) if (root / gone).is_dir() else (root / gone).unlink()
    env = {**HOSTED, "RUNG_MODEL__BASE_URL": loopback.url + "/v1", "XDG_CACHE_HOME": str(tmp_path)}
    for words in (("status",), ("baseline", "--arms", "base"), ("data", "freeze"), ("doctor",)):
        done = warm(*words, at=root, **env)
        assert done.code in (0, 1, 2) and "Traceback" not in done.err, (words, done.err)


@pytest.mark.parametrize("words", [("status",), ("data", "freeze"), ("doctor",), ("init",)], ids=lambda words: words[0])
def test_a_folder_that_vanishes_under_the_feet(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    done = warm(*words, at=tmp_path / "p", vanish=True)
    plain(done, "folder")
    assert done.code == 2 and not (tmp_path / "p").exists()


@pytest.mark.parametrize("changed", [{"schema_version": 99}, {"schema_version": 99, "new_field": 1}])
@pytest.mark.parametrize("name", ["datasets/v001/manifest.json", "evaluations/E-001/report.json"])
def test_an_artefact_of_a_newer_version_is_named_as_one(
    changed: dict[str, int], name: str, stages: Any, loopback: Any, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(stages("measured", loopback.say(answer).url + "/v1"), tmp_path / "p"))
    path = root / name
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **changed}))
    for words in (("doctor",), ("release", "--to", "prompt")):
        done = warm(*words, at=root, XDG_CACHE_HOME=str(tmp_path))
        assert done.code in (1, 2) and "Traceback" not in done.err
        assert "newer Rung" in done.out + done.err, (words, done)


def test_outputs_that_changed_since_they_were_measured_are_to_be_measured_again(
    stages: Any, loopback: Any, tmp_path: Path
) -> None:
    root = Path(shutil.copytree(stages("measured", loopback.say(answer).url + "/v1"), tmp_path / "p"))
    before = json.loads(warm("status", "--json", at=root).out)["stages"][5]
    (root / "evaluations/E-001/outputs.jsonl").open("a").write("\n")
    after = json.loads(warm("status", "--json", at=root).out)
    assert before["state"] != "needs_you" or "E-001" not in before["reason"]
    assert (after["stages"][5]["state"], after["next"]) == ("needs_you", "baselines")
    assert "E-001" in after["stages"][5]["reason"]
