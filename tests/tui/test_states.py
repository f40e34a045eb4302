"""Screens that wait, are empty, are locked, or have something wrong. The files are the product's own."""

import re
from dataclasses import replace

import ladder
import pytest
from conftest import rows
from conftest_tui import flat, idle, imported, on_stage, opened, opening, playing, press, sees, settled, text_of, until

from curation.store import open_store
from evaluation.arms.registry import arm_name
from evaluation.measurement_report import Report
from rung.start import start_project
from rung.status.facts import read_facts
from rung.status.stages import status_of
from training.release.releasing import release_untuned
from workspace.artefact import now, read_artefact, revised, write_artefact

# Waiting


@pytest.mark.parametrize("number", [3, 9])
async def test_a_late_answer_is_explained_and_nothing_is_empty(clinic, held, number):
    app = held(clinic.root)
    source = app.source
    async with playing(app) as (_, pilot):
        source.gate.clear()
        screen = await opening(pilot, number)
        known = app.status.stages[number - 1].reason
        await sees(pilot, known[:30])
        assert screen.awaits not in text_of(app)
        source.seconds += 1.2
        await sees(pilot, screen.awaits)
        assert not re.search(r"\d s ", text_of(app))
        source.seconds += 2.0
        await sees(pilot, "3 s so far")
        assert " s left" not in text_of(app)  # the first time nobody knows
        source.gate.set()
        await settled(pilot)
        await until(pilot, lambda: not screen.started)
        assert screen.awaits not in text_of(app) and screen.lines.entries
        source.gate.clear()
        screen.reload()
        await pilot.pause()
        source.seconds += 3.1
        await sees(pilot, "about 1 s left")
        source.seconds += 7
        await until(pilot, lambda: "s left" not in text_of(app))  # longer than the last time: nothing is promised
        source.gate.set()
        await until(pilot, lambda: not screen.started and screen.awaits not in text_of(app))


async def test_checks_are_told_one_by_one_and_x_leaves_them(project, held):
    async with playing(held(project)) as (app, pilot):
        app.source.gate.clear()
        screen = await opening(pilot, 3)
        for title in ("Duplicates", "Empty", "Balance"):
            screen.post_message(screen.Heard(("began", title)))
        app.source.seconds += 1.5
        await sees(pilot, "✓ Duplicates ✓ Empty … Balance")
        screen.post_message(screen.Heard(("began", "Topics")))
        await pilot.pause()
        app.source.seconds += 10
        screen.post_message(screen.Heard(("ahead", 1_204_000, 2_640_000)))
        await sees(pilot, "… Topics 1,204,000 of 2,640,000 rows 46% about 12 s left")
        screen.post_message(screen.Heard(("began", "Skew")))
        await sees(pilot, "✓ Topics … Skew")
        assert ("x", "stop") in screen.hints()
        await pilot.press("enter")
        assert not screen.query_one("#field").display
        screen.heard = screen.heard[:3]
        await pilot.press("x")
        assert any(" 2 " in entry.text for entry in screen.lines.entries), "so many checks had ended"
        assert screen.message == screen.stopped
        app.source.gate.set()
        await settled(pilot)
        assert screen.data is None  # what was left is not shown after all
        await pilot.press("r")
        await until(pilot, lambda: screen.data is not None)


async def test_what_is_not_read_yet_has_no_reason_and_enter_says_so(project, held):
    async with playing(held(project)) as (app, pilot):
        app.partial = True
        app.source.gate.clear()
        screen = await opening(pilot, 5)
        await until(pilot, lambda: screen.started)
        assert app.status.stage("Dataset").reason not in text_of(app) and not screen.message
        await pilot.press("enter")
        assert screen.message and not screen.question
        app.source.gate.set()
        await settled(pilot)


async def test_a_command_that_was_started_is_named_until_it_speaks(project, program):
    async with on_stage(program(project), 3) as (_, pilot, screen):
        screen.start_job("data", "undo")
        assert "data undo" in screen.message
        await idle(pilot, screen)
        assert "data undo" not in screen.message


# Empty and locked


async def test_a_fresh_project_has_no_empty_box_and_no_dead_end(tmp_path, program):
    start_project(tmp_path)
    app = program(tmp_path)
    openers = {3: 0, 5: 3, 6: 5, 7: 0, 8: 7, 9: 8, 10: 9}
    async with playing(app) as (_, pilot):
        before = sorted(path.name for path in tmp_path.iterdir())
        await opened(pilot, 2)  # without answers no decision is written
        for number, opener in openers.items():
            screen = await opened(pilot, number)
            assert screen.opener == opener and bool(screen.closed) == bool(opener) and screen.lines.entries
            assert screen.next and screen.command.startswith("rung ")
            if opener:
                await press(pilot, "enter")
                assert app.screen is screen and screen.message == screen.closed
                assert re.search(rf" {opener}, .*rung ", screen.closed)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


@pytest.mark.parametrize("goal", ["0.8", ""])
async def test_the_goal_is_asked_before_anything_is_measured_and_once(tmp_path, program, goal):
    """An empty line is "don't know": that is an answer, too."""
    project = ladder.frozen(tmp_path / "clinic")
    project.answers_file.write_text(project.answers_file.read_text().replace("goal_score = 0.8\n", ""))
    async with on_stage(program(project.root), 6) as (app, pilot, _):
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "asked", None) is not None)
        assert app.screen.asked.id == "goal_score" and not app.jobs
        await pilot.press(*goal, "enter")
        await until(pilot, lambda: app.screen.stage == "Baselines" and not app.screen.started and app.screen.items)
        await pilot.press("enter")
        assert " 2 " in app.screen.question
    assert ("goal_score = 0.8" in project.answers_file.read_text()) == bool(goal)


# Wrong


def test_what_keeps_several_parts_from_being_read_is_told_once(clinic):
    (clinic.root / "rung.db").write_bytes(b"not a database at all, " * 200)
    assert len(read_facts(clinic).problems) == 1


async def test_lines_that_cannot_be_read_are_told_and_kept(project, program):
    (project / "more.jsonl").write_text("\n".join([*rows(5_000, 3), '{"mesages": []}', "{broken"]) + "\n")
    async with on_stage(program(project), 3) as (_, pilot, screen):
        await imported(pilot, "more.jsonl")
        await until(pilot, (project / "rejects.jsonl").is_file)
        await idle(pilot, screen)
    assert len((project / "rejects.jsonl").read_text().splitlines()) == 2


async def test_what_stops_a_freeze_is_named_with_its_rows(project, program):
    async with on_stage(program(project), 5, size=(100, 32)) as (app, pilot, screen):
        blocker = screen.data.blockers[0]
        assert blocker.text[:40] in flat(text_of(app))
        assert blocker.rows[0] in text_of(app)
        assert " 4, " in screen.next and blocker.opener.partition("   ")[0] in screen.next
        await pilot.press("enter")
        assert blocker.text in screen.message and blocker.opener in screen.message and not screen.question
    assert not list(project.glob("datasets/v*"))


async def test_freezing_asks_once_and_writes_and_what_is_frozen_is_not_offered_again(tmp_path, program):
    project = ladder.reviewed(tmp_path / "clinic")
    async with on_stage(program(project.root), 5) as (app, pilot, screen):
        await pilot.press("enter")
        assert " 60 " in screen.question and not app.jobs
        await pilot.press("y")
        await idle(pilot, screen)
        await sees(pilot, "60 test")
        assert not screen.data.test_only  # the whole dataset is next
        await pilot.press("enter", "y")
        await until(pilot, lambda: not app.jobs and screen.data and screen.data.same == "v002")
        await settled(pilot)
        assert app.status.next.next in screen.next and ("Enter", "next") in screen.hints()
        await press(pilot, "enter")
        assert app.screen.stage == app.status.next.name and not app.jobs
        with open_store(project, ladder.settings_of(project)) as store:
            store.exclude([store.rows(role="train")[0].id], "taken out by hand", "empty")
        await opened(pilot, 5)
        await until(pilot, lambda: app.screen.data is not None and not app.screen.data.same)
    assert sorted(path.name for path in project.datasets.glob("v*")) == ["v001", "v002"]


async def test_a_project_of_a_newer_rung_is_not_opened(project, program):
    import sqlite3

    with sqlite3.connect(project / "rung.db") as connection:
        connection.execute("update alembic_version set version_num = '9999'")
    async with playing(program(project), size=(100, 30)) as (app, _):
        assert app.status.problems and "install -U" in flat(text_of(app))
        assert app.status.stage("Data").state == "needs_you"


async def test_start_after_the_end(clinic, program):
    release_untuned(clinic, ladder.settings_of(clinic), told=lambda _: None)
    clinic.plans.mkdir(exist_ok=True)
    (clinic.plans / "P-001.toml").touch()  # a plan that was made before does not open the training again
    async with playing(program(clinic.root)) as (app, pilot):
        assert f"L-001, {now():%Y-%m-%d}" in text_of(app) and app.status.next is None
        for number, stage in list(enumerate(app.status.stages, 1))[6:9]:
            assert f"{number} - {stage.name}" in text_of(app) and stage.word == "not needed"
        screen = await opened(pilot, 4)
        await until(pilot, lambda: screen.state == "empty")
        await press(pilot, "enter")
        assert app.screen.stage == "Release"
        advice = await opened(pilot, 2)
        assert app.status.next is None and "(0)" in advice.next  # nobody is sent back to the plan
        await press(pilot, "enter")
        assert app.screen.stage == "Release"


def asked(screen):
    """The figures of the question, and whether it stands in its row."""
    return re.findall(r"\d[\d,]*\.?\d*(?<!,)", screen.question), screen.question in text_of(screen.app).split("\n")[22]


async def test_what_measuring_takes_stands_in_its_question(clinic, program):
    async with on_stage(program(clinic.root), 6) as (app, pilot, screen):
        await pilot.press("R")
        arms = screen.data.arms
        tokens = sum(arm.input_tokens + arm.output_tokens for arm in arms)
        assert asked(screen) == (["2", "120", f"{tokens:,}", "0.00"], True)
        await pilot.press("escape", "j", "r")
        assert asked(screen) == (["60", f"{arms[1].input_tokens + arms[1].output_tokens:,}", "0.00"], True)
        await pilot.press("escape")
        assert screen.command.endswith("--arms prompt") and screen.command in text_of(app)
        path = clinic.evaluations / "E-001" / "report.json"
        found = read_artefact(path, Report)
        arms = [revised(arm, p50_seconds=2.0 + n) for n, arm in enumerate(found.arms)]
        write_artefact(path, revised(found, arms=arms, test_sha256="0" * 64))
        screen.reload()
        await sees(pilot, "about 5 min here, $0.00")  # as an earlier report tells
        await pilot.press("enter")
        assert asked(screen) == (["2", "120", "0.00"], True)
        assert not app.jobs


# Done


async def test_six_open_gates_start_nothing_before_yes(clinic, program):
    plan = ladder.planned(clinic)
    async with on_stage(program(clinic.root), 7) as (app, pilot, screen):
        assert screen.data.is_open and [gate.opens for gate in screen.data.gates] == [True] * 6
        await sees(pilot, "6 of 6")
        await pilot.press("enter")
        assert screen.question and ("Enter", "next") not in screen.hints()
        await pilot.press("escape", "e")  # nothing was edited: no plan is computed
        assert "rung.toml" in screen.message and not app.jobs
    assert plan.is_file() and not list(clinic.root.glob("runs/*"))


def test_start_and_baselines_name_the_arm_that_validation_chose(clinic):
    facts = read_facts(clinic)
    report = facts.baseline
    chosen = next(arm for arm in report.arms if arm.arm == report.chosen)
    arms = [arm if arm is chosen or not arm.prompted else revised(arm, score=1.0) for arm in report.arms]
    lucky = replace(facts, baseline=revised(report, arms=arms))
    reason = status_of(lucky).stage("Baselines").reason
    assert arm_name(chosen.arm) in reason and f"{chosen.score:.1%}" in reason and "100.0%" not in reason


async def test_a_wrong_setting_is_shown_and_the_screens_open(project, program):
    text = (project / "rung.toml").read_text()
    (project / "rung.toml").write_text(text.replace("pool =", "pol ="))
    async with playing(program(project)) as (app, pilot):
        assert '"review.pol"' in text_of(app)
        await press(pilot, "2")
        assert app.screen.data is not None
