"""The item of the Review screen as it is drawn, with what stands beside it."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text
from textual import on
from textual.containers import Horizontal, VerticalScroll
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Input, Static

from curation.review import Item
from rung.symbols import drawn
from rung.tui.aside_words import beside
from rung.tui.frame import SMALL, WIDE
from rung.tui.item_words import answer, asked, behind, clock_of, label, worse
from rung.tui.screens.review_fetch import FetchScreen
from rung.tui.screens.review_masked import MaskedScreen
from rung.tui.text import shown
from rung.tui.widgets.answer import AnswerPanel, Face
from rung.tui.widgets.passage import Part, Passage

UNANSWERED = "(no answer yet: e writes one)"
ROOMY, TALL = 140, 36
FOLLOWS = {
    "no_rows": "Next: import rows (3).   Enter",
    "empty": "Next: freeze the dataset (5).   Enter",
    "over": "Next: go on with the queue.   Enter",
    "failed": "Next: try again.   Enter",
}


class ItemScreen(MaskedScreen):
    """One item and what stands beside it; deciding and editing are added above this."""

    def heading(self) -> str:
        """`Review · item 319 of 750 · dana`."""
        place = f" · item {self.item.decided + 1:,} of {self.item.total:,}" if self.item else ""
        return f"Review{place} · {self.source.person}"

    def compose_stage(self) -> Iterable[Widget]:
        """Item at the left, guideline and near rows at the right."""
        with Horizontal(id="desk"):
            with VerticalScroll(id="item", can_focus=False):
                yield Passage(id="asked")
                yield Static(id="label")
                yield AnswerPanel(id="answer")
                yield Input(id="remark", placeholder="remark for the team", compact=True)
                yield Static(id="behind")
            with VerticalScroll(id="beside", can_focus=False):
                yield Static(id="reasons")
                yield Static(id="guideline")

    def on_mount(self) -> None:
        """Sit down and take the first item."""
        self.command = f"rung review next --reviewer {self.source.person}"
        for name in ("#remark", "#label", "#answer", "#reasons"):
            self.query_one(name).display = False
        self.begin()

    def fitted(self) -> None:
        """What stands in lines of a certain width is drawn anew."""
        self.draw_sides()

    def fits(self, size: Size) -> dict[str, bool]:
        """Two texts stand side by side, more stands beside the item, the field is higher, as there is room."""
        wide, high = size
        own = {"across": wide >= WIDE, "roomy": wide >= ROOMY, "slim": wide < SMALL[0], "tall": high >= TALL}
        return {**super().fits(size), **own}

    @property
    def panel(self) -> AnswerPanel:
        """The proposed answer."""
        return self.query_one("#answer", AnswerPanel)

    # Showing

    @on(FetchScreen.Shown)
    def _show(self, message: FetchScreen.Shown) -> None:
        self.item, self.busy, self.since = message.item, False, None
        if message.note:
            self.tell(message.note)
            self.said = True
        if message.item is None:
            self.show_state(message.state, message.words)
        else:
            self.show_item(message.item)
        self.refresh_frame()
        kept, self.kept = self.kept, None
        if kept is not None and self.item is not None:
            self.call_after_refresh(kept)

    def show_state(self, state: str, words: str) -> None:
        """Where no item is: nothing is left, the sitting is over, or something went wrong."""
        self.state, self.item = state, None
        if self.message.startswith(self.awaits.partition("…")[0]):
            self.tell("")  # what was awaited is here
        self.add_class("ended")
        for name in ("#label", "#answer", "#reasons"):
            self.query_one(name).display = False
        self.query_one("#asked", Passage).show(Part(Text(drawn("\n" + words))))
        for name in ("#behind", "#guideline"):
            self.query_one(name, Static).update("")
        self.next = FOLLOWS[state]

    def show_item(self, item: Item) -> None:
        """Draw the item; what stands beside it follows if it is not known yet."""
        self.state, self.next, self.unmasked = "item", "", False
        self.remove_class("ended")
        self.query_one("#label", Static).update(Text(label(item)))
        for name in ("#label", "#answer"):
            self.query_one(name).display = True
        self.draw_item(item)
        self.query_one("#item", VerticalScroll).scroll_home(animate=False)
        if not self.said:
            self.tell(f"kept for you until {clock_of(item.until)}")
        self.said = False
        if self.sitting is not None:
            self._fetch_ahead(self.sitting, item)

    def draw_item(self, item: Item) -> None:
        """Question, answer and what stands beside them, masked or as they are."""
        self.query_one("#asked", Passage).show(*asked(self.face(item)))
        self.show_answer(item)
        self.draw_sides()

    def show_answer(self, item: Item) -> None:
        """The answer alone; beside the worse one of a pair; beside what a repair makes of it."""
        text, other = answer(self.face(item)), worse(self.face(item))
        series = self.sitting.series if self.sitting else None
        repaired = series.proposal(answer(item) or "") if series else None
        if repaired is not None:
            self.panel.show_two(Face("Draft", "-", text or ""), Face("Same repair", "+", self.cover(repaired)))
        elif other is not None:
            self.panel.show_two(Face("Better answer", " ", text or ""), Face("Worse answer", " ", other))
        else:
            self.panel.show(text if text is not None else UNANSWERED)

    def draw_sides(self) -> None:
        """What stands in lines of a certain width."""
        item, sitting = self.item, self.sitting
        if item is None or not self.is_mounted:
            return
        wide, side = self.query_one("#item").size, self.query_one("#beside").size
        self.query_one("#behind", Static).update(
            Text("\n").join(behind(self.face(item), wide.width or 49, self.hidden_note(item)))
        )
        aside = self.aside(item)
        words = beside(item, sitting, aside, (side.width or 28) - 1, side.height or 18)
        self.query_one("#guideline", Static).update(words)

    @on(FetchScreen.AsideRead)
    def _show_aside(self, message: FetchScreen.AsideRead) -> None:
        if self.item is not None and self.item.id == message.row:
            self.draw_sides()
            self.refresh_frame()

    # Looking

    def action_scroll(self, by: int) -> None:
        """Look up and down in a long item."""
        self.query_one("#item", VerticalScroll).scroll_relative(y=by, animate=False)

    def action_guideline(self) -> None:
        """The guideline in full."""
        from rung.tui.screens.guideline import GuidelineScreen

        if self.item is not None and self.item.guideline is not None:
            self.app.push_screen(GuidelineScreen(self.item.guideline.version, self.item.guideline.text))
        elif self.item is not None:
            self.tell("no guideline.md in this project")

    def action_near(self) -> None:
        """The nearest decided rows in full."""
        from rung.tui.aside_words import near_words
        from rung.tui.screens.page import PageScreen

        aside = self.aside(self.item) if self.item else None
        if aside is not None and aside.near:
            self.app.push_screen(PageScreen("Nearest decided rows", near_words(aside.near)))
        else:
            self.tell(
                "no decided row is near this one" if not (self.item and self.item.blind) else "hidden: two see it"
            )

    def action_why(self) -> None:
        """The chain behind the row."""
        from rung.tui.screens.why import WhyScreen

        if self.item is not None:
            self.app.push_screen(WhyScreen(shown(self.item.id)))
