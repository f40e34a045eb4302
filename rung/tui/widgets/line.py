"""The lines of the frame: two texts at the ends of one, a rule, the key line and the "Next:" line."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text
from textual import events
from textual.geometry import Size
from textual.reactive import reactive
from textual.widgets import Static

from rung.symbols import drawn
from rung.tui.widgets.lines import folded

NAMED = {"Enter": "enter", "Esc": "escape", "F1": "f1", "^P": "ctrl+p", "/": "slash", "j/k": "j", "^S": "ctrl+s"}
"""Name in the key line -> Textual's key for a press of the mouse."""
NOT_A_KEY = ("[ ]", *(f"1-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 9, 0)))
"""Hints of several keys: a press on them does nothing."""
GAP = "   "
LAST = "F1"
"""The hint that stays where others have no room."""
ENTER = "   Enter"
YES_OR_NO = "  y yes   Esc no "
"""The end of a question; it stays where the question has to be cut."""


def two_ends(left: str, right: str, width: int) -> str:
    """`left` and `right` at the two ends of a line; `left` is cut where both do not fit, then `right`."""
    if cell_len(right) > width:
        right = right[: width - 1] + "…"
    room = width - cell_len(right) - bool(right)
    while left and cell_len(left) > room:
        left = left[:-1]
    return left + " " * (width - cell_len(left) - cell_len(right)) + right


class Line(Static):
    """One line of the frame with a left and a right text, as text and never markup."""

    left: reactive[str] = reactive("")
    right: reactive[str] = reactive("")

    def render(self) -> Text:
        """Draw both texts at the ends of the line."""
        return Text(drawn(two_ends(self.left, self.right, max(self.size.width, 1))), no_wrap=True, end="")


class FrameRule(Static):
    """A horizontal line."""

    def render(self) -> Text:
        """Draw across the whole width."""
        return Text(drawn("─" * max(self.size.width, 1)), no_wrap=True, end="")


class KeyLine(Static):
    """Key hints. Where they do not fit whole ones go, the one of F1 last; a press of the mouse is that key."""

    hints: reactive[tuple[tuple[str, str], ...]] = reactive(())

    def render(self) -> Text:
        """Return the hints that fit."""
        return Text(drawn(self.words.ljust(self.size.width)), no_wrap=True, end="")

    @property
    def words(self) -> str:
        """Return the text of the line."""
        return " " + GAP.join(f"{key} {word}" for key, word in fitting(self.hints, self.size.width))

    def on_click(self, event: events.Click) -> None:
        """Press the key of the hint under the mouse."""
        if key := key_at(fitting(self.hints, self.size.width), event.x):
            self.app.simulate_key(key)


class CommandLine(Line):
    """The command that does the same in a shell, or a question. A press copies the one, answers the other."""

    def on_click(self, event: events.Click) -> None:
        """Send the key of `y yes` or `Esc no`; on a command, `c`."""
        if self.right == YES_OR_NO:
            at = self.size.width - len(YES_OR_NO)
            key = "y" if at <= event.x < at + 8 else "escape" if event.x >= at + 8 else ""
        else:
            key = "c" if event.x < len(self.left) else ""
        if key:
            self.app.simulate_key(key)


class NextLine(Static):
    """The action of Enter, always visible at the bottom of the stage."""

    words: reactive[str] = reactive("", layout=True)

    def watch_words(self) -> None:
        """Without words there is no line."""
        self.display = bool(self.words)

    def render(self) -> Text:
        """Return the sentence, with the key at the right end where both fit."""
        return Text(drawn("\n".join(self._rows(max(self.size.width, 10)))), style="bold", no_wrap=True, end="")

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """Return one line, or as many as the text needs."""
        return len(self._rows(width))

    def _rows(self, width: int) -> list[str]:
        words = self.words.removesuffix(ENTER)
        if words != self.words and cell_len(self.words) <= width:
            return [two_ends(words, ENTER.strip(), width)]
        return folded(self.words, width)

    def on_click(self) -> None:
        """Act as Enter."""
        self.app.simulate_key("enter")


def fitting(hints: Sequence[tuple[str, str]], width: int) -> list[tuple[str, str]]:
    """Return the hints that fit into a line, from the left; the one of F1 is dropped last."""
    kept = list(hints)
    while len(kept) > 1 and 1 + cell_len(GAP.join(f"{key} {word}" for key, word in kept)) > width:
        kept.pop(next(n for n in range(len(kept) - 1, -1, -1) if kept[n][0] != LAST))
    return kept


def key_at(hints: Sequence[tuple[str, str]], x: int) -> str:
    """Return the key whose hint is in column `x` of the line; empty between them and on hints of several keys."""
    at = 1
    for key, word in hints:
        end = at + cell_len(f"{key} {word}")
        if at <= x < end:
            return "" if key in NOT_A_KEY else NAMED.get(key, key)
        at = end + len(GAP)
    return ""
