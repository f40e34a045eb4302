"""The real program in a real terminal, with real keys; killed at any moment it loses nothing."""

from __future__ import annotations

import re
import shutil
import tomllib

import pytest
from lives import wait_until
from review_rows import drafts, stored
from terminal import Terminal

from rung.tui.job import running_jobs

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.end()


def test_keys_kill_and_go_on(terminal, project):
    (project / "answers.toml").unlink()
    terminal.start(project)
    terminal.see("opens it")
    terminal.keys("1", "1")
    wait_until((project / "answers.toml").is_file)
    terminal.see("2 of ")
    for there in ("1 of ", "opens it"):
        terminal.keys("Escape")
        terminal.see(there)
    terminal.keys("4")
    terminal.see("a approve")
    terminal.keys("a")
    wait_until(lambda: "approved" in [row.state for row in stored(project).values()])
    terminal.see("a approve")
    terminal.keys("e")
    terminal.see("^S")
    terminal.keys("End", "Q", "Q")
    assert "+ C" in terminal.see("QQ")
    wait_until(lambda: any(text.endswith("QQ") for text in drafts(project).values()))
    terminal.kill()
    assert tomllib.loads((project / "answers.toml").read_text())["task"] == "classification"
    assert [row.state for row in stored(project).values()].count("approved") == 1
    assert any(text.endswith("QQ") for text in drafts(project).values())

    terminal.start(project, "review", "--reviewer", "dana")
    terminal.see("a approve")
    terminal.keys("C-q")
    terminal.see("dead")


STYLE = re.compile(r"\x1b\[([0-9;]*)m([^\x1b]*)")
SIXTEEN = {*range(30), *range(30, 38), 39, *range(40, 48), 49, *range(90, 98), *range(100, 108)}


def colours_of(text):
    """(foreground, background) of all that is drawn, as codes of 16 colours; 39 and 49 are the terminal's own."""
    found, now = set(), {"front": 39, "back": 49}
    for codes, drawn in STYLE.findall(text):
        for code in map(int, codes.split(";") if codes else ["0"]):
            assert code in SIXTEEN, f"{codes}: not one of 16 colours"
            now |= {"front": 39, "back": 49} if code == 0 else {}
            now |= {"front": code} if code // 10 in (3, 9) else {"back": code} if code // 10 in (4, 10) else {}
        if drawn.strip():
            found.add((now["front"], now["back"]))
    return found


@pytest.mark.parametrize("term", [pytest.param("xterm-16color", marks=pytest.mark.slow), "xterm"])
def test_sixteen_colours_are_enough_to_read_every_stage(terminal, project, term):
    terminal.start(project, term=term)
    for key, words in (("", "opens it"), ("2", "Next step"), ("4", "a approve"), ("]", "Rows"), ("9", "Locked")):
        if key:
            terminal.keys(key)
        terminal.see(words)
        pairs = colours_of(terminal.tmux("capture-pane", "-e", "-p", "-t", "rung"))
        assert pairs
        for front, back in pairs:
            assert front + 10 != back, (front, back)
            assert (front, back) != (30, 49), "black on a terminal that may be black"
            assert (front, back) != (97, 47), "white on white"


@pytest.mark.slow
def test_a_program_that_is_killed_leaves_its_measuring_and_finds_it_again(terminal, served):
    project, server = served
    terminal.start(project.root)
    terminal.see("opens it")
    terminal.keys("6")
    terminal.see("$0.00")
    terminal.keys("Enter", "y")
    wait_until(lambda: server.loopback.requests)
    (job,) = running_jobs(project.root)
    terminal.kill()
    assert job.is_running  # kill -9 on the program, the measuring goes on

    terminal.start(project.root)
    terminal.see("rung baseline")
    terminal.keys("C-q")  # leaving does not wait for it
    terminal.see("dead", 20)
    assert job.is_running
    terminal.end()

    terminal.start(project.root)
    terminal.see("rung baseline")
    terminal.keys("6")
    terminal.see("x stop")
    server.go.set()
    terminal.see("E-001", 90)
    colours = terminal.tmux("capture-pane", "-e", "-p", "-t", "rung")
    assert "38;2;" not in colours  # this terminal has no more than 256 colours, and gets no more
