"""Work beside the program: it tells how far it is, ends at once when it is left, and leaves no process behind."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import beside_work
import pytest
from conftest_tui import opening, playing, until
from lives import gone, wait_until

from rung.tui import worker_process as beside
from rung.tui.worker_process import Beside
from workspace.errors import RungError

SOON = 20.0
"""Seconds in which work that was left has ended also where the machine is busy; by itself it takes a minute."""


HERE = os.pathsep.join([str(Path(__file__).parent), *sys.path])


@pytest.fixture
def work(monkeypatch):
    """Have a function of `beside_work` done by a process that finds it."""
    monkeypatch.setenv("PYTHONPATH", HERE)
    made = Beside()
    yield lambda function, *given: made.call(function, *given, heard=print, left=lambda: False)
    made.close()


def test_a_process_that_ended_while_it_waited_is_replaced(work):
    first = work(beside_work.done)
    os.kill(first, signal.SIGKILL)
    assert work(beside_work.done) != first


def test_one_that_ends_at_work_is_told_and_not_tried_for_ever(work):
    with pytest.raises(RungError):
        work(beside_work.dies)


@pytest.mark.parametrize(
    ("kind", "datum", "hint"),
    [("ours", "r-1", "rung status"), ("file", "/no/such", ""), ("fault", "odd", "rung doctor")],
)
def test_what_goes_wrong_there_is_said_here(work, kind, datum, hint):
    with pytest.raises(RungError, match=datum) as told:
        work(beside_work.wrong, kind)
    assert told.value.hint == hint
    assert work(beside_work.done)


def test_it_ends_by_itself_when_nobody_asks():
    _, theirs = beside.Pipe()
    code = f"import rung.tui.worker_process as b; b.IDLE = 0.2; b.serve(b.Connection({theirs.fileno()}))"
    with subprocess.Popen([sys.executable, "-P", "-c", code], pass_fds=(theirs.fileno(),)) as idle:
        assert idle.wait(60) == 0


def test_no_library_that_draws_is_read_there():
    names = "rung.tui.worker_process, rung.tui.data.row_work"
    code = f"import sys, {names}; print(sorted({{'textual', 'rich'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True).stdout == "[]\n"


@pytest.mark.parametrize("way", ["x", "2", "quit"])
async def test_a_check_that_is_stopped_or_left_or_quit_ends_with_its_process(project, program, way, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", HERE)
    monkeypatch.setattr("rung.tui.data.data_screen.checked", beside_work.never_ends)
    app = program(project)
    app.source.moment()  # 0 is no time at which anything begins
    async with playing(app) as (_, pilot):
        screen = await opening(pilot, 3)
        await until(pilot, lambda: screen.heard)
        process = int(screen.heard[0])
        assert not gone(process)
        began = time.monotonic()
        if way == "quit":
            app.exit()
        else:
            await pilot.press(way)
            await until(pilot, lambda: gone(process))
            assert time.monotonic() - began < SOON
        if way == "x":
            assert screen.message == screen.stopped
    while not gone(process) and time.monotonic() - began < 2 * SOON:
        await asyncio.sleep(0.02)
    assert gone(process)


def test_it_ends_at_once_when_the_program_is_killed(monkeypatch):
    code = (
        "import beside_work; from rung.tui.worker_process import Beside; "
        "Beside().call(beside_work.never_ends, heard=lambda word: print(*word, flush=True), left=lambda: False)"
    )
    monkeypatch.setenv("PYTHONPATH", HERE)
    with subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True) as program:
        pid = int(program.stdout.readline().split()[1])
        assert not gone(pid)
        program.kill()
        wait_until(lambda: gone(pid))
