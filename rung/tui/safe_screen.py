"""A screen that is not there yet, or is being taken away, acts on nothing: keys and words come all the same.

Its widgets come some time after it is opened, and go one by one.
"""

from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import Any, TypeVar

from textual.message import Message
from textual.screen import ModalScreen, Screen
from textual.widget import Widget

OURS = "rung."
AWAY = ("stage", "stage_step")
"""Actions that need no widget: another stage can be opened before this one is drawn."""
Result = TypeVar("Result")


class Calm(Screen[Result]):
    """A screen that ignores keys before it is mounted, and keys, timers and workers while it is being removed."""

    @property
    def is_leaving(self) -> bool:
        """True if it is being removed, or gone."""
        return bool(self._pruning or self._closing or self._closed)

    def on_screen_suspend(self) -> None:
        """Drop the drawn lines of its widgets: Textual remembers its last 1,024 widgets, and with each its lines."""
        for widget in self.walk_children(Widget):
            widget.refresh()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow no action while leaving, and only navigation before it is mounted."""
        stands = self.is_mounted or action in AWAY
        return stands and not self.is_leaving and super().check_action(action, parameters)

    def call_after_refresh(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """Call after the next redraw, unless the screen was left meanwhile."""
        if is_our_call(callback):
            return super().call_after_refresh(self._unless_left, callback, *args, **kwargs)
        return super().call_after_refresh(callback, *args, **kwargs)

    async def _unless_left(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if not self.is_leaving and isawaitable(found := callback(*args, **kwargs)):
            await found

    async def _dispatch_message(self, message: Message) -> None:
        if not (self.is_leaving and is_ours(message)):
            await super()._dispatch_message(message)


class LeavingModal(Calm[Result], ModalScreen[Result]):
    """A page or a list over another screen."""


def is_ours(message: Message) -> bool:
    """True if a message is one of this program's, or carries one of its functions to call."""
    called: Any = getattr(message, "callback", None)
    return is_our_call(called) if called else type(message).__module__.startswith(OURS)


def is_our_call(called: Any) -> bool:
    """True if a function is one of this program's."""
    while isinstance(called, partial):
        called = called.func
    return str(getattr(called, "__module__", "")).startswith(OURS)
