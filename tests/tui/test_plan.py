"""Plan: gates that lock it and who may set them aside, what fits where the plan does not, a plan that was trained."""

from __future__ import annotations

import os

import ladder
import pytest
from conftest_tui import idle, on_stage, sees, text_of, until
from lives import processes
from vouched import rewrite

from evaluation.measurement_report import Report
from rung.tui.screens.page_screen import SignScreen, WhyScreen
from workspace.artefact import read_artefact


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


@pytest.fixture
def card(tmp_path, monkeypatch):
    """A machine whose driver tells of one card with 24 GiB."""
    tool = tmp_path / "bin" / "nvidia-smi"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 'NVIDIA A10, 24576'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.cold  # a fork might have ended before its job is looked at
async def test_enter_takes_the_method_that_fits(clinic, program, card):
    toml = clinic.settings_file.read_text()
    method = 'method = "full"' if "method" not in toml else ""
    clinic.settings_file.write_text(
        toml.replace("[training]", f"[training]\n{method}") + '[model]\nbase = "Qwen/Qwen3-8B"\n'
    )
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
