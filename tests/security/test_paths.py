"""Ids and names that look like paths stay names: nothing outside the project is read, written or made."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from warm import warm
from works import HOSTED, answer

ESCAPES = ("../../out", "..", "/etc/passwd", "a/../../out", "C:\\out", "..\\out", "~/out", "$HOME/out", "-o out")
COMMANDS = (
    ("why", "{}"), ("evaluate", "{}"), ("verdict", "{}"), ("release", "{}", "--to", "adapter"), ("train", "{}"),
    ("runs", "watch", "{}"), ("runs", "stop", "{}"), ("runs", "resume", "{}"), ("data", "fix", "{}"),
    ("data", "dismiss", "{}", "--by", "{}", "--reason", "r"), ("review", "next", "--reviewer", "{}"),
    ("review", "decide", "{}", "approve", "--token", "t", "--reviewer", "mo"), ("review", "invite", "{}"),
    ("baseline", "--arms", "{}"), ("data", "check", "--show", "{}"),
)  # fmt: skip


def outside(room: Path, project: Path) -> dict[str, bytes]:
    """Every file below `room` that is not of the project, with what it holds."""
    return {
        str(path): path.read_bytes()
        for path in sorted(room.rglob("*"))
        if path.is_file() and not path.is_relative_to(project)
    }


@pytest.fixture
def project(stages: Any, loopback: Any, tmp_path: Path) -> Path:
    """A measured project, two folders below a file that nobody asked for."""
    (tmp_path / "room").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "run.json").write_text('{"planted": "secret"}')
    return Path(shutil.copytree(stages("measured", loopback.say(answer).url + "/v1"), tmp_path / "room" / "p"))


@pytest.mark.parametrize("all_of_them", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["three", "all"])
@pytest.mark.parametrize("words", COMMANDS, ids=lambda words: "-".join(words[:2]).strip("-{}"))
def test_a_name_that_looks_like_a_path_is_a_name(
    words: tuple[str, ...], all_of_them: bool, project: Path, tmp_path: Path
) -> None:
    """The quick run gives every command three of the names, and every name to five commands."""
    before = outside(tmp_path, project)
    for name in ESCAPES if all_of_them else ESCAPES[COMMANDS.index(words) % 3 :: 3]:
        done = warm(*(word.format(name) for word in words), at=project, HOME=str(tmp_path), XDG_CACHE_HOME="/nowhere")
        assert done.code in (0, 1, 2) and "Traceback" not in done.err, (name, done)
        assert "planted" not in done.out + done.err and "root:x" not in done.out + done.err, (name, done)
        assert outside(tmp_path, project) == before, name


def test_rows_with_ids_sources_and_classes_like_paths(project: Path, loopback: Any, tmp_path: Path) -> None:
    rows = [
        {"id": name, "source": name, "label": name, "prompt": f"a question about {n} wheels, case {n * 7}",
         "completion": name, "meta": {"file": name}}
        for n, name in enumerate(ESCAPES * 3)
    ]  # fmt: skip
    (tmp_path / "room" / "odd.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = outside(tmp_path, project)
    env = {**HOSTED, "RUNG_MODEL__BASE_URL": loopback.url + "/v1", "HOME": str(tmp_path)}
    for words in (
        ("data", "import", "../odd.jsonl"), ("data", "check"), ("review", "export", "-o", "sheet.jsonl"),
        ("data", "freeze"), ("baseline", "--arms", "base"), ("release", "--to", "prompt", "--by", "../../out",
                                                             "--reason", "../../out"),
    ):  # fmt: skip
        done = warm(*words, at=project, **env)
        assert done.code in (0, 1) and "Traceback" not in done.err, (words, done)
        assert outside(tmp_path, project) == before, words
