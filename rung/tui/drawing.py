"""The app draws what changes and no more, where the installed Textual lets it; else Textual draws as it does."""

from __future__ import annotations

from typing import Any

from textual import events, on
from textual.app import App

try:
    from textual._compositor import CompositorUpdate

    from rung.tui.sparing import Sent, Spared
except ImportError:  # names of Textual's own: another version may not have them
    SPARES = False
else:
    SPARES = True


class DrawnApp(App[None]):
    """An app that knows what its terminal shows."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = Sent() if SPARES else None

    def _display(self, *arguments: Any, **named: Any) -> None:
        """Of an update only what changes something; after anything else nobody knows what the terminal shows.

        Textual calls this for every drawing; one that does not simply draws everything.
        """
        super()._display(*map(self._spared, arguments), **named)

    def _spared(self, drawn: Any) -> Any:
        if self.sent is None or self.is_headless or not isinstance(drawn, CompositorUpdate):
            return drawn
        return Spared(drawn, self.sent, self.size)

    @on(events.Resize)
    def forget_sent(self) -> None:
        """The terminal may have been used by something else: this comes after Ctrl+Z and an editor too."""
        if self.sent is not None:
            self.sent.forget()

    def action_draw_anew(self) -> None:
        """Send everything again, where something else has written over it."""
        self.forget_sent()
        self.screen.refresh()
