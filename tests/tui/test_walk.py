"""From the first question to a finished run, by keys alone; what counts is what stands in files and database."""

from __future__ import annotations

import asyncio
import json
import random
import tomllib

import pytest
from conftest_tui import settled, text_of
from test_review import shown_item, stored

from rung.start import start_project
from training.record import read_runs
from workspace.folder import Project

SAID = {
    "task": "extraction",
    "prompting": "insufficient",
    "prompt_effort_days": "6",
    "few_shot": "insufficient",
    "rag": "insufficient",
    "failure": "breaks_rules",
    "output_form": "strict",
    "private_knowledge": False,
    "knowledge_change": "never",
    "live_systems": False,
    "citations": False,
    "domain_behaviour": True,
    "breadth": "narrow",
    "examples": "5000",
    "reviewed_examples": "5000",
    "model_access": "open",
    "privacy": "none",
    "budget": "moderate",
    "test_set": True,
    "gpus": "0",
}
SETTINGS = """
[project]
name = "walk"
person = "dana"
[model]
base = "{base}"
[review]
pool = "all"
[dataset]
validation = 0.2
[evaluation]
arms = ["base", "prompt", "few_shot"]
closed_set = "off"
[training]
rank = 4
learning_rate = 1e-3
epochs = 2
batch = 4
precision = "fp32"
"""
SOUNDS = [a + b for a in "bdfgklm" for b in "aeiou"]


def file_of(path, start, count):
    """Rows of which none is near another: every word is made up."""
    chance = random.Random(start)
    with path.open("w") as out:
        for n in range(start, start + count):
            words = ["".join(chance.choice(SOUNDS) for _ in range(4)) for _ in range(7)]
            turns = [{"role": "user", "content": " ".join(words)}, {"role": "assistant", "content": f"E1{n % 4} eye"}]
            out.write(json.dumps({"messages": turns}) + "\n")


async def answer_all(pilot, said=SAID):
    """Answer by digit and field until it is enough; what is not in `said` nobody knows."""
    screen = pilot.app.screen
    for _ in range(40):
        await settled(pilot)
        if screen.asked is None:
            return
        value = said.get(screen.asked.id)
        if screen.focused is not None:
            await pilot.press(*(str(value) if value is not None else ""), "enter")
        else:
            digit = next((n for n, choice in enumerate(screen.asked.answers, 1) if choice.value == value), 0)
            await pilot.press(str(digit))
    raise AssertionError("the questions do not end")


async def import_rows(pilot, name, role):
    """Import by key, with the role named after the file."""
    await pilot.press("i", *f"{name} as {role}", "enter")
    await job_done(pilot)


async def job_done(pilot, seconds=400):
    """Wait until no command runs and the screen shows its result."""
    for _ in range(seconds * 10):
        await pilot.pause(0.1)
        if not pilot.app.jobs:
            break
    await settled(pilot)
    await settled(pilot)


async def to_the_freeze(app, pilot, folder):
    """Questions, advice, import, review of every row by key, freeze by Enter and y."""
    await settled(pilot)
    await pilot.press("enter")
    await settled(pilot)
    assert app.screen.stage == "Questions"
    await answer_all(pilot)
    await pilot.press("slash", *"goal_score", "enter")
    await settled(pilot)
    await pilot.press(*"0.8", "enter")
    await settled(pilot)
    assert tomllib.loads((folder / "answers.toml").read_text())["goal_score"] == 0.8
    await pilot.press("enter")
    await settled(pilot)
    assert json.loads((folder / "decision.json").read_text())["next_step"] == "fine_tune"
    await pilot.press("3")
    await settled(pilot)
    assert "No rows yet" in text_of(app)
    await pilot.press("i", *"pool.jsonl", "enter")
    await job_done(pilot)
    await import_rows(pilot, "test.jsonl", "test")
    await pilot.press("4")
    for _ in range(60):
        await settled(pilot)
        if app.screen.sitting is not None and app.screen.item is None and not app.screen.busy:
            break
        await shown_item(pilot)
        await pilot.press("a")
    assert "That was the last one" in text_of(app)
    assert {row.state for row in stored(folder).values()} == {"approved"}
    await pilot.press("enter")
    await settled(pilot)
    assert app.screen.stage == "Dataset"
    await pilot.press("t")
    await settled(pilot)
    await pilot.press("enter")
    assert "It cannot be changed" in text_of(app)
    assert not list(folder.glob("datasets/v*"))
    await pilot.press("y")
    await job_done(pilot)
    manifest = json.loads((folder / "datasets" / "v001" / "manifest.json").read_text())
    assert manifest["splits"]["test"]["rows"] == 8
    assert manifest["splits"]["train"]["rows"] + manifest["splits"]["validation"]["rows"] == 20


def begun(folder, base="embedded"):
    """A project with nothing but settings and two files."""
    start_project(folder)
    (folder / "rung.toml").write_text(SETTINGS.format(base=base))
    file_of(folder / "pool.jsonl", 100, 20)
    file_of(folder / "test.jsonl", 500, 8)
    return folder


async def test_from_the_first_question_to_a_frozen_dataset(tmp_path, program):
    folder = begun(tmp_path / "walk")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_the_freeze(app, pilot, folder)
    said = tomllib.loads((folder / "answers.toml").read_text())
    assert said["failure"] == "breaks_rules"
    assert said["answered"]["failure"]["by"] == "dana"


@pytest.mark.slow
async def test_from_the_first_question_to_a_finished_run(tmp_path, program, tiny, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder = begun(tmp_path / "walk", tiny)
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await to_the_freeze(app, pilot, folder)
        await pilot.press("6")
        await settled(pilot)
        assert "No arm measured yet" in text_of(app)
        await pilot.press("enter", "y")
        await job_done(pilot)
        report = json.loads((folder / "evaluations" / "E-001" / "report.json").read_text())
        assert {arm["arm"] for arm in report["arms"]} == {"base", "prompt", "few_shot"}
        assert "Does anything cheaper" in text_of(app)
        await pilot.press("7")
        await settled(pilot)
        await pilot.press("enter")
        await job_done(pilot)
        assert (folder / "plans" / "P-001.toml").is_file()
        await pilot.press("enter")
        assert app.screen.message.startswith("Locked: the advice says")  # 20 rows are no case for fine-tuning
        assert not (folder / "runs").exists()
        await pilot.press("ctrl+o")
        await settled(pilot)
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
