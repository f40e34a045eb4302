"""Review: decisions, edits, repairs, the session, the guideline; nothing is lost, nothing is done by itself."""

import asyncio
import re

from conftest_tui import PATIENCE, press, settled, text_of, until, words_in
from review_rows import NERVE, PLAIN, POLY, begun, decided_by, drafts, log, reviewing, shown_item, store_of, stored
from sqlalchemy import text as sql

from rung.tui.review.review_modals import ConflictScreen
from rung.tui.widgets.lines import changed, marked


async def no_row_is_held(folder):
    """Rows are given back by a thread of their own: wait for it."""
    for _ in range(PATIENCE):
        with store_of(folder) as store, store.read() as connection:
            if not connection.execute(sql("select count(*) from rows where lease_until is not null")).scalar():
                return True
        await asyncio.sleep(0.02)
    return False


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
    async with reviewing(program(project)) as (app, pilot, item):
        labels = app.screen.labels
        assert item.answer in labels and ("a", "approve") in app.screen.hints()
        other = next(number for number, label in enumerate(labels, 1) if label != item.answer)
        following = await shown_item(pilot, str(other))
        row = stored(project)[item.id]
        assert (row.state, row.example.answer) == ("edited", labels[other - 1])
        await shown_item(pilot, str(labels.index(following.answer) + 1))
        assert stored(project)[following.id].state == "approved"
        await shown_item(pilot, "u")
        assert (await shown_item(pilot, "u")).id == item.id
    assert stored(project)[item.id].state not in ("approved", "edited")


def leases_end(folder):
    """All that is held here is held no longer."""
    with store_of(folder) as store, store.write() as connection:
        connection.execute(sql("update rows set lease_until = 1 where lease_token is not null"))


async def test_a_lost_lease_shows_both_and_the_edit_is_kept(project, program):
    async with reviewing(program(project), size=(120, 30)) as (app, pilot, item):
        leases_end(project)
        decided_by(project, "mo", item.id, "approve")
        await press(pilot, "e", "end", "Z", "ctrl+s")
        assert app.screen.question  # where answers are labels, a new one may be a slip
        await press(pilot, "y")
        await until(pilot, lambda: isinstance(app.screen, ConflictScreen) and f"{item.answer}Z" in text_of(app))
        assert (app.screen.ruling.verdict, app.screen.other.reviewer) == ("edit", "mo")
        await pilot.press("enter")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Review")
        assert (await shown_item(pilot)).id != item.id
    row = stored(project)[item.id]
    assert (row.state, row.reviewer) == ("approved", "mo")
    assert drafts(project) == {item.id: f"{item.answer}Z"}


async def test_a_lease_that_ran_out_is_taken_again_and_both_decisions_go_to_a_third_person(project, program):
    async with reviewing(program(project)) as (app, pilot, item):
        leases_end(project)
        assert (await shown_item(pilot, "a")).id == item.id and stored(project)[item.id].state != "approved"
        leases_end(project)
        decided_by(project, "mo", item.id, "approve")
        await press(pilot, "m", *"odd", "enter", "x", "1")
        await until(pilot, lambda: isinstance(app.screen, ConflictScreen) and app.screen.is_mounted)
        await pilot.press("n")
        await until(pilot, lambda: getattr(app.screen, "stage", "") == "Review")
        await shown_item(pilot)
    assert stored(project)[item.id].state == "unsure" and log(project)[-1][1:] == ("reject", "odd")


def put(app, text):
    """Another text into the open field."""
    app.screen.panel.open(app.screen.panel.before, text)


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


async def test_undo_takes_one_back_and_shows_it_again_with_the_repair(tmp_path, program):
    folder = begun(tmp_path / "icd")
    async with reviewing(program(folder)) as (app, pilot, _):
        await pilot.press("e")
        put(app, POLY)
        await shown_item(pilot, "ctrl+s")
        assert "b " in app.screen.message and log(folder)
        assert (await shown_item(pilot, "b")).id == "r-000002"  # the nearest question first
        assert "E11.40" in text_of(app) and "E11.42" in text_of(app)
        assert {row.state for row in stored(folder).values()} == {"edited", "pending", "leased"}
        assert (await shown_item(pilot, "a")).id == "r-000004"
        row = stored(folder)["r-000002"]
        assert (row.state, row.example.answer, row.original.answer) == ("edited", POLY, NERVE)
        assert log(folder)[-1] == (2, "edit", "same repair as r-000001")
        assert (await shown_item(pilot, "u")).id == "r-000002"
        assert "E11.42" in text_of(app) and app.screen.session.series is not None
        assert stored(folder)["r-000002"].example.answer == NERVE
        assert (await shown_item(pilot, "escape")).id == "r-000002" and app.screen.session.series is None
        assert [verdict for _, verdict, _ in log(folder)] == ["edit", "edit", "undo"]


async def test_the_last_row_ends_with_a_summary_and_undo_still_works(tmp_path, program):
    folder = begun(tmp_path / "icd", PLAIN[:3], overlap=1)
    for row in ("r-000001", "r-000002", "r-000003"):
        decided_by(folder, "mo", row, "approve")
    async with reviewing(program(folder)) as (app, pilot, _):
        for keys in (("a",), ("a",), ("x", "1")):
            await shown_item(pilot)
            await press(pilot, *keys)
        shown = words_in(app)
        for figures in (r"\b3 rows\b", r"\b2 \w+, 1 \w+", r"\bmo\b.*\b3 rows\b", r"\bdana 3\b", r"\(5\)"):
            assert re.search(figures, shown), (figures, shown)
        assert (await shown_item(pilot, "u")).id == "r-000003"
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
            left = connection.execute(sql("select lease_until - unixepoch() from rows where id = 1")).scalar()
        assert left > 14 * 60


async def test_words_of_the_guideline_are_found_and_shown(tmp_path, program):
    folder = begun(tmp_path / "icd")
    guideline = folder / "guideline.md"
    rare = "".join(f"Rule {n}: nothing of note.\n" for n in range(80))
    guideline.write_text(f"{guideline.read_text()}\n## 3 Rare\n{rare}A zebra is rare.\n")
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
    guideline.unlink()
    async with reviewing(program(folder)) as (app, pilot, _):
        await press(pilot, "g")
        assert "guideline.md" in app.screen.message and app.screen.stage == "Review"
    assert log(folder) == []
