"""Ctrl+P: every stage, and everything that the keys of the screen do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from textual.app import SystemCommand
from textual.command import DiscoveryHit, Hits
from textual.dom import DOMNode
from textual.markup import escape
from textual.screen import Screen
from textual.system_commands import SystemCommandsProvider

from rung.tui.screens.keys import key_rows, words_of

if TYPE_CHECKING:
    from rung.tui.app import RungApp

ELSEWHERE = ("command_palette", "quit", "stage(")
"""Actions that stand in the menu already: itself, the program's own and the stages."""


class Menu(SystemCommandsProvider):
    """All commands in the order in which they are made; Textual's own sorts them by their words."""

    async def discover(self) -> Hits:
        """What stands there before anything is typed."""
        for name, about, do, shown in self.app.get_system_commands(self.screen):
            if shown:
                yield DiscoveryHit(name, do, help=about)


def menu(app: RungApp, screen: Screen[object]) -> Iterator[SystemCommand]:
    """Start, the ten stages with their state, then the actions of this screen with their keys."""
    if app.source.project is not None:
        yield SystemCommand("Start", "the ten stages and what is next", app.open_start)
    for stage in app.status.stages if app.status else ():
        about = escape(f"{stage.word}: {stage.reason}")
        yield SystemCommand(f"{stage.number % 10}. {stage.name}", about, _opener(app, stage.number))
    active = {
        key: found
        for key, found in screen.active_bindings.items()
        if not found.binding.action.removeprefix("app.").startswith(ELSEWHERE)
    }
    actions = {words_of(found): found for found in active.values() if found.enabled}
    for keys, words in key_rows(active):
        found = actions[words]
        yield SystemCommand(
            words[:1].upper() + words[1:], f"here: {keys}", _doer(app, found.binding.action, found.node)
        )


def program_menu(app: RungApp) -> Iterator[SystemCommand]:
    """What the program itself can do, in our words."""
    yield SystemCommand("Theme", "light, dark, high contrast and others", app.action_change_theme)
    yield SystemCommand("Picture of this screen", "an SVG file", lambda: app.set_timer(0.1, app.deliver_screenshot))
    yield SystemCommand("Quit", "what runs goes on without the program", app.action_quit)


def _opener(app: RungApp, number: int) -> Callable[[], None]:
    return lambda: app.open_stage(number)


def _doer(app: RungApp, action: str, node: DOMNode) -> Callable[[], None]:
    def do() -> None:
        app.call_later(app.run_action, action, node)

    return do
