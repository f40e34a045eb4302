"""SIGKILL at seeded moments of each command: the project opens, nothing is half, the same command ends the work.

A moment is an event that the command itself brings about (a file opened to write, made, renamed, removed; a
statement given to SQLite), so that a busy machine changes nothing. Training, evaluating and releasing weights:
tests/training/test_killed.py.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from killing import KILLED, assert_ended, assert_sound, moments, standing
from warm import warm
from works import HOSTED, WORKS, answer


def kill(name: str, count: int, stages: Any, url: str, room: Path) -> None:
    work = WORKS[name]
    env = {**HOSTED, "RUNG_MODEL__BASE_URL": url}
    before = stages(work.stage, url)
    shutil.copytree(before, room / "whole")
    for file in before.parent.glob("*.*"):
        shutil.copy(file, room)
    whole = warm(*work.words, at=room / "whole", **env)
    assert whole.code == work.again, whole.err
    wanted = standing(room / "whole")
    for moment in moments(whole.events, count, name):
        root = room / f"at{moment}"
        shutil.copytree(before, root)
        killed = warm(*work.words, at=root, kill_at=moment, **env)
        assert killed.code in (KILLED, work.again), killed.err
        assert_sound(root)
        kept(standing(before), standing(root))
        again = warm(*work.words, at=root, **env)
        assert again.code == work.again, (moment, again.err)
        assert standing(root) == wanted, moment
        assert_ended(root)
        shutil.rmtree(root)


def kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    """No decision, row or version that stood before the kill is lost by it."""
    assert set(before.get("decisions", ())) <= set(after.get("decisions", ()))
    assert {row[2] for row in before.get("rows", ())} <= {row[2] for row in after.get("rows", ())}
    assert before["versions"].items() <= after["versions"].items()


FEW = {"import": 3, "dedup": 2, "generate": 2, "review": 2, "freeze": 3, "evaluate": 1, "release": 1}


@pytest.mark.parametrize("name", FEW)
def test_killed_it_goes_on(name: str, stages: Any, loopback: Any, tmp_path: Path) -> None:
    kill(name, FEW[name], stages, loopback.say(answer).url + "/v1", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_killed_at_25_moments_it_goes_on(name: str, stages: Any, loopback: Any, tmp_path: Path) -> None:
    kill(name, 25, stages, loopback.say(answer).url + "/v1", tmp_path)
