"""Verdict and Release: four endings in one place, a person's decision with name and reason, what is refused."""

from __future__ import annotations

import json
import os

import ladder
import pytest
from conftest import rung
from conftest_tui import flat, on_stage, opened, running, sees, settled, text_of, until
from vouched import rewrite

from evaluation.measurement_report import Report
from evaluation.served_run import ServedRun
from evaluation.verdict.rule import Verdict
from rung.tui.screens.page_screen import Paper
from rung.tui.widgets.lines import MarkedLines
from training.runs import LOCK, read_run, write_run
from workspace.artefact import now, read_artefact
from workspace.lock import writer_lock

SHIP, JUDGEMENT, KEEP, MORE = 60, 11, 0, 4
"""Items that the tuned model gets right -> the ruling on 60 items against a baseline of 15."""


ENDINGS = (
    (SHIP, "SHIP", "Next: release.", "Release"),
    (KEEP, "KEEP THE PROMPT", "Next: release the prompt.", "Release"),
    (MORE, "NEED MORE DATA", "Next: add test items, in Data.", "Data"),
    (JUDGEMENT, "JUDGEMENT", "Next: decide (asks name and reason).", "Verdict"),
)


@pytest.mark.parametrize(("right", "title", "following", "stage"), ENDINGS, ids=[title for _, title, _, _ in ENDINGS])
async def test_the_four_endings_stand_in_the_same_place(clinic, program, right, title, following, stage):
    ladder.ruled_on(clinic, right)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await sees(pilot, title)
        assert text_of(app).split("\n")[2].rpartition("│")[2].strip(" ▸").startswith(title)
        assert screen.next.startswith(following)
        assert following in text_of(app).split("\n")[20]
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
        await sees(pilot, "more items would not ship it")
        assert screen.next.startswith("Next: see the advice (2).")
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Advice")


async def test_a_run_that_a_server_was_asked_for_says_first_that_its_weights_were_not_checked(clinic, program):
    path = ladder.ruled_on(clinic, SHIP) / "verdict.json"
    verdict, served = read_artefact(path, Verdict), ServedRun("clinic", "gpu1:8000", "tiny")
    notes = [*served.notes("R-001", "tiny"), *verdict.notes]
    rewrite(path, Verdict, served="clinic at gpu1:8000", notes=notes)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await sees(pilot, "SHIP")
        assert "R-001 was asked as clinic at gpu1:8000; Rung did not check that this name" in flat(text_of(app))
        assert screen.next.startswith("Next: release.") and "Next: release." in text_of(app).split("\n")[20]
        await pilot.press("v")
        await until(pilot, lambda: type(app.screen).__name__ == "ItemsScreen")


async def test_items_are_shown_masked(clinic, program):
    path = ladder.ruled_on(clinic, SHIP) / "outputs.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**each, "output": "ask anna.lee@example.org"}) + "\n" for each in lines))
    async with on_stage(program(clinic.root), 9) as (app, pilot, _):
        await sees(pilot, "SHIP")
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
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await sees(pilot, "✓ Goal 80.0%: reached")
        assert "Price $890 upkeep a month, for 750 fewer errors in 1,000" in text_of(app)
        assert "Forgetting was not measured" in flat(text_of(app))
        told = [entry.text.replace("\xa0", " ") for entry in screen.lines.entries if entry.text.strip()]
    first = next(n for n, line in enumerate(told) if line.startswith("tuned"))
    assert told[first:] == said[2 : 2 + len(told) - first]
    assert said[2 + len(told) - first].startswith("Report: ")


async def test_a_judgement_is_decided_on_the_screen(clinic, program):
    folder = ladder.ruled_on(clinic, JUDGEMENT)
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await sees(pilot, "JUDGEMENT")
        await pilot.press("enter")
        await sees(pilot, "A named person decides")
        await pilot.press("escape")
        assert json.loads((folder / "verdict.json").read_text())["accepted"] is None
        assert screen.message == "nothing was decided"
        await pilot.press("enter")
        await sees(pilot, "Reason")
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press("up", *["backspace"] * 4, *"priya", "down", *"injuries go to a person", "enter")
        await until(pilot, lambda: not app.jobs and app.screen is screen and not screen.started, 2000)
        accepted = json.loads((folder / "verdict.json").read_text())["accepted"]
        assert (accepted["by"], accepted["reason"]) == ("priya", "injuries go to a person")
        await sees(pilot, 'Accepted by priya: "injuries go to a person"')
        assert screen.next.startswith("Next: release.")


async def test_a_release_on_a_judgement_asks_for_name_and_reason(clinic, program):
    ladder.ruled_on(clinic, JUDGEMENT)
    async with on_stage(program(clinic.root), 10) as (app, pilot, screen):
        await sees(pilot, "A judgement: Enter asks for your name and a reason first.")
        await pilot.press("enter")
        await sees(pilot, "a named person releases it")
        await until(pilot, lambda: app.screen.focused is not None)
        await pilot.press(*"the contract asks for it", "enter")
        await until(pilot, lambda: not app.jobs and app.screen is screen and not screen.started, 2000)
        await sees(pilot, 'Released L-001 by dana: "the contract asks for it":')
    made = json.loads((clinic.releases / "L-001" / "release.json").read_text())
    assert (made["by"], made["reason"], made["verdict"]) == ("dana", "the contract asks for it", "judgement")


async def test_a_refused_release_says_why_in_full_and_leaves_nothing(clinic, program):
    folder = ladder.cleared(clinic)
    ladder.finished(folder)
    ladder.judged(clinic, SHIP)
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"other weights")
    async with on_stage(program(clinic.root), 10) as (app, pilot, screen):
        await sees(pilot, "Release R-001 in which form?")
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and bool(screen.trouble))
        await sees(pilot, "✗ R-001: adapter_model.safetensors changed since it was trained. -> rung train --again")
        await settled(pilot)
        assert "✗ R-001" in text_of(app)  # stays until another command is started
    assert not list(clinic.releases.glob("*/release.json"))


async def test_keeping_the_prompt_is_a_release_and_then_nothing_waits(clinic, program):
    async with on_stage(program(clinic.root), 10) as (app, pilot, screen):
        await sees(pilot, "○ prompt")
        assert "adapter" not in text_of(app)
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and app.screen is screen and not screen.started, 2000)
        await sees(
            pilot,
            "Released L-001: prompt. To check it on another machine: rung release verify L-001",
        )
        await pilot.press("v")
        await sees(pilot, "prompt: how it was measured")
        await pilot.press("escape", "escape")
        await until(pilot, lambda: app.screen.stage == "Start")
        await sees(pilot, "Nothing waits for you.")
        assert "Released: L-001, " in text_of(app)
    assert (clinic.releases / "L-001" / "release.json").is_file()


async def test_a_run_that_is_not_measured_and_one_whose_test_set_changed(clinic, program):
    ladder.finished(ladder.cleared(clinic))
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await sees(pilot, "R-001 is finished and not measured on the test set yet.")
        with (clinic.datasets / "v001" / "test.jsonl").open("a") as file:
            file.write('{"messages": []}\n')
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and bool(screen.trouble))
        await settled(pilot)
        assert "✗ " in text_of(app)
        assert "-> " in text_of(app)
        assert "test.jsonl" in flat(text_of(app))


async def test_the_verdict_waits_for_the_run_and_says_how_long(clinic, program):
    folder = ladder.cleared(clinic)
    write_run(folder, read_run(folder), state="running", steps=12, started_at=now())
    ladder.written(folder, [ladder.step_line(n, 12) for n in range(1, 8)])
    app = program(clinic.root)
    with writer_lock(folder / LOCK, "R-001"):
        async with running(app) as pilot:
            await settled(pilot)
            await opened(pilot, 9)
            await sees(pilot, "Locked: no finished run. R-001 is at step 7 of 12, about 10 s left. press 8")


@pytest.mark.cold  # the child takes a second to start: x comes before its end
async def test_x_stops_the_measuring_and_no_verdict_is_written(clinic, program):
    ladder.finished(ladder.cleared(clinic))
    outputs = clinic.evaluations / "E-001" / "outputs.jsonl"
    outputs.unlink()
    os.mkfifo(outputs)  # reading it waits until somebody writes: nobody does
    async with on_stage(program(clinic.root), 9) as (app, pilot, screen):
        await sees(pilot, "not measured on the test set yet")
        await pilot.press("x")
        assert screen.message == "nothing is running"
        await pilot.press("enter", "y")
        await sees(pilot, "Measuring the tuned model: starting …")
        assert ("x", "stop") in screen.hints()
        await pilot.press("enter")
        assert screen.message == "already running; x stops it and keeps the answers"
        await pilot.press("x")
        assert screen.message in ("stopping …", screen.stopped)
        await until(pilot, lambda: not app.jobs and not screen.started)
        await sees(pilot, "not measured on the test set yet")
        assert screen.message == screen.stopped
    assert not list(clinic.evaluations.glob("*/verdict.json"))
