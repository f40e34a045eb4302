"""`rung evaluate RUN --outputs FILE`: answers that were made elsewhere, on the frozen items."""

import json
import shutil
from pathlib import Path

import in_shell
import pytest
from hosted_service import Service
from runs_by_hand import finish_run

from evaluation.looks import standing
from workspace.folder import Project
from workspace.settings import load_settings


@pytest.fixture(scope="module")
def measured_once(tmp_path_factory, open_server, kit):
    """A project with a baseline on a model that is right in a third, and a finished run."""
    project, loopback = kit.project_in(tmp_path_factory.mktemp("once") / "bank"), open_server
    loopback.say(Service(kit.right, tuple(kit.LABELS.values()), skill=0.3))
    kit.on_server(project, loopback.url, 'closed_set = "off"\nruns = 2')
    project.answers_file.write_text('task = "classification"\n')
    finish_run(project, "R-001")
    done = in_shell.rung("baseline", "--arms", "base,prompt", cwd=project.root)
    assert done.returncode == 0, done.stderr
    return project


@pytest.fixture
def measured(measured_once, tmp_path) -> Project:
    return Project(shutil.copytree(measured_once.root, tmp_path / "bank"))


def answers(project, **changed):
    """The right answer to each test item, but for those that are `changed` (by `itemN`)."""
    rows = [json.loads(line) for line in (project.datasets / "v001" / "test.jsonl").read_text().splitlines()]
    right = [row["messages"][-1]["content"] for row in rows]
    return [{"item": n, "output": changed.get(f"item{n}", text)} for n, text in enumerate(right, 1)]


def given(project, rows, *more):
    file = Path(project.root) / "answers.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return in_shell.rung("evaluate", "R-001", "--outputs", file.name, "--json", *more, cwd=project.root)


def test_they_are_scored_paired_and_counted_as_a_look(measured, open_server):
    before = len(open_server.requests)
    done = given(measured, answers(measured, item1="no idea", item2="no idea"))
    assert done.returncode == 0, done.stderr
    verdict = json.loads(done.stdout)
    assert (verdict["verdict"], verdict["n"], verdict["tuned"]) == ("ship", 36, pytest.approx(34 / 36))
    assert any("answers.jsonl" in note for note in verdict["notes"])
    assert len(open_server.requests) == before, "no model is asked"
    settings = load_settings(measured.settings_file, {})
    (scoring,) = standing(measured, settings, verdict["test_sha256"]).runs
    assert scoring.startswith("R-001 ") and "answers.jsonl" in scoring


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows[:-1], "36"),
        (lambda rows: [*rows, rows[0]], "item 1"),
        (lambda rows: [*rows, {"item": 99, "output": "card"}], "item 99"),
        (lambda rows: [*rows[1:], {"item": "1", "output": "card"}], "line 36"),
        (lambda rows: [*rows[1:], {"item": 1}], "line 36"),
        (lambda rows: [], "36 items"),
    ],
    ids=["one missing", "twice", "unknown", "a text", "no output", "empty"],
)
def test_a_file_that_does_not_answer_each_item_once_is_refused(measured, spoil, said):
    evaluations = sorted(measured.evaluations.iterdir())
    done = given(measured, spoil(answers(measured)))
    assert done.returncode == 2 and said in done.stdout, done.stdout
    assert sorted(measured.evaluations.iterdir()) == evaluations


def test_what_needs_a_model_does_not_go_with_it(measured):
    for option in ("--rag", "--forgetting", "--label-scoring"):
        assert given(measured, answers(measured), option).returncode == 2
    assert in_shell.rung("evaluate", "--outputs", "nothing.jsonl", cwd=measured.root).returncode == 2
