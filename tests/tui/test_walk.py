"""From the first question to a finished run, by keys alone; what counts is what stands in files and database."""

from __future__ import annotations

import asyncio
import json
import tomllib

import pytest
from conftest_tui import press, settled, text_of
from walk_steps import begun, job_done, to_the_freeze

from training.runs import read_runs
from workspace.folder import Project


@pytest.mark.slow
async def test_from_the_first_question_to_a_finished_run(tmp_path, program, tiny, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = begun(tmp_path / "walk", tiny)
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_the_freeze(app, pilot, folder)
        said = tomllib.loads((folder / "answers.toml").read_text())
        assert said["failure"] == "breaks_rules" and said["answered"]["failure"]["by"] == "dana"
        await press(pilot, "6")
        assert "No arm measured yet" in text_of(app)
        await pilot.press("enter", "y")
        await job_done(pilot)
        report = json.loads((folder / "evaluations" / "E-001" / "report.json").read_text())
        assert {arm["arm"] for arm in report["arms"]} == {"base", "prompt", "few_shot"}
        assert "Does anything cheaper" in text_of(app)
        await press(pilot, "7")
        await pilot.press("enter")
        await job_done(pilot)
        assert (folder / "plans" / "P-001.toml").is_file()
        await pilot.press("enter")
        assert app.screen.message.startswith("Locked: the advice says")  # 20 rows are no case for fine-tuning
        assert not (folder / "runs").exists()
        await press(pilot, "ctrl+o")
        await pilot.press("up", *["backspace"] * 4, *"priya", "down", *"a walk through every stage", "enter")
        await job_done(pilot)
        assert app.screen.stage == "Train"
        for _ in range(300):
            await asyncio.sleep(1)
            if read_runs(Project(folder))[-1].state == "finished":
                break
        await settled(pilot)
        await pilot.pause(2.5)
        await settled(pilot)
        assert "Finished in" in text_of(app)
    run = read_runs(Project(folder))[-1]
    assert run.state == "finished"
    assert (folder / "runs" / run.adapter / "adapter_model.safetensors").is_file()
    assert report["n"] == 8
    assert "a walk through every stage" in (folder / "runs" / run.id / "clearance.json").read_text()
