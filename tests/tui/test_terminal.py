"""The program and the person's own editor in a real terminal, with real keys; killed at any moment it loses nothing."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
import tomllib
import uuid

import pytest
from conftest_tui import on_stage, press
from lives import PATIENCE, wait_until
from review_rows import NERVE, begun, drafts, log, stored

from rung.tui.editor import draft_file, edit_file, edit_outside, editor_command
from rung.tui.job import running_jobs
from workspace.errors import RungError
from workspace.folder import Project


class Terminal:
    """One tmux session of 80x24 on a server of its own."""

    server = ""

    def tmux(self, *words):
        clean = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        return subprocess.run(
            ["tmux", "-L", self.server, *words], env=clean, capture_output=True, text=True, check=True
        ).stdout

    def start(self, folder, *arguments, term=""):
        """`rung ARGUMENTS` in this folder; `term` is what the program is told of the terminal."""
        self.server = f"rung-{uuid.uuid4().hex[:8]}"  # a server that is ending takes no new session
        told = ["env", "-u", "COLORTERM", f"TERM={term}"] if term else []
        command = shlex.join([*told, sys.executable, "-P", "-m", "rung", *arguments])
        ways = ["-x", "80", "-y", "24", "-e", "LC_ALL=C.UTF-8", "-e", "LANG=C.UTF-8", "-c", str(folder)]
        self.tmux("-f", "/dev/null", "new-session", "-d", "-s", "rung", *ways, command)
        self.tmux("set-option", "-g", "remain-on-exit", "on")

    def keys(self, *keys):
        for key in keys:
            self.tmux("send-keys", "-t", "rung", key)
            time.sleep(0.1)

    def text(self):
        return self.tmux("capture-pane", "-p", "-t", "rung")

    def see(self, words, seconds=PATIENCE):
        """Wait until these words stand on the screen, or the program has ended; gives the screen."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if words in (shown := self.text()):
                return shown
            if "is dead" in shown:
                break
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
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
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
    terminal.see("60 items")
    terminal.keys("Enter", "y")
    wait_until(lambda: server.requests)
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


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Make an editor out of lines of Python; the file's path is in `path`."""

    def make(body):
        file = tmp_path / "my editor.py"
        file.write_text(f"import pathlib, sys, time\npath = pathlib.Path(sys.argv[-1])\n{body}\n")
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{file}'")
        monkeypatch.delenv("VISUAL", raising=False)

    return make


@pytest.fixture
def reviewer(tmp_path, terminal):
    """A project in review, and a terminal in which `again()` starts the program on its first row and presses E."""
    folder = begun(tmp_path / "icd")

    def again():
        terminal.start(folder, "review", "--reviewer", "dana")
        terminal.see("E11.40")
        terminal.keys("E")

    return folder, terminal, again


def test_a_long_text_goes_out_and_comes_back(reviewer, script):
    script("path.write_text(path.read_text().replace('E11.40', 'E11.42') + '\\n'); time.sleep(0.5)")
    folder, terminal, again = reviewer
    again()
    assert "- E11.40" in terminal.see("+ E11.42")
    assert log(folder) == []
    terminal.keys("C-s")
    wait_until(lambda: log(folder))
    terminal.keys("C-q")
    terminal.see("dead")
    assert stored(folder)["r-000001"].example.answer == NERVE.replace("E11.40", "E11.42")
    assert not (folder / ".drafts").exists()


def test_a_kill_while_the_editor_is_open_loses_nothing(reviewer, script):
    script("path.write_text(path.read_text() + 'KEPT')\npath.with_suffix('.on').touch()\ntime.sleep(20)")
    folder, terminal, again = reviewer
    path = draft_file(Project(folder), "r-000001", "dana")
    again()
    wait_until(path.with_suffix(".on").exists)
    terminal.kill()
    assert path.read_text() == NERVE + "KEPT"
    path.with_suffix(".on").unlink()
    script("pass")
    again()
    wait_until(lambda: drafts(folder))
    terminal.kill()
    assert drafts(folder) == {"r-000001": NERVE + "KEPT"}
    assert not path.exists()


def test_the_file_is_private_and_bytes_come_back_as_they_are(tmp_path, script):
    odd = "one\r\ntwo\rthree\n\n"
    script("assert path.stat().st_mode & 0o077 == 0")
    path = draft_file(Project(tmp_path), "r-000001", "../dana")
    assert path.parent == tmp_path / ".drafts"
    assert edit_outside(path, odd) == odd
    script("path.write_text(path.read_text() + chr(10))")
    assert edit_outside(path, "text") == "text"  # editors end a file with a line break


def test_an_editor_that_fails_is_named_and_the_text_kept(tmp_path, script, monkeypatch):
    path = draft_file(Project(tmp_path), "r-000001", "dana")
    script("path.write_text('half'); sys.exit(3)")
    with pytest.raises(RungError, match=path.name):
        edit_outside(path, "text")
    assert path.read_text() == "half"
    script("path.write_bytes(bytes([255]))")
    with pytest.raises(RungError, match="UTF-8"):
        edit_outside(path, "text")
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    with pytest.raises(RungError, match="/no/such/editor"):
        edit_outside(path, "text")
    monkeypatch.setenv("EDITOR", 'nano "')
    with pytest.raises(RungError, match="EDITOR ="):
        editor_command()


def test_a_changed_prompt_keeps_its_old_version(tmp_path, script):
    prompt = tmp_path / "prompts" / "prompt.md"
    prompt.parent.mkdir()
    prompt.write_text("first")
    script("path.write_text('second')")
    said = edit_file(prompt)
    assert prompt.read_text() == "second"
    (old,) = (prompt.parent / "old").iterdir()
    assert old.read_text() == "first" and f"old/{old.name}" in said
    assert [path.name for path in prompt.parent.glob("prompt*.md")] == ["prompt.md"]  # the old one is no variant
    script("sys.exit(3)")
    assert " 3" in edit_file(prompt)
    assert [*(prompt.parent / "old").iterdir()] == [old]


async def test_a_terminal_that_cannot_be_handed_over_says_so(project, program):
    async with on_stage(program(project), 6) as (_, pilot, screen):
        await press(pilot, "e")
        assert "prompt.md" in screen.message
