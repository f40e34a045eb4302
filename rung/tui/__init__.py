"""The terminal program: `app.py` mounts screens; each is thin and asks a `ScreenSource` for what it shows."""

from pathlib import Path


def run_program(folder: Path, first: int = 0) -> int:
    """Open the program on `folder`, at stage `first` (0: Start); return the exit code."""
    from rung.tui.app import RungApp
    from rung.tui.source import ScreenSource

    app = RungApp(ScreenSource.of(folder), first)
    app.run()
    return app.return_code or 0
