"""Two decisions that met on one row: keep the one that counts, or send both to a third person."""

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from curation.review.decisions import DecisionInForce
from rung.text.message_text import VERBS, clock_of
from rung.tui.review.item_text import ItemView, answer
from rung.tui.review.review_session import Try
from rung.tui.safe_screen import LeavingModal
from rung.tui.screens.page_screen import Paper
from rung.tui.widgets.lines import CAME, GONE, TextPart, TextPassage, changed, marked, shown


class ConflictScreen(LeavingModal[bool]):
    """Ends with whether both go to a third person."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,escape", "dismiss(False)", "keep the other decision"),
        Binding("n", "dismiss(True)", "send both to a third person"),
    ]

    def __init__(self, view: ItemView, tried: Try, other: DecisionInForce) -> None:
        super().__init__()
        self.view, self.tried, self.other = view, tried, other

    def compose(self) -> ComposeResult:
        """Compose both decisions, with the differences marked."""
        tried, other, who = self.tried, self.other, shown(self.other.reviewer)
        mine = self.view.cover(tried.text if tried.text is not None else answer(tried.item) or "")
        theirs = self.view.cover(other.answer or "-")
        gone, came = changed(theirs, mine)
        kept = " Your edit is kept as a draft." if tried.verdict == "edit" else ""
        heads = (
            f"{who} decided this row while it was open here.{kept}\n\n"
            f"{who}, {VERBS.get(other.verdict, other.verdict)} at {clock_of(other.at)}",
            f"\nYours, {VERBS[tried.verdict]}",
        )
        texts = (marked(theirs, gone, GONE), marked(mine, came, CAME))
        titles = (TextPart(Text(head, style="bold")) for head in heads)
        parts = [part for title, text in zip(titles, texts, strict=True) for part in (title, TextPart(text, 2))]
        foot = f"\nEnter keeps what {who} decided   n sends both to a third person"
        with Paper():
            yield TextPassage(*parts, TextPart(Text(foot, style="dim")))
