"""A project at each of its stages, and the command that leads on from it: for tests that make the world go wrong."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clinic import ANSWERS, SETTINGS, made_up
from hosted_replies import completion
from scripted import unlike
from warm import warm

HOSTED = {"RUNG_MODEL__PROVIDER": "openai", "RUNG_MODEL__BASE": "m"}


@dataclass(frozen=True)
class Work:
    """A command to kill: from which stage of the project it starts."""

    stage: str
    words: tuple[str, ...]


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
    made = [{"prompt": f"{row.question}?", "completion": row.answer} for row in made_up(count, seed)]
    return "".join(json.dumps(row) + "\n" for row in [*made, *made[: count // 10]])


def answer(_handler: Any, request: Any) -> tuple[int, Any]:
    """A server whose answer to a prompt is always the same, and different from its other answers."""
    return 200, completion(unlike(json.dumps(request[3]["messages"])))


def refuse(_handler: Any, request: Any) -> tuple[int, Any]:
    """A server that repeats the key that it refuses, as some do."""
    return 401, {"error": {"message": f"Incorrect API key provided: {request[2]['authorization'].split()[-1]}."}}


@pytest.fixture(scope="session")
def stages(forked: str, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
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
            for words in steps[name]:  # type: ignore[attr-defined]
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
