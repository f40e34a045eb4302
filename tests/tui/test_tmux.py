"""The real program in a real terminal, with real keys; killed at any moment it loses nothing."""

from __future__ import annotations

import re
import shutil
import threading
import tomllib

import demo_project
import pytest
from hosted_replies import completion
from lives import wait_until
from review_rows import drafts, stored
from terminal import Terminal

from curation.store import open_store
from evaluation.measurement_report import Report
from rung.text.baseline_text import best_label
from rung.tui.job import running_jobs
from workspace.artefact import read_artefact
from workspace.folder import Project
from workspace.settings import load_settings

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


@pytest.fixture
def terminal():
    made = Terminal()
    yield made
    made.end()


def test_keys_kill_and_go_on(terminal, project):
    (project / "answers.toml").unlink()
    terminal.start(project)
    terminal.see("Enter opens it")
    terminal.keys("1")
    terminal.see("No advice yet")
    terminal.keys("1")
    terminal.see("saved")
    terminal.keys("2")
    terminal.see("2 of about")
    terminal.kill()
    said = tomllib.loads((project / "answers.toml").read_text())
    assert said["task"] == "classification"
    assert "prompting" in said["answered"]

    terminal.start(project)
    terminal.see("Enter opens it")
    terminal.keys("1")
    terminal.see("3 of about")
    terminal.keys("Escape")
    terminal.see("Enter opens it")
    terminal.keys("4")
    terminal.see("Proposed answer")
    terminal.keys("a")
    terminal.see("approved r-")
    terminal.keys("e")
    terminal.see("save and approve")
    terminal.keys("End", "Q", "Q")
    draft = terminal.see("QQ")
    assert "+ C" in draft
    wait_until(lambda: any(text.endswith("QQ") for text in drafts(project).values()))
    terminal.kill()

    rows = stored(project)
    assert [row.state for row in rows.values()].count("approved") == 1
    assert any(text.endswith("QQ") for text in drafts(project).values())

    terminal.start(project, "review", "--reviewer", "dana")
    terminal.see("Proposed answer")
    terminal.keys("C-q")
    terminal.see("dead")


def test_the_whole_way_round_in_a_small_terminal(project):
    small = Terminal(60, 20)
    try:
        small.start(project)
        small.see("Questions")
        for key, words in (("2", "Next step"), ("9", "Locked"), ("Enter", "Locked"), ("Escape", "Questions")):
            small.keys(key)
            small.see(words)
        small.keys("q")
        small.see("dead")
    finally:
        small.end()


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
    terminal.see("Enter opens it")
    for key, words in (
        ("", "The ladder"),
        ("2", "Next step"),
        ("4", "Proposed answer"),
        ("]", "Rows"),
        ("9", "Locked"),
    ):
        if key:
            terminal.keys(key)
        terminal.see(words)
        pairs = colours_of(terminal.tmux("capture-pane", "-e", "-p", "-t", "rung"))
        assert pairs
        for front, back in pairs:
            assert front + 10 != back, (front, back)
            assert (front, back) != (30, 49), "black on a terminal that may be black"
            assert (front, back) != (97, 47), "white on white"


@pytest.fixture(scope="module")
def demo_made(tmp_path_factory):
    """The demo's own project after its own first steps: test rows in, reviewed by table, frozen; the pool in."""
    return demo_project.demo(tmp_path_factory.mktemp("demo") / "rung-demo", "import-pool").root


@pytest.fixture
def demo(demo_made, tmp_path, loopback, monkeypatch):
    """A copy of it whose model is a server on loopback that answers only when it is let."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    folder = tmp_path / "rung-demo"
    shutil.copytree(demo_made, folder)
    served = f'provider = "openai"\nbase = "tiny"\nbase_url = "{loopback.url}/v1"'
    settings = (folder / "rung.toml").read_text()
    assert 'base = "embedded"' in settings
    settings = settings.replace('base = "embedded"', served).replace(
        "[evaluation]", '[evaluation]\narms = ["base", "prompt"]'
    )
    (folder / "rung.toml").write_text(settings)
    loopback.go = threading.Event()
    loopback.say(lambda _handler, _request: loopback.go.wait(60) and (200, completion("E11 other none")))
    yield folder
    loopback.go.set()
    for job in running_jobs(folder):
        job.stop()


@pytest.mark.slow
def test_the_demo_by_keys_killed_and_found_again(terminal, demo, loopback):
    terminal.start(demo)
    terminal.see("Enter opens it")
    before = terminal.text()
    assert f"v001: test set only, {demo_project.TEST} test" in before
    terminal.keys("3")
    terminal.see("the dataset", 90)
    terminal.see("blocks")
    events = len(events_of(demo))
    terminal.keys("f")  # the marked finding blocks: its rows go where they belong
    wait_until(lambda: any(event.kind == "exclude" for event in events_of(demo)[events:]))
    terminal.keys("6")
    terminal.see("No arm measured yet")
    terminal.keys("Enter", "y")
    terminal.see("Measuring.")
    wait_until(lambda: loopback.requests)
    job = running_jobs(demo)[0]
    terminal.kill()
    assert job.is_running  # kill -9 on the program, the measuring goes on
    assert not list((demo / "evaluations").glob("*/report.json"))

    terminal.start(demo)
    terminal.see("Next: rung baseline is running.")
    terminal.keys("Enter")
    terminal.see("Measuring.")
    terminal.keys("C-q")  # leaving does not wait for it
    terminal.see("dead", 20)
    assert job.is_running
    terminal.end()

    terminal.start(demo)
    terminal.see("Next: rung baseline is running.")
    terminal.keys("6")
    terminal.see("Measuring.")
    loopback.go.set()
    terminal.see("Does anything cheaper", 90)
    report = read_artefact(next((demo / "evaluations").glob("*/report.json")), Report)
    assert report.n == demo_project.TEST
    terminal.keys("Escape")
    terminal.see(best_label(report).lower())
    colours = terminal.tmux("capture-pane", "-e", "-p", "-t", "rung")
    assert "38;2;" not in colours  # this terminal has no more than 256 colours, and gets no more
    terminal.keys("q")
    terminal.see("dead")


def events_of(folder):
    """The log of the project."""
    opened = Project(folder)
    with open_store(opened, load_settings(opened.settings_file)) as store:
        return store.events()
