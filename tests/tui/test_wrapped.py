"""Long lines are folded at the width of the terminal, and a list keeps its mark in sight."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from rung.tui.widgets.lines import folded

MIXED = st.text(alphabet="ab é漢ア \u0301\U0001f469\u200d🦀", max_size=120)


@given(MIXED, st.integers(20, 40))
def test_no_line_is_too_wide_and_only_spaces_are_lost(text, width):
    lines = folded(text, width)
    assert all(cell_len(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())
