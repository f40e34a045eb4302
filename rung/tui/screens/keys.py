"""F1: the real bindings of the screen underneath."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static


def key_rows(bindings: Mapping[str, ActiveBinding]) -> list[tuple[str, str]]:
    """(keys, description) of every active binding, one row an action, in the order of the screen."""
    rows: dict[str, tuple[list[str], str]] = {}
    for key, active in bindings.items():
        if active.enabled and active.binding.description:
            keys, _ = rows.setdefault(active.binding.action, ([], active.binding.description))
            keys.append(active.binding.key_display or _word(key))
    return [(" ".join(dict.fromkeys(keys)), words) for keys, words in rows.values()]


def _word(key: str) -> str:
    named = {"escape": "Esc", "enter": "Enter", "question_mark": "?", "slash": "/", "ctrl+p": "^P", "ctrl+q": "^Q"}
    return named.get(key, key.replace("ctrl+", "^"))


class KeysScreen(ModalScreen[None]):
    """A list over the screen; any of Esc, F1, Enter closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,f1,enter,q", "dismiss", "close")]

    def __init__(self, bindings: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self.rows = key_rows(bindings)

    def compose(self) -> ComposeResult:
        """One line a binding."""
        with VerticalScroll():
            yield Static(Text("Keys of this screen\n", style="bold"))
            yield Static(Text("\n".join(f"{keys:<12} {words}" for keys, words in self.rows)))
            yield Static(Text("\nEsc closes"))
