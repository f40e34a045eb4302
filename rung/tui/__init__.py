"""The terminal program. `app.py` only mounts screens; each screen is thin and asks a `Source` for what it shows."""

from __future__ import annotations

from pathlib import Path


def run_program(folder: Path) -> int:
    """Open the program on `folder`; return the exit code."""
    from rung.tui.app import RungApp
    from rung.tui.source import Source

    app = RungApp(Source.of(folder))
    app.run()
    return app.return_code or 0
