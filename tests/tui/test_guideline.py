"""The guideline panel: all of it, `/` finds words, Enter goes from place to place; and which part speaks of an item."""

from __future__ import annotations

from conftest_tui import press, settled, text_of
from review_rows import GUIDELINE, PLAIN, begun, log
from review_steps import reviewing

from rung.tui.review.item_text import section_for, sections
from rung.tui.review.review_modals import places

LONG = (
    GUIDELINE + "\n## 3 Rare\n" + "\n".join(f"Rule {n}: nothing of note." for n in range(80)) + "\nA zebra is rare.\n"
)


async def test_words_are_found_and_shown(tmp_path, program):
    folder = begun(tmp_path / "icd", guideline=LONG)
    async with reviewing(program(folder), size=(60, 20)) as (app, pilot, _):
        await press(pilot, "g")
        assert "v1" in text_of(app) and "zebra" not in text_of(app)
        await press(pilot, "slash", *"ZEBRA")
        assert "zebra" in text_of(app) and "1 of 1" in text_of(app)
        await pilot.press("escape", "slash")
        app.screen.query_one("#sought").value = "e11.4"
        await settled(pilot)
        assert "1 of 2" in text_of(app)
        await press(pilot, "enter")
        assert "2 of 2" in text_of(app) and "E11.42" in text_of(app)
        await pilot.press("enter")
        assert "1 of 2" in text_of(app)
        app.screen.query_one("#sought").value = "no such words"
        await settled(pilot)
        assert " of 2" not in text_of(app)
        await press(pilot, "escape", "j", "pagedown", "end")
        assert "zebra" in text_of(app)
        await press(pilot, "escape", "g", "a", "x", "slash", *"axe 1 sq", "escape", "escape")  # they decide nothing
        assert app.screen.stage == "Review" and app.screen.item is not None
    assert log(folder) == []


async def test_without_a_guideline_it_says_so(tmp_path, program):
    folder = begun(tmp_path / "icd")
    (folder / "guideline.md").unlink()
    async with reviewing(program(folder)) as (app, pilot, _):
        await pilot.press("g")
        assert "guideline.md" in app.screen.message and app.screen.stage == "Review"


def test_the_part_that_speaks_of_the_item():
    assert [heading for heading, _ in sections(GUIDELINE)] == ["1 General", "2.3 Hypertension", "2.4 Diabetes"]
    question, answer = (PLAIN[0]["messages"][n]["content"] for n in (0, 1))
    assert section_for(GUIDELINE, f"{question}\n{answer}")[0] == "2.4 Diabetes"
    assert section_for(GUIDELINE, "hypertension of the heart")[0] == "2.3 Hypertension"
    assert section_for(GUIDELINE, "zebra")[0] == "1 General"
    assert section_for("1. One rule.\n2. Another.", "anything")[0] == ""
    assert section_for("", "anything")[1] == ""


def test_places_are_found_across_line_breaks_and_case():
    assert places("One code a\nline", "A LINE") == [(9, 15)]
    assert places("a.b a*b", "a*b") == [(4, 7)]
    assert places("anything", "  ") == []
