"""Plan and Train: gates and who may set them aside, what fits; every state of a run as its own files show it."""

import os
import re
from datetime import timedelta

import ladder
import pytest
from conftest_tui import flat, idle, on_stage, playing, sees, text_of, until
from lives import processes
from vouched import rewrite

from evaluation.measurement_report import Report
from rung.tui.screens.page_screen import SignScreen, WhyScreen
from training.plan.memory_fit import this_machine
from training.runs import LOCK, Remote, append_metric, read_run, write_run
from workspace.artefact import read_artefact
from workspace.lock import writer_lock


async def test_the_advice_locks_the_plan_until_a_person_sets_it_aside(clinic, program):
    answers = clinic.answers_file.read_text().replace('few_shot = "insufficient"', 'few_shot = "untried"')
    clinic.answers_file.write_text(answers)
    ladder.advise_project(clinic)
    ladder.planned(clinic)
    async with on_stage(program(clinic.root), 7, size=(100, 32)) as (app, pilot, screen):
        assert screen.data.closed.name == "decision" and not screen.data.is_open
        assert screen.marked == "gate:decision"
        await pilot.press("enter")
        assert "few-shot" in screen.message
        await pilot.press("ctrl+o")
        await until(pilot, lambda: isinstance(app.screen, SignScreen) and app.screen.is_mounted)
        await pilot.press("enter")  # without a reason nothing is signed
        assert isinstance(app.screen, SignScreen)
        await pilot.press("escape")
        assert not app.jobs and not clinic.runs.exists()


async def test_a_gate_that_nobody_may_set_aside(clinic, program):
    ladder.planned(clinic)
    (clinic.datasets / "v001" / "train.jsonl").write_text("")
    async with on_stage(program(clinic.root), 7, size=(100, 32)) as (app, pilot, screen):
        assert screen.marked == "gate:dataset"
        await pilot.press("ctrl+o")
        assert app.screen is screen and screen.message and not screen.data.is_open


@pytest.mark.cold  # a fork might have ended before its job is looked at
async def test_enter_takes_the_method_that_fits(clinic, program, monkeypatch):
    """On a machine whose driver reports one card with 24 GiB."""
    tool = clinic.root / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A10, 24576'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{clinic.root}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    toml = clinic.settings_file.read_text().replace("[training]", '[training]\nmethod = "full"')
    clinic.settings_file.write_text(toml + '[model]\nbase = "Qwen/Qwen3-8B"\n')
    ladder.planned(clinic)
    async with on_stage(program(clinic.root), 7, size=(100, 36)) as (app, pilot, screen):
        assert "24.0" in text_of(app)
        first, *_, (method, least) = screen.data.instead.items()
        assert method == "qlora"
        assert least.expected < first[1].expected < screen.data.fit.expected
        assert screen.data.closed.name == "machine"
        takes = screen.data.takes
        assert f"take {takes}" in screen.next
        assert screen.command.split()[-2:] == ["--method", takes]
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.jobs))
        assert app.jobs["Plan"].arguments == ("plan", "--method", takes)
        app.jobs["Plan"].stop()
        await idle(pilot, screen)
    assert not clinic.runs.exists()


@pytest.mark.cold
async def test_x_stops_a_dry_run_and_its_child_at_once(clinic, program):
    ladder.planned(clinic)
    async with on_stage(program(clinic.root), 7) as (app, pilot, screen):
        await pilot.press("x")
        await pilot.press("d")
        await until(pilot, lambda: processes("dry-run", str(clinic.root)))
        assert ("x", "stop") in screen.hints()
        await pilot.press("x")
        await until(pilot, lambda: not app.jobs)
        assert not processes("dry-run", str(clinic.root))
        assert "Interrupted." in (clinic.root / ".jobs" / "plan.err").read_text(), "it could save what was done"
        await idle(pilot, screen)
        assert screen.message == screen.stopped
    assert not list(clinic.plans.glob("*.preflight.json"))


async def test_why_of_a_gate_speaks_in_the_words_of_the_screen(clinic, program):
    report = clinic.evaluations / "E-001" / "report.json"
    found = read_artefact(report, Report)
    arms = [arm.model_copy(update={"arm": "retrieved"}) if arm.arm == "base" else arm for arm in found.arms]
    rewrite(report, Report, arms=arms, chosen="retrieved")
    ladder.planned(clinic)
    async with on_stage(program(clinic.root), 7, size=(100, 40)) as (app, pilot, screen):
        await sees(pilot, "25.0%")
        for gate, datum in (("decision", "fine-tune"), ("baseline", "E-001"), ("leakage", ": 0"), ("machine", "GiB")):
            screen.lines.marked = f"gate:{gate}"
            await pilot.press("w")
            await until(pilot, lambda: isinstance(app.screen, WhyScreen))
            await sees(pilot, datum)
            assert not [raw for raw in ("fine_tune", "next_step", "gib:", "has:") if raw in text_of(app)]
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is screen)


@pytest.mark.parametrize(
    ("state", "steps", "figures"),
    [("starting", 0, "45 s so far"), ("running", 3, "3 of 12, about 18 s left"), ("paused", 3, "3 of 12")],
)
async def test_a_run_that_lives(clinic, held, state, steps, figures):
    folder = ladder.cleared(clinic)
    app = held(clinic.root)
    begun = app.source.now() - timedelta(seconds=45)
    write_run(folder, read_run(folder), state=state, started_at=begun, steps=12)
    ladder.written(folder, steps)
    with writer_lock(folder / LOCK, "R-001"):
        async with playing(app) as (_, pilot):
            train, shown = app.status.stage("Train"), text_of(app)
            assert app.status.next is train and train.command.endswith(" R-001")
            assert "R-001" in shown and "sam" in shown
            await pilot.press("enter")
            await until(pilot, lambda: app.screen.stage == "Train")
            await sees(pilot, figures)
            if state == "starting":
                for done, told in ((10, ", about 2 min left"), (30, ".")):
                    append_metric(folder, {"kind": "loading", "done": done, "of": 30})
                    await sees(pilot, f"{done} of 30 layers, 45 s so far{told}")
            assert ("p", "go on" if state == "paused" else "pause") in app.screen.hints()
            ladder.written(folder, 5)
            write_run(folder, read_run(folder), state="running")
            await sees(pilot, "5 of 12, about 14 s left")
            await sees(pilot, f"795 tokens/s 8.7 of {this_machine().memory_gib:.1f} GiB rate 6.3e-05")


@pytest.mark.parametrize("state", ["starting", "running", "finished"])
async def test_a_run_on_a_rented_machine_shows_its_money(clinic, program, state):
    folder = ladder.cleared(clinic)
    app = program(clinic.root)
    begun = app.source.now() - timedelta(minutes=90)
    gpu = Remote(name="gpu", host="gpu", root="rung-runs/p", usd_per_hour=2.0)
    write_run(folder, read_run(folder), state=state, started_at=begun, remote=gpu, steps=12, ended_at=app.source.now())
    if state != "starting":
        ladder.written(folder, 3)
    with writer_lock(folder / LOCK, "R-001"):
        async with on_stage(app, 8) as (_, pilot, _):
            await sees(pilot, "$3.00 so far")
            assert f"{this_machine().memory_gib:.1f}" not in text_of(app)


@pytest.mark.parametrize(
    ("state", "ending", "data", "following"),
    [
        ("stopped", "by the owner", ("8:", "by the owner"), "R-001"),
        ("crashed", "disk full, 0.2 GB left of 500", ("8:", "disk full, 0.2 GB left of 500"), "R-001"),
        ("failed", "the loss is no number", ("8:", "the loss is no number"), "(7)"),
        ("finished", "finished", ("14 min", "step 8", "0.410"), "(9)"),
    ],
)
async def test_a_run_that_ended(clinic, program, state, ending, data, following):
    folder = ladder.cleared(clinic)
    ladder.written(folder, 8)
    changes = {"best_step": 8, "best_loss": 0.41} if state == "finished" else {}
    write_run(folder, read_run(folder), state=state, ending=ending, step=8, steps=12, seconds=820.0, **changes)
    async with on_stage(program(clinic.root), 8) as (app, pilot, screen):
        assert all(datum in flat(text_of(app)) for datum in data) and following in screen.next
        assert "p" not in {key for key, _ in screen.hints()}
        await pilot.press("x")
        assert not screen.question and not (folder / "control").exists()
        if state == "failed":
            await pilot.press("enter")
            await until(pilot, lambda: app.screen.stage == "Plan")


@pytest.mark.parametrize(("above", "said"), [(1, ";[^,]+,"), (3, "s,")])
async def test_a_check_above_the_best_is_warned_of_and_samples_are_words(clinic, program, above, said):
    folder = ladder.cleared(clinic)
    sample = {"question": "COPD [red]x[/]\x1b[31m", "expected": "J44.1", "output": "J44.9", "right": False}
    check = {"kind": "validation", "step": 6, "steps": 12, "loss": 0.9, "error": 0.1, "best_loss": 0.4}
    check |= {"best_step": 2, "above": above, "samples": [sample]}
    check |= {"score": 0.71, "beat": {"arm": "few_shot", "score": 0.743}}
    ladder.written(folder, 6, check)
    write_run(folder, read_run(folder), state="running", steps=12)
    with writer_lock(folder / LOCK, "R-001"):
        async with on_stage(program(clinic.root), 8, size=(100, 30)) as (app, pilot, screen):
            shown = "COPD [red]x[/]\\u001b[31m -> J44.9"
            await sees(pilot, shown)
            assert "few-shot 74.3%" in flat(text_of(app)), "the line to beat"
            assert re.fullmatch(rf"! \D+ {above} check{said}\D+ 2", screen.message), screen.message
            assert screen.message in text_of(app).split("\n")[28] and screen.message[2:] in flat(text_of(app))
            await pilot.press("v")
            await sees(pilot, "step 6")
            assert shown in text_of(app)
