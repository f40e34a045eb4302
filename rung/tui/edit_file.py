"""A file of the project goes out to the person's own editor; what it said before is kept beside it."""

from __future__ import annotations

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

from textual.app import App, SuspendNotSupported

from rung.tui.editor import editor_command
from workspace.errors import RungError
from workspace.files import write_bytes

OLD = "old"


def edit_beside(app: App[Any], path: Path) -> str:
    """As `edit_file`, with the terminal handed over meanwhile."""
    try:
        with app.suspend():
            return edit_file(path)
    except SuspendNotSupported:
        return f"no editor can be opened in this terminal; edit {path.name} in another"


def edit_file(path: Path) -> str:
    """Open the file in the editor and say what came of it; an old text that was changed stays as `old/NAME.HASH`.

    Blocks until the editor ends.
    """
    before = path.read_bytes() if path.is_file() else b""
    try:
        done = subprocess.run([*editor_command(), str(path)], check=False)
    except RungError as error:
        return error.message
    except OSError as error:
        return f"The editor could not be started: {error.strerror}. -> export EDITOR=nano"
    after = path.read_bytes() if path.is_file() else b""
    if done.returncode:
        return f"the editor ended with {done.returncode}"
    if after == before:
        return f"{path.name} is as it was"
    if before:
        kept = path.parent / OLD / f"{path.stem}.{sha256(before).hexdigest()[:8]}{path.suffix}"
        write_bytes(kept, before)
        return f"{path.name} is a new version; the old one is {OLD}/{kept.name}"
    return f"{path.name} is written"
