"""Long texts in the person's own editor. A kill in between leaves the file for the next time."""

import contextlib
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from evaluation.arms.arm_material import keep_version
from workspace.errors import RungError
from workspace.folder import Project

FOLDER = ".drafts"


def editor_command() -> list[str]:
    """VISUAL, EDITOR or vi, as words. Raises RungError if it is not a command line."""
    given = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        return shlex.split(given) or ["vi"]
    except ValueError as error:
        raise RungError(f"EDITOR = {given}: {error}.", "export EDITOR=nano") from error


def draft_file(project: Project, row: str, person: str) -> Path:
    """Return the file that holds the text of a row while a person's editor has it."""
    name = "".join(character if character.isalnum() else "-" for character in person)
    return project.root / FOLDER / f"{row}-{name}.txt"


def _run_editor(path: Path) -> None:
    """Open a file in the editor; blocks until it ends. Raises RungError if it cannot be started or fails."""
    command = [*editor_command(), str(path)]
    try:
        done = subprocess.run(command, check=False)
    except OSError as error:
        raise RungError(
            f"The editor {command[0]} could not be started: {error.strerror}.", "export EDITOR=nano"
        ) from error
    if done.returncode:
        raise RungError(f"The editor {command[0]} ended with {done.returncode}. What it wrote is in {path.name}.")


def edit_outside(path: Path, text: str) -> str:
    """Return the text after the editor has closed. A file that is there already, from a kill, is gone on with.

    Blocks until the editor ends. Raises RungError if it cannot be started or fails; then the file stays.
    """
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8", newline="")
    _run_editor(path)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            made = file.read()
    except UnicodeDecodeError as error:
        raise RungError(f"{path.name}: not UTF-8 at byte {error.start + 1}.") from error
    with contextlib.suppress(OSError):
        path.unlink()
        path.parent.rmdir()
    return made if text.endswith("\n") else made.removesuffix("\n")


def edit_beside(app: App[Any], path: Path) -> str:
    """Edit a file as `edit_file`, with the terminal handed over meanwhile."""
    try:
        with app.suspend():
            return edit_file(path)
    except SuspendNotSupported:
        return f"this terminal cannot open an editor; edit {path.name} in another one"


def edit_file(path: Path) -> str:
    """Edit the file and report the result; a changed text is kept as `old/NAME.HASH`. Blocks until then."""
    before = path.read_bytes() if path.is_file() else b""
    try:
        _run_editor(path)
    except RungError as error:
        return error.message
    after = path.read_bytes() if path.is_file() else b""
    if after == before:
        return f"{path.name} is unchanged"
    if before:
        return f"{path.name} is a new version; the old one is old/{keep_version(path, before).name}"
    return f"{path.name} is written"
