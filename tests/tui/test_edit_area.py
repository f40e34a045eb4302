"""The field draws what Textual's own would, row for row, without going through a whole line for each of them."""

from __future__ import annotations

import pytest
from textual.app import App
from textual.widgets import TextArea
from textual.widgets.text_area import Selection

from rung.tui.review.answer import EditArea
from rung.tui.widgets.difference import changed

TEXTS = {
    "short": "E11.42 - polyneuropathy",
    "empty": "",
    "lines": "one\nand\n\ntwo\n" + "three " * 30 + "\nend\n",
    "tabs": "a\tb\tc\n" + "word\tand more words\t" * 12,
    "wide": "漢字、仮名。" * 40 + "\nend",
    "joined": "\U0001f468\u200d\U0001f469\u200d\U0001f467 café " * 20,
}


class Both(App):
    """The same text in both fields, under one another."""

    CSS = "TextArea { height: 12; width: 41; border: none; padding: 0; }"

    def compose(self):
        yield TextArea(id="theirs", compact=True, show_line_numbers=False, soft_wrap=True)
        yield EditArea(id="ours")

    def on_mount(self):
        theirs = self.query_one("#theirs", TextArea)
        theirs.cursor_blink, theirs.match_cursor_bracket = False, False


def cells(field):
    """Each character up to the last one with its colours, however it is cut into segments."""
    drawn = [
        [
            (character, segment.style.color, segment.style.bgcolor)
            for segment in field.render_line(y)
            for character in segment.text
        ]
        for y in range(field.size.height)
    ]
    return [row[: len("".join(character for character, *_ in row).rstrip())] for row in drawn]


@pytest.mark.parametrize("name", TEXTS)
async def test_it_draws_what_textuals_own_field_draws(name):
    app = Both()
    async with app.run_test(size=(60, 30)) as pilot:
        theirs, ours = app.query_one("#theirs", TextArea), app.query_one("#ours", EditArea)
        for field in (theirs, ours):
            field.focus()
            field.load_text(TEXTS[name]) if field is theirs else ours.open(TEXTS[name])
            field.drawn = []  # type: ignore[attr-defined]
            for keys in ((), ("shift+down", "shift+right"), ("x", "down", "end"), ("up", "backspace"), ("ctrl+z",)):
                if not keys:
                    field.move_cursor((0, 0))
                await pilot.press(*keys)
                await pilot.pause()
                field.drawn.append(cells(field))  # type: ignore[attr-defined]
        assert theirs.text == ours.text
        assert theirs.selection == ours.selection
        for step, (one, other) in enumerate(zip(theirs.drawn, ours.drawn, strict=True)):  # type: ignore[attr-defined]
            assert one == other, step


async def test_what_came_is_marked_where_it_stands_in_the_row():
    app = Both()
    async with app.run_test(size=(60, 30)) as pilot:
        field = app.query_one("#ours", EditArea)
        old = "word " * 40
        new = old + "added\tanother"
        field.open(new)
        field.mark(changed(old, new)[1])
        await pilot.pause()
        found = "".join(s.text for y in range(12) for s in field.render_line(y) if s.style and s.style.underline)
        assert found.split() == ["added", "another"]


async def test_a_mark_of_a_place_in_a_long_line_is_found_by_the_mouse():
    app = Both()
    async with app.run_test(size=(60, 30)) as pilot:
        field = app.query_one("#ours", EditArea)
        field.open("漢字" * 60)
        await pilot.click("#ours", offset=(4, 1))
        await pilot.pause()
        row = field.wrapped_document.row(1)  # type: ignore[attr-defined]
        assert field.cursor_location == (0, row[1] + 2)
        assert field.selection == Selection.cursor((0, row[1] + 2))
