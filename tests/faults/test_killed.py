"""SIGKILL at seeded moments of each command: the project opens, nothing is half, the same command ends the work.

A moment is an event that the command itself brings about (a file opened to write, made, renamed, removed; a
statement given to SQLite), so that a busy machine changes nothing. Training, evaluating and releasing weights:
tests/training/test_killed.py.
"""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clinic import ANSWERS, SETTINGS
from killing import KILLED, Warm, assert_ended, assert_sound, standing, warmed

MODULES = ("rung.cli", "rung.doctor", "rung.status", "curation.store", "curation.freeze", "curation.review", "openai",
           "sqlalchemy", "alembic.command", "evaluation.baseline", "curation.generate", "training.release.make",
           "curation.dedup_files", "rung.report.evaluation", "sklearn.linear_model", "scipy.stats")  # fmt: skip
HOSTED = {"RUNG_MODEL__PROVIDER": "openai", "RUNG_MODEL__BASE": "m"}


@dataclass(frozen=True)
class Work:
    """A command to kill: from which stage of the project it starts."""

    stage: str
    words: tuple[str, ...]
    again: int = 0
    """Exit code of the same command where it was not killed, and where it ends the work."""


WORKS = {
    "import": Work("new", ("data", "import", "../pool.jsonl", "--as", "pool", "--rejects", "rejects.jsonl")),
    "dedup": Work("new", ("data", "dedup", "../pool.jsonl", "../test.jsonl", "-o", "kept.jsonl",
                          "--removed", "gone.jsonl", "--pairs", "pairs.jsonl", "--rejects", "odd.jsonl")),
    "generate": Work("reviewed", ("data", "generate", "--count", "6", "--yes")),
    "review": Work("imported", ("review", "import", "../sheet.csv", "--reviewer", "dana")),
    "freeze": Work("reviewed", ("data", "freeze")),
    "evaluate": Work("frozen", ("baseline", "--arms", "base,prompt")),
    "release": Work("measured", ("release", "--to", "prompt", "--by", "sam", "--reason", "the best prompt")),
}  # fmt: skip


def rows(count: int, seed: int) -> str:
    """JSONL in which no row is near another but a few that are there twice."""
    chance = random.Random(seed)
    words = [a + b + c for a in "bdfgklm" for b in "aeiou" for c in ("n", "r", "st")]
    made = [
        {"prompt": " ".join(chance.choices(words, k=9)) + "?", "completion": f"E1{n % 4} eye both"}
        for n in range(count)
    ]
    return "".join(json.dumps(row) + "\n" for row in [*made, *made[: count // 10]])


def answer(_handler: Any, request: Any) -> tuple[int, Any]:
    """A server whose answer to a prompt is always the same, and different from its other answers."""
    chance = random.Random(json.dumps(request[3]["messages"]))
    text = " ".join("".join(chance.choices("bdfgklmnrst", k=6)) for _ in range(8))
    message = {"role": "assistant", "content": text}
    return 200, {
        "id": "c", "object": "chat.completion", "created": 1, "model": "m",
        "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 8, "total_tokens": 17},
    }  # fmt: skip


@pytest.fixture(scope="module")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with warmed(tmp_path_factory.mktemp("warm"), *MODULES) as ready:
        yield ready


@pytest.fixture(scope="module")
def stages(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """`stages(name, url)`: the folder of a project at that stage, made once by the commands themselves."""
    room = tmp_path_factory.mktemp("stages")
    (room / "pool.jsonl").write_text(rows(40, 1) + '{"prompt": "half a r\n')
    (room / "test.jsonl").write_text(rows(20, 2))
    steps = {
        "new": [("init", ".")],
        "imported": [("data", "import", "../test.jsonl", "--as", "test"), WORKS["import"].words,
                     ("review", "export", "-o", "../sheet.csv")],
        "reviewed": [WORKS["review"].words],
        "frozen": [("data", "freeze")],
        "measured": [WORKS["evaluate"].words],
    }  # fmt: skip

    def make(name: str, url: str) -> Path:
        if not (room / name).exists():
            before = list(steps)[: list(steps).index(name)]
            if before:
                shutil.copytree(make(before[-1], url), room / name)
            else:
                (room / name).mkdir()
            for words in steps[name]:
                done = warm(*words, at=room / name, **HOSTED, RUNG_MODEL__BASE_URL=url)
                assert done.code == 0, done.err
            if name == "new":
                toml = room / name / "rung.toml"
                toml.write_text('[project]\nperson = "sam"\n' + SETTINGS)
                (room / name / "answers.toml").write_text(ANSWERS)
                (room / name / "prompts" / "prompt.md").write_text("Write the house line.")
            if name == "imported":
                sheet = (room / "sheet.csv").read_text()
                (room / "sheet.csv").write_text(sheet.replace(",,,,", ",approve,,,"))
        return room / name

    return make


def moments(events: int, count: int, seed: str) -> list[int]:
    """Seeded moments, spread over the whole command."""
    chance = random.Random(seed)
    return [1 + int((number + chance.random()) * events / count) for number in range(count)]


def kill(name: str, count: int, warm: Warm, stages: Any, url: str, room: Path) -> None:
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
        assert_sound(warm, root)
        kept(standing(before), standing(root))
        again = warm(*work.words, at=root, **env)
        assert again.code == work.again, (moment, again.err)
        assert standing(root) == wanted, moment
        assert_ended(warm, root)
        shutil.rmtree(root)


def kept(before: dict[str, Any], after: dict[str, Any]) -> None:
    """No decision, row or version that stood before the kill is lost by it."""
    assert set(before.get("decisions", ())) <= set(after.get("decisions", ()))
    assert {row[2] for row in before.get("rows", ())} <= {row[2] for row in after.get("rows", ())}
    assert before["versions"].items() <= after["versions"].items()


def kill_backup(count: int, warm: Warm, project: Path) -> None:
    """A half backup is named by doctor, and gone with the next one; a half restore with the next one too."""
    backup, restore = ("backup", "../kept.tar"), ("restore", "kept.tar", "back")
    room = project.parent
    whole = warm(*backup, at=project, under=room)
    for moment in moments(whole.events, count, "backup"):
        (room / "kept.tar").unlink()
        assert warm(*backup, at=project, under=room, kill_at=moment).code == KILLED
        half = list(room.glob(".*.backup"))
        doctor = warm("doctor", at=project, XDG_CACHE_HOME=str(room))
        assert doctor.code == 0 and all(path.name in doctor.out for path in half)
        (room / "kept.tar").unlink(missing_ok=True)
        assert warm(*backup, at=project).code == 0 and not list(room.glob(".*.backup"))
    for moment in moments(warm(*restore, at=room).events, count, "restore"):
        shutil.rmtree(room / "back")
        assert warm(*restore, at=room, kill_at=moment).code == KILLED
        assert (room / "back" / "rung.toml").exists() or not (room / "back").exists()
        shutil.rmtree(room / "back", ignore_errors=True)
        assert warm(*restore, at=room).code == 0 and not list(room.glob(".*.restore"))
    assert standing(room / "back") == standing(project)


FEW = {"import": 4, "dedup": 2, "generate": 3, "review": 3, "freeze": 3, "evaluate": 1, "release": 1}


@pytest.mark.parametrize("name", FEW)
def test_killed_it_goes_on(name: str, warm: Warm, stages: Any, loopback: Any, tmp_path: Path) -> None:
    kill(name, FEW[name], warm, stages, loopback.say(answer).url + "/v1", tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", FEW)
def test_killed_at_25_moments_it_goes_on(name: str, warm: Warm, stages: Any, loopback: Any, tmp_path: Path) -> None:
    kill(name, 25, warm, stages, loopback.say(answer).url + "/v1", tmp_path)


@pytest.mark.parametrize("count", [1, pytest.param(13, marks=pytest.mark.slow)])
def test_a_killed_backup_leaves_nothing_for_long(
    count: int, warm: Warm, stages: Any, loopback: Any, tmp_path: Path
) -> None:
    before = stages("frozen", loopback.say(answer).url + "/v1")
    kill_backup(count, warm, Path(shutil.copytree(before, tmp_path / "p")))
