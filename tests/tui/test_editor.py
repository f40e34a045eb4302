"""The person's own editor for answers and prompts, in a real terminal: a kill leaves for later what it wrote."""

from __future__ import annotations

import shutil
import sys

import pytest
from conftest_tui import on_stage, press
from lives import wait_until
from review_rows import NERVE, begun, drafts, log, stored
from terminal import Terminal

from rung.tui.editor import draft_file, edit_file, edit_outside, editor_command
from workspace.errors import RungError
from workspace.folder import Project


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
def reviewer(tmp_path):
    """A project in review, and a terminal in which `again()` starts the program on its first row and presses E."""
    if shutil.which("tmux") is None:
        pytest.skip("tmux is not installed")
    folder, terminal = begun(tmp_path / "icd"), Terminal(100, 30)

    def again():
        terminal.start(folder, "review", "--reviewer", "dana")
        terminal.see("E11.40")
        terminal.keys("E")

    yield folder, terminal, again
    terminal.end()


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
