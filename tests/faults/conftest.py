"""A warm process, and projects made by the commands themselves."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from clinic import ANSWERS, SETTINGS
from killing import Warm, warmed
from works import HOSTED, MODULES, WORKS, rows


@pytest.fixture(scope="session")
def warm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Warm]:
    with warmed(tmp_path_factory.mktemp("warm"), *MODULES) as ready:
        yield ready


@pytest.fixture(scope="session")
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
