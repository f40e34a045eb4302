"""Editing in the Review screen: what differs is marked, what was not touched comes back byte for byte, drafts stay."""

from __future__ import annotations

from conftest_tui import press, text_of
from review_rows import NERVE, PLAIN, begun, drafts, log, stored
from review_steps import put, reviewing, shown_item

from curation.example import chat_row
from rung.tui.widgets.lines import changed, marked

ODD = "one\rtwo\r\nthree\x0cfour\u2028five\x85six\t\x1b[31mred\u202eevil\u202c \U0001f468\u200d\U0001f469\n\nend"


async def test_what_was_not_touched_comes_back_byte_for_byte(tmp_path, program):
    folder = begun(tmp_path / "icd", (chat_row("odd", ODD), *PLAIN))
    async with reviewing(program(folder), size=(120, 40)) as (app, pilot, _):
        await press(pilot, "e", "ctrl+end", "!")
        assert not set("\x1b\u202e") & set(text_of(app))
        await shown_item(pilot, "ctrl+s")
    assert stored(folder)["r-000001"].example.answer == ODD + "!"


async def test_nothing_is_not_saved_and_esc_keeps_the_draft_and_e_goes_on_with_it(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (app, pilot, item):
        await pilot.press("e")
        put(app, "  ")
        await press(pilot, "ctrl+s")
        assert app.screen.message and app.screen.is_editing
        put(app, NERVE)
        await press(pilot, "end", "Q", "escape")
        assert f"{NERVE}Q" not in text_of(app).replace("\n", "")
    assert drafts(folder) == {item.id: f"{NERVE}Q"}
    assert log(folder) == []
    async with reviewing(program(folder)) as (app, pilot, item):
        assert item.draft is not None
        await pilot.press("e")
        assert app.screen.panel.field.edited == f"{NERVE}Q"
        await shown_item(pilot, "ctrl+s")
    assert stored(folder)[item.id].example.answer == f"{NERVE}Q"
    assert drafts(folder) == {}


def test_differences_are_places_in_both_texts():
    assert changed(NERVE, NERVE) == ([], [])
    gone, came = changed("a b c", "a x c d")
    assert ["a b c"[i:j] for i, j in gone] == ["b"]
    assert ["a x c d"[i:j] for i, j in came] == ["x", " d"]
    long = " ".join(map(str, range(3000)))
    gone, came = changed(long, long[::-1])
    assert len(gone) == len(came) == 1
    assert marked("a\x1bb", [(1, 2)], "bold").plain == "a\\u001bb"
