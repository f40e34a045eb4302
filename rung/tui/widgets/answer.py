"""The proposed answer: alone, beside another text with what differs marked, or open in a field."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.text import Text
from textual import on
from textual.containers import Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static, TextArea

from rung.tui.text import row_text
from rung.tui.widgets.difference import CAME, GONE, changed, marked
from rung.tui.widgets.edit_area import EditArea
from rung.tui.widgets.passage import Part, Passage


@dataclass(frozen=True, slots=True)
class Face:
    """One of two texts: its name, and the sign before it where there is no room for names."""

    name: str
    sign: str
    text: str


class AnswerPanel(Horizontal):
    """One or two texts. From 100 columns two stand side by side, below that under one another."""

    class Edited(Message):
        """The text in the field was changed."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    before = ""
    """The text that an open field is compared with."""

    def compose(self) -> Iterable[Widget]:
        """Two sides, each a name over a sign and a text; the field is on the right one."""
        for side in ("one", "other"):
            with Vertical(id=side):
                yield Static(classes="name")
                with Horizontal(classes="body"):
                    yield Static("  ", classes="sign")
                    yield Passage(classes="text")
                    if side == "other":
                        yield EditArea(id="edit")

    def on_mount(self) -> None:
        """Nothing is open."""
        self.field.display = False

    @property
    def field(self) -> EditArea:
        """The field of the right side."""
        return self.query_one("#edit", EditArea)

    @property
    def is_open(self) -> bool:
        """Whether the field is open."""
        return bool(self.field.display)

    def show(self, text: str) -> None:
        """One text alone."""
        self._shut()
        self._side("one", "", " ", row_text(text))
        self.query_one("#other").display = False

    def show_two(self, left: Face, right: Face) -> None:
        """Two texts, each with its name, what differs marked in both."""
        self._shut()
        self.remove_class("quiet")
        gone, came = changed(left.text, right.text)
        self._side("one", left.name, left.sign, marked(left.text, gone, GONE))
        self._side("other", right.name, right.sign, marked(right.text, came, CAME))
        self.query_one("#other").display = True

    def open(self, before: str, text: str) -> None:
        """Open a text in the field, beside the one it started from."""
        self.before = before
        self.add_class("quiet")
        self.query_one("#other").display = True
        self.query_one("#other .text").display = False
        self.field.display = True
        self._side("other", "Your edit", "+", Text(""))
        self.field.open(text)
        self._compare()
        self.field.focus()

    def put(self, text: str) -> None:
        """Another text into the open field, as if it had been typed."""
        self.field.open(text)
        self._compare()

    def _shut(self) -> None:
        self.field.display = False
        self.query_one("#other .text").display = True

    @on(TextArea.Changed, "#edit")
    def _changed(self, event: TextArea.Changed) -> None:
        event.stop()
        if self.is_open:
            self._compare()
            self.post_message(self.Edited(self.field.edited))

    def _compare(self) -> None:
        gone, came = changed(self.before, self.field.edited)
        self._side("one", "Draft", "-", marked(self.before, gone, GONE))
        self.field.mark(came)

    def _side(self, side: str, name: str, sign: str, text: Text) -> None:
        heading = self.query_one(f"#{side} .name", Static)
        heading.set_class(not name, "none")
        heading.update(Text(name))
        self.query_one(f"#{side} .sign", Static).update(Text(f"{sign} "))
        self.query_one(f"#{side} .text", Passage).show(Part(text))
