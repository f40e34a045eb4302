"""The way on the demo's own project with the embedded model, by keys: rows, freeze, ladder, run, verdict, release.

Questions and the review by hand have tests of their own.
"""

import json
import tomllib

import pytest
import tomli_w
from conftest_tui import imported, opened, press, running, sees, settled, until

from advisor.answer_file import record_said
from advisor.decide import advise_project
from rung.demo.house_line import CodeTable
from rung.demo.walk import HERE, Walk, review_by_table
from rung.tui.screens.page_screen import SignScreen
from training.runs import read_runs

REASON = "a walk through every stage"
LONG = 60_000
"""Looks at the screen until a model must have done its work (ten minutes)."""
SETTINGS = {
    "project": {"person": "dana"},
    "evaluation": {"arms": ["base", "prompt", "few_shot"], "closed_set": "off", "choose_on": 6},
    "training": {"epochs": 1, "rank": 4, "precision": "fp32"},
    "dataset": {"validation": 0.2},
}


TEST, POOL = 16, 60


def begun(folder):
    """The demo's project with few rows, planted faults among them."""
    walk = Walk(folder, fast=True, say=lambda _: None)
    walk.begin()
    own = tomllib.loads((HERE / "project" / "rung.toml").read_text())
    merged = {name: {**own.get(name, {}), **table} for name, table in SETTINGS.items()}
    walk.project.settings_file.write_text(tomli_w.dumps({**own, **merged}))
    for name, most in (("test", TEST), ("pool", POOL)):
        file = folder / "raw" / f"{name}.jsonl"
        file.write_text("".join(file.read_text().splitlines(keepends=True)[:most]))
    record_said(walk.project.answers_file, {"goal_score": 0.8}, "dana")
    advise_project(walk.project)
    return walk.project


async def ended(pilot, screen):
    """Wait until no command runs and the screen shows what came of it."""
    await until(pilot, lambda: not pilot.app.jobs, LONG)
    await settled(pilot)
    await until(pilot, lambda: not getattr(pilot.app.screen, "started", 0), LONG)
    assert not getattr(screen, "trouble", ()), screen.trouble


async def rows_and_review(app, pilot, project):
    """Test rows and pool by `i`, decided by the demo's table; the test set frozen first."""
    screen = await opened(pilot, 3)
    await imported(pilot, "raw/test.jsonl", "t")
    await ended(pilot, screen)
    review_by_table(project, CodeTable())
    screen = await opened(pilot, 5)
    await until(pilot, lambda: screen.data is not None and not screen.data.blockers)
    await pilot.press("enter", "y")
    await ended(pilot, screen)
    await sees(pilot, f"{TEST} test")
    screen = await opened(pilot, 3)
    await imported(pilot, "raw/pool.jsonl")
    await ended(pilot, screen)
    for _ in range(3):  # each finding that blocks has one key
        if screen.finding is None or not screen.finding.blocks:
            break
        await pilot.press("f")
        await ended(pilot, screen)
    review_by_table(project, CodeTable())


async def ladder(app, pilot, project):
    """Every arm measured with the embedded model, then the whole dataset frozen."""
    screen = await opened(pilot, 6)
    await sees(pilot, "3 arms on 16 items")
    await pilot.press("enter", "y")
    await until(pilot, lambda: app.jobs)
    await ended(pilot, screen)
    await until(pilot, lambda: screen.data is not None)
    report = json.loads((project.evaluations / "E-001" / "report.json").read_text())
    assert [arm["arm"] for arm in report["arms"]] == ["base", "prompt", "few_shot"]
    screen = await opened(pilot, 5)
    if screen.data.test_only:
        await press(pilot, "t")
    await pilot.press("enter", "y")
    await ended(pilot, screen)
    splits = json.loads((project.datasets / "v002" / "manifest.json").read_text())["splits"]
    assert splits["test"]["rows"] == TEST
    assert splits["train"]["rows"] > 20


async def run(app, pilot, project):
    """Plan, start (a gate that so few rows close is set aside by name), watch, finish."""
    screen = await opened(pilot, 7)
    await pilot.press("enter")
    await ended(pilot, screen)
    assert (project.plans / "P-001.toml").is_file()
    await until(pilot, lambda: screen.data is not None and screen.data.plan is not None)
    if not screen.data.is_open:
        assert [gate.name for gate in screen.data.gates if not gate.opens] == ["decision"]
        await pilot.press("enter")
        assert screen.message and not project.runs.exists()
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, SignScreen) and app.screen.focused is not None)
        await pilot.press(*REASON, "enter")
    else:
        await pilot.press("enter", "y")
    await until(pilot, lambda: app.screen.stage == "Train", LONG)
    for state, key in (("running", "p"), ("paused", "p"), ("running", ""), ("finished", "")):
        await until(pilot, lambda state=state: app.screen.data and app.screen.data.run.state == state, LONG)
        if key:
            await until(pilot, lambda: app.screen.data.lines and not app.jobs, LONG)
            await pilot.press(key)
    made = read_runs(project)[-1]
    if made.overrides:
        assert REASON in (project.runs / made.id / "clearance.json").read_text()
    assert (project.runs / made.adapter / "adapter_model.safetensors").is_file()


async def verdict_and_release(app, pilot, project):
    """Measured on the same items; what the verdict allows is released by one key."""
    await pilot.press("enter")
    await until(pilot, lambda: app.screen.stage == "Verdict")
    screen = app.screen
    await settled(pilot)
    await pilot.press("enter", "y")
    await ended(pilot, screen)
    await until(pilot, lambda: screen.data is not None, LONG)
    verdict = json.loads(next(project.evaluations.glob("*/verdict.json")).read_text())
    assert verdict["n"] == TEST
    screen = await opened(pilot, 10)
    await until(pilot, lambda: bool(screen.marked))
    while screen.marked != "prompt":
        await pilot.press("j")
    await pilot.press("enter", "y")
    await ended(pilot, screen)
    assert (project.releases / "L-001" / "release.json").is_file()
    await pilot.press("escape")
    await until(pilot, lambda: app.status.next is None)


@pytest.mark.slow
async def test_the_demo_from_its_rows_to_a_release(tmp_path, program, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    project = begun(tmp_path / "rung-demo")
    app = program(project.root)
    async with running(app) as pilot:
        await rows_and_review(app, pilot, project)
        await ladder(app, pilot, project)
        await run(app, pilot, project)
        await verdict_and_release(app, pilot, project)
