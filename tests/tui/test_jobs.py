"""Long work in real child processes: progress, stop and go on; left and found again by another program."""

import json
import os
import threading
import time

import ladder
import pytest
from conftest_tui import on_stage, playing, running, sees, settled, until
from lives import wait_until

from rung.tui.job import running_jobs, start_job
from training.runs import CONTROL, LOCK, append_metric, read_run, write_run
from workspace.artefact import now
from workspace.errors import Refusal
from workspace.lock import writer_lock

LONG = 30_000
"""Looks at the screen until a child process must have done its work."""


@pytest.mark.cold  # a fork might have ended before its job is looked at
async def test_r_measures_the_marked_arm_alone_and_the_others_stay(served, program):
    project, server = served
    server.go.set()
    prompt = project.prompts / "prompt.md"
    project.prompts.mkdir(exist_ok=True)
    prompt.write_text("Code the diagnosis.")
    async with on_stage(program(project.root), 6) as (app, pilot, screen):
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and screen.data is not None, LONG)
        await settled(pilot)
        before = screen.data
        await pilot.press("j", "r")
        assert " prompt?" in screen.question and " 60 " in screen.question
        await pilot.press("y")
        assert app.jobs["Baselines"].arguments == ("baseline", "--arms", "prompt")
        await until(pilot, lambda: not app.jobs and screen.data.id == "E-002", LONG)
        await sees(pilot, "E-001 base")
        assert screen.command.split()[2:] == ["--arms", "prompt"]
        prompt.write_text("Code the diagnosis, with its title.")  # what an arm depends on has changed
        screen.reload()
        await until(pilot, lambda: screen.changed)
        await sees(pilot, "prompts/prompt.md")
        await pilot.press("k", "r")
        assert " 2 " in screen.question and " 120 " in screen.question
        await pilot.press("y")
        assert app.jobs["Baselines"].arguments == ("baseline", "--arms", "base,prompt")
        app.jobs["Baselines"].stop()
        await until(pilot, lambda: not app.jobs, LONG)
    report = json.loads((project.evaluations / "E-002" / "report.json").read_text())
    assert [(arm["arm"], arm["taken_from"]) for arm in report["arms"]] == [("base", "E-001"), ("prompt", "")]
    assert (report["chosen"], report["judged"]) == (before.chosen, before.judged)


async def test_baselines_are_found_again_by_another_program(served, program):
    project, server = served
    async with on_stage(program(project.root), 6) as (app, pilot, screen):
        await until(pilot, lambda: not screen.started and screen.items)
        await pilot.press("enter", "y")
        await until(pilot, server.waits.is_set, LONG)
        pid = app.jobs["Baselines"].pid
    os.kill(pid, 0)  # the program has gone, the child lives
    again = program(project.root)
    async with running(again) as pilot:
        await until(pilot, lambda: again.status and again.status.stage("Baselines").state == "running")
        await pilot.press("enter")
        await sees(pilot, "8 of 8 100%")
        with pytest.raises(Refusal) as refused:  # a command which another program runs is not started
            start_job(project.root, "Baselines", ["baseline"])
        assert refused.value.hint == "rung status"
        server.go.set()
        await until(pilot, lambda: not again.jobs and again.screen.data is not None, LONG)
    assert not running_jobs(project.root)


def train(folder):
    """Hold a run's lock and obey its control file as the trainer does, without a model."""
    line = {"kind": "step", "steps": 50000, "loss": 1.0, "rate": 1e-4, "tokens_per_second": 10.0, "memory_mib": 10.0}
    step, told, control = 0, "", folder / CONTROL
    with writer_lock(folder / LOCK, folder.name):
        record = write_run(folder, read_run(folder), state="running", steps=50000, started_at=now())
        while told != "stop":
            told = control.read_text().strip() if control.is_file() else ""
            if told != "pause":
                step += 1
                append_metric(folder, {**line, "step": step, "eta_seconds": 1.0})
            state = "paused" if told == "pause" else "running"
            if record.state != state:
                record = write_run(folder, record, state=state, step=step)
            time.sleep(0.02)
        write_run(folder, record, state="stopped", step=step, ending="stopped by request", ended_at=now())


@pytest.fixture
def training(clinic):
    """A cleared run that is trained."""
    folder = ladder.cleared(clinic)
    trainer = threading.Thread(target=train, args=(folder,))
    trainer.start()
    wait_until(lambda: read_run(folder).state == "running")
    yield clinic, folder
    (folder / CONTROL).write_text("stop")
    trainer.join()


async def shows(pilot, state):
    """Wait until the Train screen shows a run in this state."""
    await until(pilot, lambda: (data := getattr(pilot.app.screen, "data", None)) and data.run.state == state, LONG)


async def test_pause_go_on_leave_come_back_stop_and_save(training, held):
    project, folder = training
    async with playing(held(project.root)) as (app, pilot):
        assert app.status.next.name == "Train"
        await pilot.press("enter")
        await shows(pilot, "running")
        await pilot.press("p")
        await shows(pilot, "paused")
        assert (folder / "control").read_text().strip() == "pause"
        standing = read_run(folder).step
        await until(pilot, lambda: not app.jobs, LONG)
        await pilot.press("p")
        await until(pilot, lambda: not app.jobs and read_run(folder).state == "running", LONG)
        await shows(pilot, "running")
        await until(pilot, lambda: len((folder / "metrics.jsonl").read_text().splitlines()) > standing, LONG)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.stage == "Start")
    assert read_run(folder).state == "running"  # nobody looks, it goes on
    again = held(project.root)
    async with playing(again) as (_, pilot):
        assert again.status.stage("Train").state == "running"
        await pilot.press("8")
        await shows(pilot, "running")
        await pilot.press("x")
        assert again.screen.question
        await pilot.press("escape")
        assert read_run(folder).state == "running"
        await pilot.press("x", "y")
        await shows(pilot, "stopped")
        assert "R-001" in again.screen.next


@pytest.mark.slow
async def test_the_real_trainer_is_stopped_saved_and_gone_on_with(clinic, held, tiny, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    toml = clinic.settings_file.read_text().replace("epochs = 2", "epochs = 40")
    clinic.settings_file.write_text(toml + f'[model]\nbase = "{tiny}"\n')
    async with on_stage(held(clinic.root), 7) as (app, pilot, screen):
        await until(pilot, lambda: not screen.started)
        await pilot.press("enter")
        await until(pilot, lambda: not app.jobs and screen.data is not None and screen.data.plan is not None, LONG)
        await pilot.press("enter", "y")
        await until(pilot, lambda: app.screen.stage == "Train", LONG)
        folder = clinic.runs / "R-001"
        await shows(pilot, "running")
        await until(pilot, lambda: app.screen.data.lines, LONG)
        await pilot.press("x", "y")
        await shows(pilot, "stopped")
        stopped = read_run(folder)
        assert 0 < stopped.step < stopped.steps
        await until(pilot, lambda: not app.jobs, LONG)
        await pilot.press("enter", "y")
        await shows(pilot, "finished")
    assert read_run(folder).step == stopped.steps
