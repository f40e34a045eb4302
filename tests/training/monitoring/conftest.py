"""Request logs as gateways write them, and a small project whose released prompt they were asked of."""

import itertools
import json
import shutil

import pytest
import rows_in_files
from clinic import line_of, phrases
from freezing import approved
from once import once
from scripted import Scripted

from curation.example import Example, chat_row
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

    def made(lines, name="log.jsonl"):
        return rows_in_files.write(
            tmp_path / name, *(x if isinstance(x, bytes | str) else json.dumps(x) for x in lines)
        )

    return made


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Rows approved by dana, frozen as v001, arms measured with a scripted model, the best prompt released as L-001."""

    def make(root):
        project = Project(root)
        project.prompts.mkdir()
        project.settings_file.write_text(
            '[project]\nperson = "sam"\n[review]\npool = "all"\n[evaluation]\narms = ["prompt"]\n'
        )
        project.answers_file.write_text('task = "extraction"\nprompting = "partial"\n')
        (project.prompts / "prompt.md").write_text("Turn the phrase into the house line.\n")
        settings = load_settings(project.settings_file, {})
        rows = [Example(chat_row(text, line_of(text))) for text in phrases(150, 5)]
        approved(project, settings, test=rows[:30], validation=rows[30:34], train=rows[34:])
        freeze(project, settings, actor="sam")
        model = Scripted(lambda ask: line_of(str(ask.turns[-1]["content"])))
        run_baseline(open_bench(project, settings, model), arms_named(["prompt"]))
        release_untuned(project, settings)

    return once(tmp_path_factory, "house", make)


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
