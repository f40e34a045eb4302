"""Editing in the Review screen: what differs is marked, what was not touched comes back byte for byte, drafts stay."""

from __future__ import annotations

from conftest_tui import press, settled, text_of
from review_rows import NERVE, PLAIN, POLY, begun, drafts, log, stored
from review_steps import put, reviewing, shown_item

from curation.example import chat_row
from rung.tui.widgets.lines import changed, marked

ODD = "one\rtwo\r\nthree\x0cfour\u2028five\x85six\t\x1b[31mred\u202eevil\u202c \U0001f468\u200d\U0001f469\n\nend"


def marks(app, widget):
    """The texts on the lines of a widget that are drawn struck or underlined."""
    found = {"strike": "", "underline": ""}
    region = app.screen.query_one(widget).region
    for strip in app.screen._compositor.render_strips()[region.y : region.bottom]:
        for segment in strip.crop(region.x, region.right):
            for name in found:
                if segment.style and getattr(segment.style, name):
                    found[name] += segment.text
    return found


async def test_draft_and_edit_stand_side_by_side_from_100_columns(tmp_path, program):
    async with reviewing(program(begun(tmp_path / "icd"))) as (app, pilot, _):
        await press(pilot, "e", "end", "X")
        assert marks(app, "#other")["underline"].split() == ["unspecifiedX"], "as soon as it is typed"
        put(app, POLY)
        for size in ((80, 24), (99, 30), (100, 30), (160, 50)):
            await pilot.resize_terminal(*size)
            await settled(pilot)
            one, other = app.screen.query_one("#one"), app.screen.query_one("#other")
            assert (one.region.y == other.region.y) is (size[0] >= 100)
            assert (one.region.x == other.region.x) is (size[0] < 100)
            assert one.region.width > 20
            assert marks(app, "#one")["strike"].replace(" ", "") == "40neuropathy,unspecified"
            assert marks(app, "#edit")["underline"].replace(" ", "") == "42polyneuropathy"
            assert "^S" in text_of(app)
            assert app.screen.query_one("#item").region.contains_region(other.region)


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


async def test_a_remark_goes_with_the_next_decision_only(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (_, pilot, _):
        await shown_item(pilot, "m", *"axe", "enter", "n")
        await shown_item(pilot, "a")
    assert log(folder) == [(1, "unsure", "axe"), (2, "approve", "")]


def test_differences_are_places_in_both_texts():
    assert changed(NERVE, NERVE) == ([], [])
    gone, came = changed("a b c", "a x c d")
    assert ["a b c"[i:j] for i, j in gone] == ["b"]
    assert ["a x c d"[i:j] for i, j in came] == ["x", " d"]
    long = " ".join(map(str, range(3000)))
    gone, came = changed(long, long[::-1])
    assert len(gone) == len(came) == 1
    assert marked("a\x1bb", [(1, 2)], "bold").plain == "a\\u001bb"
