"""Long lines are folded at the width of the terminal, and a list keeps its mark in sight."""

from __future__ import annotations

import re

from conftest_tui import running, text_of, until
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from textual.app import App
from textual.containers import VerticalScroll

from rung.tui.widgets.lines import Entry, MarkedLines, folded

MIXED = st.text(alphabet="ab é漢ア \u0301\U0001f469\u200d🦀", max_size=120)


@given(MIXED, st.integers(20, 40))
def test_no_line_is_too_wide_and_only_spaces_are_lost(text, width):
    lines = folded(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


class Page(App):
    """A long list."""

    def compose(self):
        with VerticalScroll():
            yield MarkedLines(id="list")


async def test_the_mark_of_a_long_list_stays_in_sight_and_stops_at_both_ends():
    app = Page()
    async with running(app, (40, 10)) as pilot:
        listed = app.query_one(MarkedLines)
        listed.show([Entry("head"), *(Entry(f"row {n}", str(n)) for n in range(5_000)), Entry("foot")])
        await until(pilot, lambda: "head" in text_of(app) and "▸ row 0" in text_of(app))
        for step, sought in ((5_000, "4999"), (1, "4999"), (-1, "4998")):
            listed.move(step)
            await until(pilot, lambda sought=sought: re.search(rf"▸ row {sought}\b", text_of(app)))
        listed.show(listed.entries)
        assert listed.marked == "4998"
        listed.show(listed.entries[:3])
        assert listed.marked == "0"
