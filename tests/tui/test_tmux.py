"""The real program in a real terminal, with real keys; killed at any moment it loses nothing."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import uuid

import pytest
from test_review import stored

from curation.review import next_item, open_desk
from workspace.folder import Project
from workspace.settings import load_settings

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """One tmux session on a server of its own."""

    def __init__(self, width=80, height=24):
        self.server = ""
        self.width, self.height = width, height

    def tmux(self, *words):
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        return subprocess.run(
            ["tmux", "-L", self.server, *words], env=clean, capture_output=True, text=True, check=True
        ).stdout

    def start(self, folder, *arguments):
        """`rung ARGUMENTS` in this folder."""
        self.server = f"rung-{uuid.uuid4().hex[:8]}"  # a server that is ending takes no new session
        command = shlex.join([sys.executable, "-P", "-m", "rung", *arguments])
        size = ["-x", str(self.width), "-y", str(self.height)]
        environment = ["-e", "LC_ALL=C.UTF-8", "-e", "LANG=C.UTF-8"]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "rung", *size, *environment, "-c", str(folder), command)
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *keys):
        for key in keys:
            self.tmux("send-keys", "-t", "rung", key)
            time.sleep(0.1)

    def text(self):
        return self.tmux("capture-pane", "-p", "-t", "rung")

    def see(self, words, seconds=60):
        """Wait until these words stand on the screen; gives the screen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in (shown := self.text()):
                return shown
            time.sleep(0.1)
        raise AssertionError(f"{words!r} did not come:\n{self.text()}")

    def kill(self):
        """kill -9 on the program."""
        os.kill(int(self.tmux("list-panes", "-F", "#{pane_pid}")), signal.SIGKILL)
        self.end()

    def end(self):
        subprocess.run(["tmux", "-L", self.server or "rung-none", "kill-server"], capture_output=True, check=False)


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
    time.sleep(1.0)
    terminal.kill()

    rows = stored(project)
    assert [row.state for row in rows.values()].count("approved") == 1
    opened = Project(project)
    settings = load_settings(opened.settings_file)
    with open_desk(opened, settings).store as store:
        held = [row.id for row in store.rows() if row.state == "leased"]
    drafts = []
    for row in held:
        desk = open_desk(opened, settings)
        item = next_item(desk, "dana", want=row).item
        drafts += [item.draft["messages"][-1]["content"]] if item and item.draft else []
        desk.store.close()
    assert any(text.endswith("QQ") for text in drafts)

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
