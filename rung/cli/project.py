"""Commands on the project folder itself."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add `rung` without a command, `init`, `status`, `doctor` and `locate`."""

    @app.callback(invoke_without_command=True)
    def start(context: typer.Context) -> None:
        """Open the program on this folder; without a terminal print `rung status`."""
        if context.invoked_subcommand is None:
            raise typer.Exit(0)
