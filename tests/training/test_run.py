"""Real runs in real child processes, on a tiny model: finished, killed, paused, stopped, failed, and gone on with."""

import contextlib
import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import in_shell
import pytest
from killing import KILLED, assert_ended, assert_sound, moments, standing
from lives import losses, wait_until
from released import judged
from warm import Done, warm

from training.runs import curve, find_run, is_alive, read_run
from workspace.files import sha256_file
from workspace.folder import Project

SLOWED = {"RUNG_TRAINING__EPOCHS": "30"}
"""Enough steps to meet the run while it is under way."""


def step(folder):
    return max((number for number, _ in losses(folder)), default=0)


@pytest.fixture(scope="module")
def unbroken(built, tiny, tmp_path_factory):
    """A finished run of 30 epochs, and what `rung train` said."""
    root = tmp_path_factory.mktemp("unbroken") / "clinic"
    shutil.copytree(built, root)
    done = in_shell.rung("train", cwd=root, RUNG_MODEL__BASE=str(tiny), **SLOWED)
    assert done.returncode == 0, done.stderr
    return root / "runs" / "R-001", done.stdout


def test_a_run_finishes_leaves_all_its_files_and_trains_the_answers_alone(unbroken):
    folder, said = unbroken
    run = read_run(folder)
    assert run.state == "finished" and run.step == run.steps == 120
    assert {"evaluate", "R-001"} < set(said.split())
    assert {"adapter_model.safetensors", "adapter_config.json", "tokenizer.json"} <= set(run.files)
    validations = [line for line in curve(folder) if line["kind"] == "validation"]
    assert run.best_loss == min(line["loss"] for line in validations)
    assert all(line["samples"] and line["error"] > 0 for line in validations)
    steps = [line for line in curve(folder) if line["kind"] == "step"]
    assert all(line.keys() >= {"loss", "rate", "grad_norm", "tokens_per_second"} for line in steps)
    assert steps[0].keys() >= {"memory_mib", "eta_seconds"}
    assert losses(folder)[-1][1] < losses(folder)[0][1] - 0.3
    loading = [(line["done"], line["of"]) for line in curve(folder) if line["kind"] == "loading"]
    assert loading == [(2, 2)], "every layer of the base was told"
    seen = json.loads((folder / "preflight.json").read_text())
    assert seen["rows"] == seen["eos_trained"] == 16 and len(seen["shown"]) == 5
    for row in seen["shown"]:
        trained = "".join(text for text, is_trained in row["pieces"] if is_trained)
        rest = "".join(text for text, is_trained in row["pieces"] if not is_trained)
        assert trained.startswith("E1") and trained.rstrip().endswith("eye both<|im_end|>")
        assert "House line." in rest and "eye both" not in rest


def test_killed_paused_stopped_and_resumed_it_ends_as_an_unbroken_run(rung, ready: Project, tiny, unbroken):
    """Begun in a terminal that goes away: the run goes on, and is found and watched, not begun again."""
    folder = ready.runs / "R-001"
    pid, terminal = begun_in_a_terminal(ready.root, tiny)
    wait_until(lambda: step(folder) >= 3)
    os.kill(pid, signal.SIGHUP)  # what the kernel sends to the foreground when a connection drops
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0
    trains = read_run(folder).pid
    assert rung("train", "--detach", **SLOWED).returncode == 0
    assert is_alive(folder) and read_run(folder).pid == trains != pid
    wait_until(lambda: step(folder) >= 8)
    os.kill(trains or 0, signal.SIGKILL)
    wait_until(lambda: not is_alive(folder))
    assert read_run(folder).state == "crashed"
    killed = step(folder)
    assert rung("runs", "resume", "--detach", **SLOWED).returncode == 0
    wait_until(lambda: step(folder) > killed)
    assert rung("runs", "pause").returncode == 0
    wait_until(lambda: read_run(folder).state == "paused")
    at = step(folder)
    assert rung("runs", "stop", "R-001").returncode == 0
    wait_until(lambda: not is_alive(folder))
    run = read_run(folder)
    assert run.state == "stopped" and run.step in (at, at + 1)
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()
    again = rung("train", "--detach", **SLOWED)
    assert again.returncode == 0 and "continues from" in again.stderr
    done = rung("train", **SLOWED)
    assert done.returncode == 0 and "continues from" not in done.stderr, "it is followed to its end, not begun again"
    assert read_run(folder).state == "finished"
    assert losses(folder) == losses(unbroken[0])
    assert read_run(folder).adapter_sha256 == read_run(unbroken[0]).adapter_sha256 != ""
    assert [path.name for path in ready.runs.glob("R-*")] == ["R-001"]


def begun_in_a_terminal(root, tiny):
    """`rung train` as the foreground of a terminal of its own: its process, and our end of the terminal."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(root)
        env = {**os.environ, "RUNG_MODEL__BASE": str(tiny), "OMP_NUM_THREADS": "1", **SLOWED}
        os.execve(sys.executable, [sys.executable, "-P", "-m", "rung", "train"], env)
    threading.Thread(target=read_away, args=(terminal,), daemon=True).start()
    return pid, terminal


def read_away(terminal):
    with contextlib.suppress(OSError):
        while os.read(terminal, 4096):
            pass


def test_a_loss_that_runs_away_fails_the_run(rung, ready: Project):
    done = rung("train", RUNG_TRAINING__METHOD="full", RUNG_TRAINING__LEARNING_RATE="10.0", **SLOWED)
    run = read_run(ready.runs / "R-001")
    assert done.returncode == 1 and run.state == "failed"
    assert run.ending and "R-001" in done.stdout


def test_a_full_disk_ends_the_run_cleanly_and_it_can_go_on(rung, ready: Project, small_disk):
    """Others fill it to the last byte: no room for a checkpoint, nor for run.json."""
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    root = small_disk / "clinic"
    shutil.copytree(ready.root, root)
    folder = root / "runs" / "R-001"
    assert rung("train", "--detach", at=root, RUNG_TRAINING__EPOCHS="24").returncode == 0
    wait_until(lambda: list(folder.glob("checkpoints/*/complete.json")))
    with (small_disk / "full").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass
    wait_until(lambda: not is_alive(folder))
    run = read_run(folder)
    assert run.state == "stopped" and "disk" in run.ending, (folder / "log.txt").read_text()
    (small_disk / "full").unlink()
    assert rung("train", at=root, RUNG_TRAINING__EPOCHS="24").returncode == 0
    assert read_run(folder).state == "finished"


@pytest.mark.parametrize("words", [["runs", "resume", "R-001"], ["runs", "resume", "--detach"]])
def test_a_run_that_is_not_admitted_says_why(rung, ready: Project, cleared, words):
    (ready.datasets / "v001" / "train.jsonl").write_bytes(b"{}\n")
    done = rung(*words)
    assert done.returncode == 1 and "train.jsonl" in done.stderr
    assert read_run(cleared).state == "cleared"


@pytest.mark.slow
def test_training_reaches_for_no_network_where_the_hub_is_on(rung, refused):
    """trl reports each trainer that is made to Hugging Face, unless it is told not to or the hub is off."""
    variables, reached = refused
    done = rung("train", "--json", RUNG_TRAINING__EPOCHS="0.5", timeout=600, CI="", **variables)
    assert done.returncode == 0, done.stderr
    assert reached.read_text() == ""


# --- killed at seeded moments: nothing is half, the same command ends the work (as tests/faults/test_killed.py) ------


def train(root, kill_at=0) -> Done:
    """Run `rung train`, killed at this point."""
    return warm(str(root / "runs/R-001"), at=root, program="training.run", kill_at=kill_at)


@pytest.fixture
def trained(own: Project, cleared, tmp_path) -> tuple[Path, Done]:
    """A copy of the project with its run finished."""
    root = Path(shutil.copytree(own.root, tmp_path / "trained" / "clinic"))
    done = train(root)
    assert done.code == 0, done.err
    return root, done


@pytest.mark.slow
def test_a_killed_run_goes_on(own: Project, trained: tuple[Path, Done], tmp_path):
    whole, done = trained
    for moment in moments(done.events, 9, "train"):
        root = Path(shutil.copytree(own.root, tmp_path / f"at{moment}" / "clinic"))
        assert train(root, moment).code == KILLED
        assert_sound(root)
        assert standing(root) == standing(own.root)
        again = train(root)
        run, wanted = read_run(root / "runs/R-001"), read_run(whole / "runs/R-001")
        assert again.code == 0 or run.state == "finished", (moment, again.err)
        assert (run.state, run.step, run.files) == (wanted.state, wanted.step, wanted.files), moment
        assert losses(root / "runs/R-001") == losses(whole / "runs/R-001")
        assert {name: sha256_file(root / "runs" / run.adapter / name) for name in run.files} == run.files
        assert_ended(root)


@pytest.mark.slow
@pytest.mark.parametrize("words", [("evaluate", "R-001"), ("release", "R-001", "--to", "adapter")], ids=lambda w: w[0])
def test_a_killed_command_goes_on(words, trained: tuple[Path, Done], tmp_path):
    before, _ = trained
    if words[0] == "release":
        judged(Project(before), right=30)
    root = Path(shutil.copytree(before, tmp_path / "whole" / "clinic"))
    whole = warm(*words, at=root)
    wanted = standing(root)
    assert whole.code in (0, 1) and wanted != standing(before), whole.err
    for moment in moments(whole.events, 9, words[0]):
        root = Path(shutil.copytree(before, tmp_path / f"at{moment}" / "clinic"))
        assert warm(*words, at=root, kill_at=moment).code == KILLED
        assert_sound(root)
        assert find_run(Project(root)).files == read_run(before / "runs/R-001").files
        again = warm(*words, at=root)
        assert again.code == whole.code, (moment, again.err)
        assert standing(root) == wanted, moment
        assert_ended(root)
