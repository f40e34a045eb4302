"""The person's own editor for prompt and settings."""

from __future__ import annotations

import sys

import pytest
from conftest_tui import on_stage, press

from rung.tui.editor import edit_file


@pytest.fixture
def script(tmp_path, monkeypatch):
    """Make an editor out of lines of Python; the file's path is in `path`."""

    def make(body):
        file = tmp_path / "my editor.py"
        file.write_text(f"import pathlib, sys, time\npath = pathlib.Path(sys.argv[-1])\n{body}\n")
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{file}'")
        monkeypatch.delenv("VISUAL", raising=False)

    return make


def test_a_changed_prompt_keeps_its_old_version_and_a_failing_editor_is_named(tmp_path, script, monkeypatch):
    prompt = tmp_path / "prompts" / "prompt.md"
    prompt.parent.mkdir()
    prompt.write_text("first")
    script("path.write_text('second')")
    assert edit_file(prompt).startswith("prompt.md is a new version; the old one is old/prompt.")
    assert prompt.read_text() == "second"
    assert [path.read_text() for path in (prompt.parent / "old").iterdir()] == ["first"]
    assert [path.name for path in prompt.parent.glob("prompt*.md")] == ["prompt.md"]  # the old one is no variant
    script("pass")
    assert edit_file(prompt) == "prompt.md is unchanged"
    script("sys.exit(3)")
    assert "ended with 3" in edit_file(prompt)
    for wrong, words in (("no-such-editor-here", "could not be started"), ("'broken", "EDITOR = 'broken")):
        monkeypatch.setenv("EDITOR", wrong)
        assert words in edit_file(prompt)
    assert prompt.read_text() == "second"


async def test_a_terminal_that_cannot_be_handed_over_says_so(project, program):
    async with on_stage(program(project), 6) as (_, pilot, screen):
        await press(pilot, "e")
        assert screen.message == "this terminal cannot open an editor; edit prompt.md in another one"
