"""Work beside the program: it tells how far it is, ends at once when it is left, and leaves no process behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import beside_work
import pytest
from conftest_tui import on_stage, opened, running, settled, until
from in_shell import rung
from lives import gone, wait_until

from rung.tui import worker_process as beside
from rung.tui.worker_process import Beside, Left
from workspace.errors import RungError

SOON = 20.0
"""Seconds in which work that was left has ended also where the machine is busy; by itself it takes a minute."""


@pytest.fixture
def work(monkeypatch):
    """A `Beside` whose process finds the functions of `beside_work`."""
    monkeypatch.setenv("PYTHONPATH", HERE)
    made = Beside()
    yield made
    made.close()


HERE = os.pathsep.join([str(Path(__file__).parent), *sys.path])


def never():
    return False


def test_what_it_says_is_heard_in_order_and_the_next_work_meets_the_same_process(work):
    heard = []
    first = work.call(beside_work.count, 3, heard=heard.append, left=never)
    second = work.call(beside_work.count, 0, heard=heard.append, left=never)
    assert heard == [(0,), (1,), (2,)]
    assert first == second != os.getpid()


def test_work_that_is_left_ends_in_the_middle_of_whatever_it_does(work):
    pids = []
    began = 0.0

    def left():
        nonlocal began
        if pids and not began:
            began = time.monotonic()
        return bool(pids)

    with pytest.raises(Left):
        work.call(beside_work.deaf, heard=lambda word: pids.append(word[0]), left=left)
    wait_until(lambda: gone(pids[0]))
    assert time.monotonic() - began < SOON
    assert work.call(beside_work.count, 0, heard=pids.append, left=never) != pids[0]


def test_a_process_that_ended_while_it_waited_is_replaced(work):
    first = work.call(beside_work.count, 0, heard=print, left=never)
    os.kill(first, signal.SIGKILL)
    assert work.call(beside_work.count, 0, heard=print, left=never) != first


def test_one_that_ends_at_work_is_told_and_not_tried_for_ever(work):
    with pytest.raises(RungError):
        work.call(beside_work.dies, heard=print, left=never)


@pytest.mark.parametrize(
    ("kind", "datum", "hint"),
    [("ours", "r-1", "rung status"), ("file", "/no/such", ""), ("fault", "odd", "rung doctor")],
)
def test_what_goes_wrong_there_is_said_here(work, kind, datum, hint):
    with pytest.raises(RungError, match=datum) as told:
        work.call(beside_work.wrong, kind, heard=print, left=never)
    assert told.value.hint == hint
    assert work.call(beside_work.count, 0, heard=print, left=never)


def test_it_ends_by_itself_when_nobody_asks_and_when_the_program_is_gone():
    ours, theirs = beside.Pipe()
    code = f"import rung.tui.worker_process as b; b.IDLE = 0.2; b.serve(b.Connection({theirs.fileno()}))"
    with subprocess.Popen([sys.executable, "-P", "-c", code], pass_fds=(theirs.fileno(),)) as idle:
        assert idle.wait(60) == 0
    code = code.replace("0.2", "600")
    with subprocess.Popen([sys.executable, "-P", "-c", code], pass_fds=(theirs.fileno(),)) as waits:
        theirs.close()
        ours.close()
        assert waits.wait(60) == 0


def test_no_library_that_draws_is_read_there():
    names = "rung.tui.worker_process, rung.tui.data.row_work"
    code = f"import sys, {names}; print(sorted({{'textual', 'rich'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True).stdout == "[]\n"


def children():
    """Processes of this one that work beside it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        if b"rung.tui.worker_process" in words and parent == os.getpid() and not gone(int(folder.name)):
            found.append(int(folder.name))
    return found


@pytest.mark.parametrize("way", ["x", "2", "quit"])
async def test_a_check_that_is_stopped_or_left_or_quit_ends_with_its_process(project, program, way, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", HERE)
    monkeypatch.setattr("rung.tui.data.data_screen.checked", beside_work.never_ends)
    app = program(project)
    app.source.moment()  # 0 is no time at which anything begins
    async with running(app) as pilot:
        await settled(pilot)
        screen = await opened(pilot, 3)
        await until(pilot, lambda: "Never ends" in screen.heard)
        assert children()
        began = time.monotonic()
        if way == "quit":
            app.exit()
        else:
            await pilot.press(way)
            await until(pilot, lambda: not children())
            assert time.monotonic() - began < SOON
        if way == "x":
            assert screen.message == screen.stopped
    while children() and time.monotonic() - began < 2 * SOON:
        await asyncio.sleep(0.02)
    assert not children()


async def test_data_says_of_a_row_that_is_too_long_for_the_own_model_what_the_command_says(project, program, tmp_path):
    model = tmp_path / "model"
    model.mkdir()
    (model / "config.json").write_text(json.dumps({"max_position_embeddings": 8}))
    settings = project / "rung.toml"
    settings.write_text(settings.read_text().replace('base = "embedded"', f'base = "{model}"'))
    async with on_stage(program(project), 3, size=(100, 30)) as (app, _, _):
        here = {finding.name: finding.rows for finding in app.screen.data.findings}
    said = rung("data", "check", "--json", cwd=project)
    there = {finding["name"]: finding["rows"] for finding in json.loads(said.stdout)["findings"]}
    assert "over_long" in here and here == there


def test_it_ends_at_once_when_the_program_is_killed(monkeypatch):
    code = (
        "import beside_work; from rung.tui.worker_process import Beside; "
        "Beside().call(beside_work.deaf, heard=lambda word: print(*word, flush=True), left=lambda: False)"
    )
    monkeypatch.setenv("PYTHONPATH", HERE)
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) as program:
        pid = int(program.stdout.readline())
        assert not gone(pid)
        program.kill()
        wait_until(lambda: gone(pid))
