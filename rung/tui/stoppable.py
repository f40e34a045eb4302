"""A stage whose work runs as a command of its own and can be stopped by `x`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType

from rung.tui.loaded import LoadedScreen

RUNNING: Sequence[tuple[str, str]] = (("x", "stop"), ("Esc", "leave"), ("F1", "help"), ("^P", "menu"))
KEEPS = "Next: x stops it and keeps the answers. Safe to leave: it goes on without this screen."


class StoppableScreen(LoadedScreen):
    """While its command runs, `x` is the key that matters."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("x", "stop", "stop what runs here; what is finished stays")]

    def hints(self) -> Sequence[tuple[str, str]]:
        """The keys while something runs, else the screen's own."""
        return RUNNING if self.job else self.keys

    def action_stop(self) -> None:
        """Stop the command as Ctrl-C would."""
        if self.job is not None:
            self.job.stop()
            self.tell("stopping …")
        else:
            self.tell("nothing runs here")
