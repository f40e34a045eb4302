"""The field marks what came, and gives odd characters back as they went in."""

from __future__ import annotations

from conftest_tui import running
from textual.app import App

from rung.tui.review.answer import EditArea
from rung.tui.widgets.difference import changed


class Field(App):
    """The field alone."""

    CSS = "TextArea { height: 12; width: 41; border: none; padding: 0; }"

    def compose(self):
        yield EditArea(id="ours")


async def test_what_came_is_marked_where_it_stands_in_the_row():
    app = Field()
    async with running(app, (60, 30)) as pilot:
        field = app.query_one("#ours", EditArea)
        old = "word " * 40
        new = old + "added\tanother"
        field.open(new)
        field.mark(changed(old, new)[1])
        await pilot.pause()
        found = "".join(s.text for y in range(12) for s in field.render_line(y) if s.style and s.style.underline)
        assert found.split() == ["added", "another"]


async def test_characters_without_a_width_are_boxes_and_come_out_as_they_went_in():
    text = "a\u202eb\u0000c\r\nd \U0001f468\u200d\U0001f469 café\te"
    app = Field()
    async with running(app, (60, 30)) as pilot:
        field = app.query_one("#ours", EditArea)
        field.open(text)
        field.focus()
        await pilot.pause()
        assert field.edited == text
        drawn = "".join(segment.text for y in range(3) for segment in field.render_line(y))
        assert "a▯b▯c" in drawn and "\u202e" not in drawn
        await pilot.press("x", "home", "y")
        assert field.edited == text.replace("\n", "\ny") + "x"
