"""A screen that is being taken away hears nothing more: its widgets go one by one while keys and words still come."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from inspect import isawaitable
from typing import Any

from textual.message import Message
from textual.screen import Screen

OURS = "rung."


class LeavingScreen(Screen[None]):
    """Once it was switched away it acts on no key, no timer and no word of a worker; Textual's own messages go on."""

    @property
    def is_leaving(self) -> bool:
        """Whether it is on its way out, or gone."""
        return bool(self._pruning or self._closing or self._closed)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """No action while leaving."""
        return not self.is_leaving and super().check_action(action, parameters)

    def call_after_refresh(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> bool:
        """What waits for the next drawing is not done if the screen was left meanwhile."""
        if is_our_call(callback):
            return super().call_after_refresh(self._unless_left, callback, *args, **kwargs)
        return super().call_after_refresh(callback, *args, **kwargs)

    async def _unless_left(self, callback: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        if not self.is_leaving and isawaitable(found := callback(*args, **kwargs)):
            await found

    async def _dispatch_message(self, message: Message) -> None:
        if not (self.is_leaving and is_ours(message)):
            await super()._dispatch_message(message)


def is_ours(message: Message) -> bool:
    """Whether a message is one of this program's, or brings one of its functions to be called."""
    called: Any = getattr(message, "callback", None)
    return is_our_call(called) if called else type(message).__module__.startswith(OURS)


def is_our_call(called: Any) -> bool:
    """Whether a function is one of this program's."""
    while isinstance(called, partial):
        called = called.func
    return str(getattr(called, "__module__", "")).startswith(OURS)
