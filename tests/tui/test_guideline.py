"""The guideline: all of it, and which part speaks of an item."""

from __future__ import annotations

from conftest_tui import press, text_of
from review_rows import GUIDELINE, PLAIN, begun, log
from review_steps import reviewing

from rung.tui.review.guideline_parts import section_for, sections

LONG = (
    GUIDELINE + "\n## 3 Rare\n" + "\n".join(f"Rule {n}: nothing of note." for n in range(80)) + "\nA zebra is rare.\n"
)


async def test_it_is_shown_in_full_and_keys_there_decide_nothing(tmp_path, program):
    folder = begun(tmp_path / "icd", guideline=LONG)
    async with reviewing(program(folder), (60, 20)) as (app, pilot, _):
        await press(pilot, "g")
        assert "Guideline v1" in text_of(app) and "A zebra is rare" not in text_of(app)
        await press(pilot, "a", "x", "end")
        assert "A zebra is rare" in text_of(app)
        await press(pilot, "escape")
        assert app.screen.stage == "Review"
    assert log(folder) == []


async def test_without_a_guideline_it_says_so(tmp_path, program):
    folder = begun(tmp_path / "icd")
    (folder / "guideline.md").unlink()
    async with reviewing(program(folder)) as (app, pilot, _):
        await pilot.press("g")
        assert app.screen.message == "no guideline.md in this project"


def test_the_part_that_speaks_of_the_item():
    assert [part.heading for part in sections(GUIDELINE)] == ["1 General", "2.3 Hypertension", "2.4 Diabetes"]
    question, answer = (PLAIN[0]["messages"][n]["content"] for n in (0, 1))
    assert section_for(GUIDELINE, f"{question}\n{answer}").heading == "2.4 Diabetes"
    assert section_for(GUIDELINE, "hypertension of the heart").heading == "2.3 Hypertension"
    assert section_for(GUIDELINE, "zebra").heading == "1 General"
    assert section_for("1. One rule.\n2. Another.", "anything").heading == ""
    assert section_for("", "anything").body == ""
