"""SIGKILL at seeded moments of training, evaluating and releasing: nothing is half, the same command ends the work.

As tests/faults/test_killed.py, for the commands that load a model. test_run.py kills a run at one moment.
"""

import shutil
from pathlib import Path

import pytest
from killing import KILLED, assert_ended, assert_sound, moments, standing
from lives import losses
from released import judged
from warm import Done, warm

from training.runs import find_run, read_run
from workspace.files import sha256_file
from workspace.folder import Project

RUN = "runs/R-001"
pytestmark = pytest.mark.slow


def train(root, kill_at=0) -> Done:
    """Run `rung train`, killed at this point."""
    return warm(str(root / RUN), at=root, program="training.run", kill_at=kill_at)


@pytest.fixture
def trained(own: Project, cleared, tmp_path) -> tuple[Path, Done]:
    """A copy of the project with its run finished."""
    root = Path(shutil.copytree(own.root, tmp_path / "trained" / "clinic"))
    done = train(root)
    assert done.code == 0, done.err
    return root, done


MOMENTS = 9


def test_a_killed_run_goes_on(own: Project, trained: tuple[Path, Done], tmp_path):
    whole, done = trained
    for moment in moments(done.events, MOMENTS, "train"):
        root = Path(shutil.copytree(own.root, tmp_path / f"at{moment}" / "clinic"))
        assert train(root, moment).code == KILLED
        assert_sound(root)
        assert standing(root) == standing(own.root)
        again = train(root)
        run, wanted = read_run(root / RUN), read_run(whole / RUN)
        assert again.code == 0 or run.state == "finished", (moment, again.err)
        assert (run.state, run.step, run.files) == (wanted.state, wanted.step, wanted.files), moment
        assert losses(root / RUN) == losses(whole / RUN)
        assert {name: sha256_file(root / "runs" / run.adapter / name) for name in run.files} == run.files
        assert_ended(root)


@pytest.mark.parametrize("words", [("evaluate", "R-001"), ("release", "R-001", "--to", "adapter")], ids=lambda w: w[0])
def test_a_killed_command_goes_on(words, trained: tuple[Path, Done], tmp_path):
    before, _ = trained
    if words[0] == "release":
        judged(Project(before), right=30)
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
