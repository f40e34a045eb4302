"""F1: the real bindings of the screen underneath."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.widgets import Input, Static, TextArea

from rung.tui.leaving import LeavingModal
from rung.tui.screens.page import Paper

FEWEST_FIELDS = 2
"""Fields between which one can go."""
TEXTUALS = {
    "app.focus_next": "next field",
    "app.focus_previous": "field before",
    "screen.copy_text": "copy the text that the mouse marked",
}
"""Our words for keys that Textual binds on every screen."""
FIELDS = frozenset(
    binding.action for kind in (Input, TextArea) for binding in kind.BINDINGS if isinstance(binding, Binding)
)
"""What keys do in any text field, anywhere: nobody looks it up here."""


def words_of(active: ActiveBinding) -> str:
    """What a key does, in our words; empty for what need not be told."""
    binding, node = active.binding, active.node
    if binding.action in TEXTUALS:
        moves = binding.action.startswith("app.focus")
        return "" if moves and len(node.screen.focus_chain) < FEWEST_FIELDS else TEXTUALS[binding.action]
    return "" if isinstance(node, Input | TextArea) and binding.action in FIELDS else binding.description


def key_rows(bindings: Mapping[str, ActiveBinding]) -> list[tuple[str, str]]:
    """(keys, words) of every active binding, one row for the same words: the screen's own, then those of every stage,
    then what the toolkit binds.
    """
    rows: dict[str, list[str]] = {}
    for key, active in sorted(bindings.items(), key=lambda found: rank(found[1])):
        if active.enabled and (words := words_of(active)):
            keys = rows.setdefault(words, [])
            keys += [_word(key)] if _word(key) not in keys else []
    return [(_digits(keys), words) for words, keys in rows.items()]


def rank(active: ActiveBinding) -> int:
    """0 for what the screen itself binds, 1 for what every stage does, 2 for the toolkit."""
    if active.binding.action in TEXTUALS:
        return 2
    own = Binding.make_bindings(vars(type(active.node)).get("BINDINGS", ()))
    return int(active.binding.action not in {binding.action for binding in own})


def _word(key: str) -> str:
    named = {
        "escape": "Esc",
        "enter": "Enter",
        "question_mark": "?",
        "slash": "/",
        "left_square_bracket": "[",
        "right_square_bracket": "]",
        "f1": "F1",
    }
    if key.startswith("ctrl+"):
        return f"^{key[5:].upper()}"
    return named.get(key, key)


def _digits(keys: list[str]) -> str:
    """`1-0` instead of ten digits."""
    digits = [key for key in keys if key.isdigit()]
    if len(digits) < 4:
        return " ".join(keys)
    return " ".join([f"{digits[0]}-{digits[-1]}", *(key for key in keys if not key.isdigit())])


class KeysScreen(LeavingModal[None]):
    """A list over the screen; any of Esc, F1, Enter closes it."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "close")]

    def __init__(self, bindings: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self.rows = key_rows(bindings)

    def compose(self) -> ComposeResult:
        """One line a binding."""
        with Paper():
            yield Static(Text("Keys of this screen\n", style="bold"))
            yield Static(Text("\n".join(f"{keys:<12} {words}" for keys, words in self.rows)))
