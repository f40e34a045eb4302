"""Verdict and Release: four endings in one place, a person's decision with name and reason, what is refused."""

from __future__ import annotations

import json
import re

import ladder
import pytest
from conftest import rung
from conftest_tui import flat, idle, on_stage, opened, running, sees, settled, text_of, until
from vouched import rewrite

from evaluation.measurement_report import Report
from evaluation.outcomes import ServedRun
from evaluation.verdict.rule import Verdict
from rung.status.stages import after_verdict
from rung.text.verdict_text import TITLES
from rung.tui.screens.page_screen import Paper, SignScreen
from rung.tui.widgets.lines import MarkedLines
from training.runs import LOCK, read_run, write_run
from workspace.artefact import now, read_artefact
from workspace.lock import writer_lock

SHIP, JUDGEMENT, KEEP, MORE = 60, 11, 0, 4
"""Items that the tuned model gets right -> the ruling on 60 items against a baseline of 15."""


ENDINGS = (
    (SHIP, "ship", "Release"),
    (KEEP, "keep_prompt", "Release"),
    (MORE, "need_more_data", "Data"),
    (JUDGEMENT, "judgement", "Verdict"),
)


@pytest.mark.parametrize(("right", "ruling", "stage"), ENDINGS, ids=[ruling for _, ruling, _ in ENDINGS])
async def test_the_four_endings_stand_in_the_same_place(clinic, program, right, ruling, stage):
    ladder.ruled_on(clinic, right)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        verdict, drawn = screen.data.verdict, text_of(app).split("\n")
        assert verdict.verdict == ruling and TITLES[ruling][0] in drawn[2]
        assert after_verdict(verdict).does in screen.next and after_verdict(verdict).does in drawn[20]
        assert "margin" in text_of(app)
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "Verdict") == stage)


async def test_more_items_are_not_asked_for_where_they_would_not_ship_it(clinic, program):
    path = ladder.ruled_on(clinic, MORE) / "verdict.json"
    found = read_artefact(path, Verdict)
    ahead = found.arms[0].model_copy(
        update={"arm": "classical", "chosen": False, "difference": -0.2, "low": -0.3, "high": -0.1}
    )
    rewrite(path, Verdict, arms=[*found.arms, ahead])
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        assert "(2)" in screen.next
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Advice")


async def test_a_run_that_a_server_was_asked_for_says_that_first_and_items_are_shown_masked(clinic, program):
    path = ladder.ruled_on(clinic, SHIP) / "verdict.json"
    verdict, served = read_artefact(path, Verdict), ServedRun("clinic", "gpu1:8000", "tiny")
    notes = [*served.notes("R-001", "tiny"), *verdict.notes]
    rewrite(path, Verdict, served="clinic at gpu1:8000", notes=notes)
    path = path.with_name("outputs.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**each, "output": "ask anna.lee@example.org"}) + "\n" for each in lines))
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        assert "gpu1:8000" in flat(text_of(app)) and after_verdict(verdict).does in text_of(app).split("\n")[20]
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "ItemsScreen")
        await sees(pilot, "ask [EMAIL]")
        assert "anna" not in text_of(app)
        screen = app.screen
        listed, whole = screen.query_one(MarkedLines), screen.query_one("#item")
        for key in ("j", "j", "pagedown", "end"):
            before = listed.marked
            await pilot.press(key)
            await pilot.pause()
            assert listed.marked != before and screen.query_one(Paper).region.contains_region(whole.region), key


async def test_goal_and_price_are_in_sight_and_the_shell_says_the_same_in_the_same_order(clinic, program):
    ladder.ruled_on(clinic, SHIP)
    rewrite(clinic.evaluations / "E-001" / "report.json", Report, goal=0.8)
    said = [line for line in rung(clinic.root, "verdict").stdout.split("\n") if line.strip()]
    async with on_stage(program(clinic.root), 9) as (app, _, screen):
        assert re.search(r"✓ .*80\.0%", text_of(app)) and re.search(r"\$890 .*\b750\b", text_of(app))
        told = [entry.text.replace("\xa0", " ") for entry in screen.lines.entries if entry.text.strip()]
    first = next(n for n, line in enumerate(told) if line.startswith("tuned"))
    assert told[first:] == said[2 : 2 + len(told) - first]
    assert "report.html" in said[2 + len(told) - first]


async def test_a_judgement_is_decided_on_the_screen(clinic, program):
    folder = ladder.ruled_on(clinic, JUDGEMENT)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SignScreen))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen)
        assert json.loads((folder / "verdict.json").read_text())["accepted"] is None and not app.jobs
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, SignScreen) and app.screen.focused is not None)
        await pilot.press("up", *["backspace"] * 4, *"priya", "down", *"injuries go to a person", "enter")
        await idle(pilot, screen)
        accepted = json.loads((folder / "verdict.json").read_text())["accepted"]
        assert (accepted["by"], accepted["reason"]) == ("priya", "injuries go to a person")
        await sees(pilot, f'priya: "{accepted["reason"]}"')


async def test_a_run_that_is_not_measured_and_one_whose_test_set_changed(clinic, program):
    ladder.finished(ladder.cleared(clinic))
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        assert screen.command == "rung evaluate R-001" and screen.data is None
        with (clinic.datasets / "v001" / "test.jsonl").open("a") as file:
            file.write('{"messages": []}\n')
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and bool(screen.trouble))
        await settled(pilot)
        assert "test.jsonl" in screen.trouble[0] and screen.trouble[-1].startswith("-> rung ") and "✗ " in text_of(app)


async def test_the_verdict_waits_for_the_run_and_says_how_long(clinic, program):
    folder = ladder.cleared(clinic)
    write_run(folder, read_run(folder), state="running", steps=12, started_at=now())
    ladder.written(folder, [ladder.step_line(n, 12) for n in range(1, 8)])
    app = program(clinic.root)
    with writer_lock(folder / LOCK, "R-001"):
        async with running(app) as pilot:
            await settled(pilot)
            screen = await opened(pilot, 9)
            await until(pilot, lambda: screen.opener == 8)
            assert re.search(r"R-001 .* 7 of 12, .* 10 s ", screen.closed)
