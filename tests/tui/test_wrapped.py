"""Lines of a long text: none too wide, nothing lost, words whole where they fit; only what is in sight is drawn."""

from __future__ import annotations

import pytest
from conftest_tui import running, text_of, until
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.text import Text
from textual.app import App

from rung.tui.widgets.lines import Entry, MarkedLines, TextPart, TextPassage, line_spans

MIXED = st.text(alphabet="ab é漢ア\n \u0301\U0001f469\u200d🦀", max_size=120)


@given(MIXED, st.integers(8, 40))
def test_no_line_is_too_wide_and_only_spaces_are_lost(text, width):
    spans = line_spans(text, width)
    assert all(cell_len(text[start:end]) <= width for start, end in spans)
    assert len(spans) >= text.count("\n") + 1
    at = 0
    for start, end in spans:
        assert not text[at:start].strip(" \n")  # between two lines stands nothing but spaces and one newline
        assert text[at:start].count("\n") <= 1
        at = end
    assert not text[at:].strip(" ")


@given(st.lists(st.text("abcdefg", min_size=1, max_size=9), min_size=1, max_size=30), st.integers(10, 30))
def test_words_that_fit_stay_whole(words, width):
    text = " ".join(words)
    assert " ".join(text[start:end] for start, end in line_spans(text, width)) == text


def test_what_is_joined_stays_together():
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    lines = [text[start:end] for text in [f"xxxxx{family}"] for start, end in line_spans(text, 8)]
    assert "".join(lines) == f"xxxxx{family}"
    assert all(not line.startswith("\u200d") and not line.endswith("\u200d") for line in lines)


class Counting(TextPassage):
    """Counts the lines that are drawn."""

    drawn = 0

    def draw(self, row):
        self.drawn += 1
        return super().draw(row)


class Page(App):
    """A long text over a long list."""

    CSS = "Lines { height: auto; }"

    def compose(self):
        yield Counting(TextPart(Text("word " * 4_000, spans=[]), 2))
        yield MarkedLines(id="list")


async def test_only_lines_in_sight_are_drawn_and_the_rest_is_there():
    app = Page()
    async with running(app, (40, 10)) as pilot:
        passage, listed = app.query_one(Counting), app.query_one(MarkedLines)
        listed.show([Entry(f"row {n}", str(n)) for n in range(10_000)])
        await pilot.pause()
        await pilot.pause()
        assert passage.region.height == len(passage.rows()) > 500
        assert passage.drawn < 100
        listed.marked = "9999"
        await until(pilot, lambda: "▸ row 9999" in text_of(app))
        assert listed.move(-1) is None
        await pilot.pause()
        assert listed.marked == "9998"


@pytest.mark.parametrize("word", ["漢字" * 40, "x" * 80])
def test_a_word_without_a_break_is_cut_where_the_line_ends(word):
    spans = line_spans(word, 20)
    assert "".join(word[start:end] for start, end in spans) == word
    assert {cell_len(word[start:end]) for start, end in spans[:-1]} == {20}
