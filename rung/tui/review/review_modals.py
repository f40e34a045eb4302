"""Pages over the Review screen: the guideline in full, with `/` to find words; two decisions that met on one row."""

import re
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.geometry import Region
from textual.widgets import Input, Static

from curation.review import Ruling
from curation.review.service import DecisionInForce
from rung.symbols import drawn
from rung.text.message_text import VERBS, clock_of
from rung.tui.review.item_text import ItemView, answer
from rung.tui.safe_screen import LeavingModal
from rung.tui.screens.page_screen import Paper
from rung.tui.widgets.lines import CAME, GONE, TextPart, TextPassage, changed, marked, shown, wrapped


def places(text: str, sought: str) -> list[tuple[int, int]]:
    """Return the places of some words, ignoring case: (first character, one after the last)."""
    if not sought.strip():
        return []
    pattern = r"\s+".join(re.escape(word) for word in sought.split())
    return [(match.start(), match.end()) for match in re.finditer(pattern, text, re.IGNORECASE)]


class GuidelineScreen(LeavingModal[None]):
    """The text with what is sought marked; Enter goes from place to place."""

    AUTO_FOCUS: ClassVar[str | None] = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "out of the search, then close"),
        Binding("slash", "find", "find words", key_display="/"),
        Binding("enter", "next(1)", "next place"),
        Binding("up,shift+enter", "next(-1)", "place before", show=False),
        Binding("j,down", "scroll(1)", "move down"),
        Binding("k", "scroll(-1)", "move up"),
        Binding("pagedown,space", "scroll(12)", "a page down"),
        Binding("pageup", "scroll(-12)", "a page up"),
        Binding("home", "scroll(-100000)", "to the top"),
        Binding("end", "scroll(100000)", "to the end"),
        Binding("g,q", "dismiss", "close"),
    ]

    def __init__(self, version: int, text: str) -> None:
        super().__init__()
        self.version, self.text = version, shown(text)
        self.found: list[tuple[int, int]] = []
        self.at = 0

    def compose(self) -> ComposeResult:
        """Yield the title, field, text, keys."""
        with Vertical():
            yield Static(Text(f"Guideline v{self.version}", style="bold"), id="title")
            yield Input(placeholder="find in the guideline", id="sought", compact=True)
            with VerticalScroll(id="page", can_focus=False):
                yield TextPassage(id="whole")
            yield Static(Text("/ find   Enter next   j/k move   Esc closes"), id="foot")

    def on_mount(self) -> None:
        """Show all of it, without a search."""
        self.query_one("#sought").display = False
        self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Allow an action; while words are typed, letters and spaces are text."""
        return action in ("leave", "next") or not isinstance(self.focused, Input)

    @on(Input.Changed, "#sought")
    def _seek(self, event: Input.Changed) -> None:
        self.found, self.at = places(self.text, event.value), 0
        self._draw()
        self._show_place()

    @on(Input.Submitted, "#sought")
    def _submitted(self) -> None:
        self.action_next(1)

    def action_find(self) -> None:
        """Open the field."""
        self.query_one("#sought").display = True
        self.query_one("#sought", Input).focus()

    def action_next(self, step: int) -> None:
        """Go to the next place; after the last one, the first."""
        if self.found:
            self.at = (self.at + step) % len(self.found)
            self._draw()
            self._show_place()

    def action_scroll(self, by: int) -> None:
        """Look up and down."""
        self.query_one("#page", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_leave(self) -> None:
        """Out of the field; the marks stay. Then out of the guideline."""
        if isinstance(self.focused, Input):
            self.set_focus(None)
        else:
            self.dismiss()

    def _draw(self) -> None:
        whole = Text(drawn(self.text))
        for number, (start, end) in enumerate(self.found):
            whole.stylize("reverse bold" if number == self.at else "underline bold", start, end)
        self.query_one("#whole", TextPassage).show(TextPart(whole))
        sought = self.query_one("#sought", Input).value
        count = f"{self.at + 1} of {len(self.found)}" if self.found else "not found"
        self.query_one("#title", Static).update(
            Text(f"Guideline v{self.version}{f'   {count}' if sought.strip() else ''}", style="bold")
        )

    def _show_place(self) -> None:
        if self.found:
            page, whole = self.query_one("#page", VerticalScroll), self.query_one("#whole", TextPassage)
            row = len(wrapped(Text(self.text[: self.found[self.at][0]]), whole.size.width)) - 1
            page.scroll_to_region(Region(0, max(row - 1, 0), 1, 4), animate=False)


class ConflictScreen(LeavingModal[bool]):
    """Ends with whether both go to a third person."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,escape", "dismiss(False)", "keep the other decision"),
        Binding("n", "dismiss(True)", "send both to a third person"),
    ]

    def __init__(self, view: ItemView, ruling: Ruling, other: DecisionInForce) -> None:
        super().__init__()
        self.view, self.ruling, self.other = view, ruling, other

    def compose(self) -> ComposeResult:
        """Compose both decisions, with the differences marked."""
        ruling, other, who = self.ruling, self.other, shown(self.other.reviewer)
        mine = self.view.cover(ruling.text if ruling.text is not None else answer(self.view.item) or "")
        theirs = self.view.cover(other.answer or "-")
        gone, came = changed(theirs, mine)
        kept = " Your edit is kept as a draft." if ruling.verdict == "edit" else ""
        heads = (
            f"{who} decided this row while it was open here.{kept}\n\n"
            f"{who}, {VERBS.get(other.verdict, other.verdict)} at {clock_of(other.at)}",
            f"\nYours, {VERBS[ruling.verdict]}",
        )
        texts = (marked(theirs, gone, GONE), marked(mine, came, CAME))
        titles = (TextPart(Text(head, style="bold")) for head in heads)
        parts = [part for title, text in zip(titles, texts, strict=True) for part in (title, TextPart(text, 2))]
        foot = f"\nEnter keeps what {who} decided   n sends both to a third person"
        with Paper():
            yield TextPassage(*parts, TextPart(Text(foot, style="dim")))
