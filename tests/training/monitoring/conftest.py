"""Request logs as gateways write them, and a small project whose released prompt they were asked of."""

import itertools
import json
import shutil

import pytest
from clinic_phrases import line_of, phrases
from once import once
from scripted import Scripted

from curation.example import Example, chat_row
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from evaluation.arms.registry import arms_named
from evaluation.baseline import run_baseline
from evaluation.bench import open_bench
from training.release.released_prompt import load_prompt
from training.release.releasing import release_untuned
from workspace.folder import Project
from workspace.settings import load_settings


@pytest.fixture
def project(tmp_path) -> Project:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "rung.toml").write_text("")
    return Project(folder)


@pytest.fixture
def write(tmp_path):
    """`write(lines, name)`: a log file; an entry that is text or bytes is written as it is."""

    def made(lines, name="log.jsonl", end="\n"):
        path = tmp_path / name
        raw = [
            x if isinstance(x, bytes) else x.encode() if isinstance(x, str) else json.dumps(x).encode() for x in lines
        ]
        path.write_bytes(b"\n".join(raw) + end.encode())
        return path

    return made


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Rows approved by dana, frozen as v001, arms measured with a scripted model, the best prompt released as L-001."""
    return once(tmp_path_factory, "house", lambda folder: make_house(folder / "project")) / "project"


def make_house(root):
    (root / "prompts").mkdir(parents=True)
    (root / "rung.toml").write_text(
        '[project]\nperson = "sam"\n[review]\npool = "all"\n[evaluation]\narms = ["prompt"]\n'
    )
    (root / "answers.toml").write_text('task = "extraction"\nprompting = "partial"\n')
    (root / "prompts" / "prompt.md").write_text("Turn the phrase into the house line.\n")
    project = Project(root)
    settings = load_settings(project.settings_file, {})
    desk = open_desk(project, settings)
    texts = phrases(150, 5)
    for role, part in (("test", texts[:30]), ("validation", texts[30:34]), ("train", texts[34:])):
        desk.store.add([Example(chat_row(text, line_of(text))) for text in part], role=role)
    decide_all(desk, "dana", [(row.id, Ruling("approve")) for row in desk.store.rows()], kind="person")
    desk.store.close()
    freeze(project, settings, actor="sam")
    run_baseline(
        open_bench(project, settings, Scripted(lambda ask: line_of(str(ask.turns[-1]["content"])))),
        arms_named(["prompt"]),
    )
    release_untuned(project, settings)


@pytest.fixture
def house(made, tmp_path) -> Project:
    """A copy of that project."""
    shutil.copytree(made, tmp_path / "house")
    return Project(tmp_path / "house")


@pytest.fixture
def ask(house: Project):
    """`ask(question, answer)`: the log line of a gateway that the released prompt was sent through."""
    prompt, numbers = load_prompt(house.releases / "L-001" / "prompt"), itertools.count()

    def asked(question, answer):
        number = next(numbers)
        choice = {"message": {"content": answer}, "finish_reason": "stop"}
        response = {"id": f"c-{number}", "choices": [choice]}
        request = prompt.request(question, "house")
        return {"id": response["id"], "request": request, "response": response, "created_at": 1_764_000_001 + number}

    return asked
