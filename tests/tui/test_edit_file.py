"""A prompt goes out to a real editor and comes back; the old version stays."""

from __future__ import annotations

import pytest
from conftest_tui import on_stage, press

from rung.tui.editor import edit_file


@pytest.fixture
def editor(tmp_path, monkeypatch):
    """An editor that is a script of these lines."""

    def make(lines):
        path = tmp_path / "my editor.sh"
        path.write_text(f"#!/bin/sh\n{lines}\n")
        path.chmod(0o755)
        monkeypatch.delenv("VISUAL", raising=False)
        monkeypatch.setenv("EDITOR", f"'{path}' --wait")

    return make


def test_a_changed_prompt_keeps_its_old_version(tmp_path, editor):
    prompt = tmp_path / "prompts" / "prompt.md"
    prompt.parent.mkdir()
    prompt.write_text("first")
    editor('printf second > "$2"')
    assert edit_file(prompt).startswith("prompt.md is a new version; the old one is old/prompt.")
    assert prompt.read_text() == "second"
    assert [path.read_text() for path in (prompt.parent / "old").iterdir()] == ["first"]
    assert [path.name for path in prompt.parent.glob("prompt*.md")] == ["prompt.md"]  # the old one is no variant
    editor("true")
    assert edit_file(prompt) == "prompt.md is unchanged"


def test_an_editor_that_fails_or_is_not_there_is_told(tmp_path, editor, monkeypatch):
    prompt = tmp_path / "prompt.md"
    prompt.write_text("first")
    editor("exit 3")
    assert edit_file(prompt) == "the editor ended with 3"
    monkeypatch.setenv("EDITOR", "no-such-editor-here")
    assert "could not be started" in edit_file(prompt)
    monkeypatch.setenv("EDITOR", "'broken")
    assert "EDITOR = 'broken" in edit_file(prompt)
    assert prompt.read_text() == "first"


async def test_a_terminal_that_cannot_be_handed_over_says_so(project, program):
    async with on_stage(program(project), 6) as (_, pilot, screen):
        await press(pilot, "e")
        assert screen.message == "this terminal cannot open an editor; edit prompt.md in another one"
