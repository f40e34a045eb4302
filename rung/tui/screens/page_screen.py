"""Pages over a screen: plain text, an explanation (`w`), the keys (`F1`), name and reason of a decision."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import ClassVar

from rich.text import Text
from textual import on, work
from textual.app import ComposeResult
from textual.binding import ActiveBinding, Binding, BindingType
from textual.containers import VerticalScroll
from textual.widgets import Input, Static, TextArea

from rung.symbols import drawn
from rung.tui.safe_screen import LeavingModal
from rung.tui.widgets.lines import TextPart, TextPassage, shown
from workspace.errors import RungError

MOST = 200_000
"""Characters of a page; after these they are counted."""


class Paper(VerticalScroll, inherit_bindings=False):
    """Scrollable body of a page over the screen; its frame says how to close it, however long it is."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", "move down"),
        Binding("k,up", "scroll_up", "move up"),
        Binding("pagedown,space", "page_down", "a page down"),
        Binding("pageup", "page_up", "a page up"),
        Binding("home", "scroll_home", "to the top"),
        Binding("end", "scroll_end", "to the end"),
    ]

    def on_mount(self) -> None:
        """Say it."""
        self.border_subtitle = "Esc closes"


class PageScreen(LeavingModal[None]):
    """A title and lines; arrows scroll."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,enter,q", "dismiss", "close")]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.heading, self.text = title, text

    def compose(self) -> ComposeResult:
        """Compose the text, as text."""
        with Paper():
            yield TextPassage(*self.parts(), id="page")

    def parts(self) -> Sequence[TextPart]:
        """Return the title and text; subclasses override this."""
        title = Text(f"{shown(self.heading)}\n", style="bold")
        return TextPart(title), TextPart(Text(drawn(shown(self.text, limit=MOST))))

    def draw(self) -> None:
        """Draw the parts again."""
        self.query_one("#page", TextPassage).show(*self.parts())


class WhyScreen(PageScreen):
    """Lines that `rung why REF` prints, over the screen."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("w", "dismiss", "close")]

    def __init__(self, ref: str) -> None:
        super().__init__(f"Why {ref}", "…")
        self.ref = ref

    def on_mount(self) -> None:
        """Look it up."""
        self._look()

    @work(exclusive=True, exit_on_error=False)
    async def _look(self) -> None:
        self.text = f"{await asyncio.to_thread(self._answer)}\n\n$ rung why {self.ref}"
        self.draw()

    def _answer(self) -> str:
        from rung.why import answer

        try:
            return "\n".join(answer(self.app.source.project, self.ref).lines)  # type: ignore[attr-defined]
        except RungError as error:
            return error.message


FEWEST_FIELDS = 2
"""Fields between which one can go."""
TEXTUALS = {
    "app.focus_next": "next field",
    "app.focus_previous": "field before",
    "screen.copy_text": "copy the text selected with the mouse",
}
"""Our words for keys that Textual binds on every screen."""
FIELDS = frozenset(
    binding.action for kind in (Input, TextArea) for binding in kind.BINDINGS if isinstance(binding, Binding)
)
"""Keys of every text field: they are not listed in the help."""


def words_of(active: ActiveBinding) -> str:
    """Return what a key does, in our words; empty for keys that need no description."""
    binding, node = active.binding, active.node
    if binding.action in TEXTUALS:
        moves = binding.action.startswith("app.focus")
        return "" if moves and len(node.screen.focus_chain) < FEWEST_FIELDS else TEXTUALS[binding.action]
    return "" if isinstance(node, Input | TextArea) and binding.action in FIELDS else binding.description


def key_rows(bindings: Mapping[str, ActiveBinding]) -> list[tuple[str, str]]:
    """Return (keys, words) of every active binding: the screen's own, then those of all stages, then the toolkit's."""
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


class KeysScreen(PageScreen):
    """The keys of a screen, over it: one line a binding."""

    def __init__(self, bindings: Mapping[str, ActiveBinding]) -> None:
        self.rows = key_rows(bindings)
        super().__init__("Keys of this screen", "\n".join(f"{keys:<12} {words}" for keys, words in self.rows))


class SignScreen(LeavingModal[tuple[str, str] | None]):
    """Ends with (name, reason), or with None if it was left."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "cancel"),
        Binding("down", "app.focus_next", "the field below", show=False),
        Binding("up", "app.focus_previous", "the field above", show=False),
    ]

    def __init__(self, title: str, about: str, person: str, does: str) -> None:
        super().__init__()
        self.heading, self.about, self.person, self.does = title, about, person, does

    def compose(self) -> ComposeResult:
        """Compose the decision, two fields, and the action of Enter."""
        with VerticalScroll(can_focus=False):
            yield Static(Text(drawn(f"{self.heading}\n"), style="bold"))
            yield Static(Text(drawn(f"{self.about}\n")))
            yield Static(Text("Name"))
            yield Input(self.person, id="by", compact=True)
            yield Static(Text("Reason"))
            yield Input(placeholder="one sentence", id="reason", compact=True)
            yield Static(Text(drawn(f"\nNext: {self.does}.   Enter")), id="does")
            yield Static(Text("Your name and reason are recorded. Esc cancels."))

    def on_mount(self) -> None:
        """Focus the reason, which is missing."""
        self.query_one("#reason" if self.person else "#by", Input).focus()

    @on(Input.Submitted)
    def _submitted(self, event: Input.Submitted) -> None:
        by, reason = (self.query_one(f"#{name}", Input).value.strip() for name in ("by", "reason"))
        if by and reason:
            self.dismiss((by, reason))
            return
        self.query_one("#by" if not by else "#reason", Input).focus()
        if event.input.id == "reason" or not by:
            self.query_one("#does", Static).update(Text("\nName and reason are both required."))
