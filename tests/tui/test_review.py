"""Review: decisions, edits, repairs, the session, the guideline; nothing is lost, nothing is done by itself."""

from __future__ import annotations

import re
import time
from datetime import timedelta

from conftest_tui import press, running, settled, text_of, until, words_in
from review_rows import (
    GUIDELINE,
    NERVE,
    PLAIN,
    POLY,
    begun,
    decided_by,
    drafts,
    log,
    no_row_is_held,
    on_review,
    put,
    reviewing,
    shown_item,
    store_of,
    stored,
)
from sqlalchemy import text as sql

from curation.example import chat_row
from rung.tui.review.review_modals import ConflictScreen
from rung.tui.widgets.lines import changed, marked


async def test_approve_reject_skip_unsure_undo_flag(project, program):
    async with reviewing(program(project)) as (app, pilot, first):
        assert app.screen.check_action("unmask", ()) is False  # nothing is hidden
        second = await shown_item(pilot, "a")
        assert second.id != first.id
        third = await shown_item(pilot, "x", "2")
        fourth = await shown_item(pilot, "s")
        await press(pilot, "m", *"axe", "escape", "m")
        assert app.focused.value == "axe"
        await shown_item(pilot, "enter", "n")
        rows = stored(project)
        assert (rows[first.id].state, rows[first.id].reviewer) == ("approved", "dana")
        assert rows[second.id].state == "rejected"
        assert rows[third.id].state in ("skipped", "pending")
        assert rows[fourth.id].state == "unsure" and log(project)[-1][1:] == ("unsure", "axe")
        assert (await shown_item(pilot, "u")).id == fourth.id
        assert stored(project)[fourth.id].state != "unsure"
        await shown_item(pilot, "N")
        await press(pilot, "escape")
        assert app.screen.state == "over" and re.search(rf"\b{first.total - 2} of {first.total}\b", words_in(app))
        assert await no_row_is_held(project)
    assert stored(project)[fourth.id].state == "unsure" and log(project)[-1][1:] == ("flag", "")


async def test_a_digit_gives_one_of_the_answers_in_use(project, program):
    app = program(project)
    async with running(app) as pilot:
        item = await on_review(app, pilot)
        labels = app.screen.labels
        assert item.answer in labels and ("a", "approve") in app.screen.hints()
        other = next(number for number, label in enumerate(labels, 1) if label != item.answer)
        await pilot.press(str(other))
        following = await shown_item(pilot)
        row = stored(project)[item.id]
        assert (row.state, row.example.answer) == ("edited", labels[other - 1])
        await pilot.press(str(labels.index(following.answer) + 1))
        await shown_item(pilot)
        assert stored(project)[following.id].state == "approved"
        await pilot.press("u")
        await shown_item(pilot)
        await pilot.press("u")
        assert (await shown_item(pilot)).id == item.id
    assert stored(project)[item.id].state not in ("approved", "edited")


def leases_end(folder):
    """All that is held here is held no longer."""
    with store_of(folder) as store, store.write() as connection:
        connection.execute(sql("update rows set lease_until = 1 where lease_token is not null"))


def taken_by_another(folder, row, verdict="approve"):
    """The lease runs out, and mo decides the row while it is open here."""
    leases_end(folder)
    decided_by(folder, "mo", row, verdict)


async def test_a_lost_lease_shows_both_and_the_edit_is_kept(project, program):
    async with reviewing(program(project), size=(120, 30)) as (app, pilot, item):
        taken_by_another(project, item.id)
        await press(pilot, "e", "end", "Z", "ctrl+s")
        assert app.screen.question  # where answers are labels, a new one may be a slip
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, ConflictScreen) and f"{item.answer}Z" in text_of(app))
        assert (app.screen.ruling.verdict, app.screen.other.reviewer) == ("edit", "mo")
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Review")
        following = await shown_item(pilot)
        assert following.id != item.id
    row = stored(project)[item.id]
    assert (row.state, row.reviewer) == ("approved", "mo")
    assert drafts(project) == {item.id: f"{item.answer}Z"}


async def test_a_lease_that_ran_out_is_taken_again_and_both_decisions_go_to_a_third_person(project, program):
    async with reviewing(program(project)) as (app, pilot, item):
        leases_end(project)
        assert (await shown_item(pilot, "a")).id == item.id and stored(project)[item.id].state != "approved"
        taken_by_another(project, item.id)
        await press(pilot, "m", *"odd", "enter", "x", "1")
        await until(pilot, lambda: isinstance(app.screen, ConflictScreen) and app.screen.is_mounted)
        await pilot.press("n")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Review")
        await shown_item(pilot)
    assert stored(project)[item.id].state == "unsure" and log(project)[-1][1:] == ("reject", "odd")


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


async def repair_the_first(app, pilot):
    """Edit the row on the screen to POLY by key, and save."""
    item = await on_review(app, pilot)
    await pilot.press("e")
    put(app, POLY)
    await shown_item(pilot, "ctrl+s")
    assert ("b " in app.screen.message) and log(app.source.folder)
    return item


async def test_undo_takes_one_back_and_shows_it_again_with_the_repair(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with running(app) as pilot:
        await repair_the_first(app, pilot)
        assert (await shown_item(pilot, "b")).id == "r-000002"  # the nearest question first
        assert "E11.40" in text_of(app) and "E11.42" in text_of(app)
        assert {row.state for row in stored(folder).values()} == {"edited", "pending", "leased"}
        assert (await shown_item(pilot, "a")).id == "r-000004"
        row = stored(folder)["r-000002"]
        assert (row.state, row.example.answer, row.original.answer) == ("edited", POLY, NERVE)
        assert log(folder)[-1] == (2, "edit", "same repair as r-000001")
        item = await shown_item(pilot, "u")
        assert item.id == "r-000002"
        assert "E11.42" in text_of(app) and app.screen.session.series is not None
        assert stored(folder)["r-000002"].example.answer == NERVE
        following = await shown_item(pilot, "escape")
        assert app.screen.session.series is None
        assert following.id == "r-000002"
        assert [verdict for _, verdict, _ in log(folder)] == ["edit", "edit", "undo"]


async def test_the_last_row_ends_with_a_summary_and_undo_still_works(tmp_path, program):
    folder = begun(tmp_path / "icd", PLAIN[:3], overlap=1)
    for row in ("r-000001", "r-000002", "r-000003"):
        decided_by(folder, "mo", row, "approve")
    async with reviewing(program(folder)) as (app, pilot, _):
        for keys in (("a",), ("a",), ("x", "1")):
            await shown_item(pilot)
            await pilot.press(*keys)
        await settled(pilot)
        shown = words_in(app)
        for figures in (r"\b3 rows\b", r"\b2 \w+, 1 \w+", r"\bmo\b.*\b3 rows\b", r"\bdana 3\b", r"\(5\)"):
            assert re.search(figures, shown), (figures, shown)
        item = await shown_item(pilot, "u")
        assert item.id == "r-000003"
        assert [verdict for verdict, _ in app.screen.session.done] == ["approve"] * 2
        await pilot.press("x", "9", "escape")  # there is no ninth reason
        assert app.screen.item.id == "r-000003"
        await press(pilot, "5")
        assert app.screen.stage == "Dataset"
    assert [verdict for row, verdict, _ in log(folder) if row == 3] == ["approve", "reject", "undo"]
    assert await no_row_is_held(folder)


async def test_a_row_that_is_read_for_long_is_kept(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (app, _, item):
        with store_of(folder) as store, store.write() as connection:
            connection.execute(sql("update rows set lease_until = lease_until - 800 where id = 1"))
        app.screen.session.keep(item)
        with store_of(folder) as store, store.read() as connection:
            left = connection.execute(
                sql("select lease_until - :now from rows where id = 1"), {"now": time.time()}
            ).scalar()
        assert left > timedelta(minutes=14).total_seconds()


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
