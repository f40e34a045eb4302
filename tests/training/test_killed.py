"""SIGKILL at seeded moments of training, evaluating and releasing: nothing is half, the same command ends the work.

As tests/faults/test_killed.py, for the commands that load a model. test_run.py kills a run at one moment.
"""

import shutil
from pathlib import Path

import pytest
from counting import Words
from killing import KILLED, assert_ended, assert_sound, moments, standing
from lives import losses
from released import judged
from warm import Done, warm

from training.gates.clearance import grant
from training.plan.planning import make_plan
from training.plan.plans import keep_plan
from training.runs import find_run, read_run
from workspace.files import sha256_file
from workspace.folder import Project
from workspace.settings import load_settings

RUN = "runs/R-001"
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cleared_once(built, tiny, tmp_path_factory):
    """A project whose run R-001 was cleared and not started."""
    root = tmp_path_factory.mktemp("cleared") / "clinic"
    shutil.copytree(built, root)
    toml = root / "rung.toml"
    text = toml.read_text().replace("[training]", "[training]\nmax_length = 128")
    toml.write_text(text + f'[model]\nbase = "{tiny}"\n')
    settings = load_settings(toml)
    plan, _ = keep_plan(Project(root), make_plan(Project(root), settings, Words()))
    grant(Project(root), settings, plan, by="sam")
    return root


@pytest.fixture(scope="module")
def trained_once(cleared_once, tmp_path_factory) -> tuple[Path, Done]:
    """The project with its run finished."""
    root = tmp_path_factory.mktemp("trained") / "clinic"
    shutil.copytree(cleared_once, root)
    done = train(root)
    assert done.code == 0, done.err
    return root, done


@pytest.fixture(scope="module")
def judged_once(trained_once: tuple[Path, Done], tmp_path_factory):
    """The project with a verdict that ships: measured with a scripted model that is always right."""
    root = tmp_path_factory.mktemp("judged") / "clinic"
    shutil.copytree(trained_once[0], root)
    judged(Project(root), load_settings(root / "rung.toml"), right=30)
    return root


def train(root, kill_at=0) -> Done:
    """Run `rung train`, killed at this point."""
    return warm(str(root / RUN), at=root, program="training.run", kill_at=kill_at)


MOMENTS = 9


def test_a_killed_run_goes_on(cleared_once, trained_once: tuple[Path, Done], tmp_path):
    whole, done = trained_once
    for moment in moments(done.events, MOMENTS, "train"):
        root = Path(shutil.copytree(cleared_once, tmp_path / f"at{moment}" / "clinic"))
        assert train(root, moment).code == KILLED
        assert_sound(root)
        assert standing(root) == standing(cleared_once)
        again = train(root)
        run, wanted = read_run(root / RUN), read_run(whole / RUN)
        assert again.code == 0 or run.state == "finished", (moment, again.err)
        assert (run.state, run.step, run.files) == (wanted.state, wanted.step, wanted.files), moment
        assert losses(root / RUN) == losses(whole / RUN)
        assert {name: sha256_file(root / "runs" / run.adapter / name) for name in run.files} == run.files
        assert_ended(root)


@pytest.mark.parametrize("words", [("evaluate", "R-001"), ("release", "R-001", "--to", "adapter")], ids=lambda w: w[0])
def test_a_killed_command_goes_on(words, trained_once: tuple[Path, Done], judged_once, tmp_path):
    before = trained_once[0] if words[0] == "evaluate" else judged_once
    root = Path(shutil.copytree(before, tmp_path / "whole" / "clinic"))
    whole = warm(*words, at=root)
    wanted = standing(root)
    assert whole.code in (0, 1) and wanted != standing(before), whole.err
    for moment in moments(whole.events, MOMENTS, words[0]):
        root = Path(shutil.copytree(before, tmp_path / f"at{moment}" / "clinic"))
        assert warm(*words, at=root, kill_at=moment).code == KILLED
        assert_sound(root)
        assert find_run(Project(root)).files == read_run(before / RUN).files
        again = warm(*words, at=root)
        assert again.code == whole.code, (moment, again.err)
        assert standing(root) == wanted, moment
        assert_ended(root)
