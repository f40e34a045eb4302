"""The guideline panel: all of it, `/` finds words, Enter goes from place to place; and which part speaks of an item."""

from __future__ import annotations

from conftest_tui import press, settled, text_of
from review_rows import GUIDELINE, begun, log
from review_steps import reviewing

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
