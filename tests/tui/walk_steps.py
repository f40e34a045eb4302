"""The way from the first question to a frozen dataset, by keys alone."""

from __future__ import annotations

import json
import random
import tomllib

from clinic import ANSWERS
from conftest_tui import press, settled, text_of
from review_rows import stored
from review_steps import shown_item

from rung.start import start_project

SAID = tomllib.loads(ANSWERS)
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
    await press(pilot, "enter")
    assert app.screen.stage == "Questions"
    await answer_all(pilot)
    await press(pilot, "slash", *"goal_score", "enter")
    await press(pilot, *"0.8", "enter")
    assert tomllib.loads((folder / "answers.toml").read_text())["goal_score"] == 0.8
    await press(pilot, "enter")
    assert json.loads((folder / "decision.json").read_text())["next_step"] == "fine_tune"
    await press(pilot, "3")
    assert "No rows yet" in text_of(app)
    await pilot.press("i", *"pool.jsonl", "enter")
    await job_done(pilot)
    await import_rows(pilot, "test.jsonl", "test")
    await pilot.press("4")
    for _ in range(60):
        await settled(pilot)
        if app.screen.session is not None and app.screen.item is None and not app.screen.busy:
            break
        await shown_item(pilot)
        await pilot.press("a")
    assert "That was the last one" in text_of(app)
    assert {row.state for row in stored(folder).values()} == {"approved"}
    await press(pilot, "enter")
    assert app.screen.stage == "Dataset"
    await press(pilot, "t")
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
