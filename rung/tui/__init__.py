"""The terminal program: `app.py` mounts screens; each is thin and asks a `ScreenSource` for what it shows."""

from __future__ import annotations

from pathlib import Path


def run_program(folder: Path) -> int:
    """Open the program on `folder`; return the exit code."""
    from rung.tui.app import RungApp
    from rung.tui.source import ScreenSource

    app = RungApp(ScreenSource.of(folder))
    app.run()
    return app.return_code or 0
