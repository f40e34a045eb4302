"""The app draws what changes and no more, where the installed Textual lets it; else Textual draws as it does."""

from __future__ import annotations

from typing import Any

from textual import events, on
from textual.app import App

try:
    from textual import _styles_cache
except ImportError:  # names of Textual's own: another version may not have them
    _styles_cache = None  # type: ignore[assignment]
try:
    from textual._compositor import CompositorUpdate

    from rung.tui.sparing import Sent, Spared
except ImportError:
    SPARES = False
else:
    SPARES = True


def forget_drawn() -> None:
    """Let go of what was drawn of widgets that are gone.

    Textual remembers two colours for each of the last 1,024 widgets, and by that every line that was drawn of them.
    """
    remembered = getattr(getattr(_styles_cache, "StylesCache", None), "get_inner_outer", None)
    clear = getattr(remembered, "cache_clear", None)
    if clear is not None:
        clear()


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
