"""Every state of Review: empty, loading, errors, conversation, pair, blind, near rows, team, the end of a sitting."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta

from conftest_tui import PATIENCE, settled, text_of
from review_rows import LOOSE, NERVE, PAIR, PLAIN, POLY, TALK, begun, decided_by, free, log, opened
from sqlalchemy import text as sql
from test_review import on_review, shown_item, stored

from rung.start import start_project

SIZES = [(80, 24), (120, 40), (160, 50), (60, 20)]


def flat(app, widget="#right"):
    """The words on a part of the screen."""
    region = app.screen.query_one(widget).region
    lines = text_of(app).split("\n")[region.y : region.bottom]
    return " ".join(" ".join(line[region.x : region.right] for line in lines).replace("│", " ").split())


async def no_row_is_held(folder):
    """Rows are given back by a thread of their own: wait for it."""
    for _ in range(PATIENCE):
        if free(folder):
            return True
        await asyncio.sleep(0.02)
    return False


async def at_every_size(pilot):
    """Each size in turn, in one program."""
    for size in SIZES:
        await pilot.resize_terminal(*size)
        await pilot.press("pageup", "pageup", "pageup")
        await settled(pilot)
        yield size


async def test_a_conversation_is_shown_turn_by_turn(tmp_path, program):
    app = program(begun(tmp_path / "icd", (TALK,)))
    async with app.run_test(size=(80, 24)) as pilot:
        await on_review(app, pilot)
        async for _ in at_every_size(pilot):
            shown = text_of(app)
            places = [shown.index(part) for part in ("System", "turn 1 of 2", "Answer before", "turn 2 of 2")]
            assert places == sorted(places)
            await pilot.press("pagedown")
            await settled(pilot)
            assert "E11.42" in text_of(app)
            assert "Proposed answer" in text_of(app)


async def test_the_answers_of_a_pair_stand_beside_one_another(tmp_path, program):
    folder = begun(tmp_path / "icd", (PAIR,))
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_review(app, pilot)
        async for size in at_every_size(pilot):
            assert "Better answer" in text_of(app)
            await pilot.press("pagedown")
            await settled(pilot)
            assert "Antibiotics" in text_of(app)
            one, other = app.screen.query_one("#one").region, app.screen.query_one("#other").region
            assert (one.y == other.y) is (size[0] >= 100)
        await pilot.press("a")
        await settled(pilot)
    assert stored(folder)["r-000001"].state == "approved"


async def test_a_text_row_shows_its_text_and_can_be_edited(tmp_path, program):
    folder = begun(tmp_path / "icd", (LOOSE,))
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_review(app, pilot)
        assert LOOSE["text"] in flat(app)
        await pilot.press("e", "end", "!", "ctrl+s")
        await settled(pilot)
    assert stored(folder)["r-000001"].example.row == {"text": LOOSE["text"] + "!"}


async def test_guideline_near_rows_and_team_stand_beside_the_item(tmp_path, program):
    folder = begun(tmp_path / "icd")
    decided_by(folder, "mo", "r-000002", "edit", POLY)
    decided_by(folder, "mo", "r-000005", "approve")
    decided_by(folder, "dana", "r-000003", "reject")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        item = await on_review(app, pilot)
        assert item.id == "r-000001"
        await pilot.pause(0.1)
        async for size in at_every_size(pilot):
            if size[0] >= 80:
                shown = flat(app, "#beside")
                assert "Guideline v1, 2.4 Diabetes" in shown
                assert "edited, mo" in shown or "edited mo" in shown
                assert "Team: mo 2" in shown
                assert "dana 1" in shown
            await pilot.press("v")
            await settled(pilot)
            assert "edited by mo" in text_of(app)
            await pilot.press("escape")
    assert [each for each in log(folder) if each[0] == 1] == []


async def test_blind_rows_hide_what_others_decided(tmp_path, program):
    folder = begun(tmp_path / "icd", overlap=1)
    decided_by(folder, "mo", "r-000001", "edit", POLY)
    decided_by(folder, "mo", "r-000002", "edit", POLY)
    decided_by(folder, "priya", "r-000002", "edit", POLY)
    app = program(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        item = await on_review(app, pilot)
        await settled(pilot)
        assert item.blind
        shown = flat(app, "#beside").split("Team:")[0] + flat(app, "#item")
        assert "what others decided is hidden" in shown
        assert "E11.42 -" not in shown
        assert "mo" not in shown.split()
        await pilot.press("v")
        assert "hidden" in app.screen.message


async def test_empty_without_rows_and_without_open_rows(tmp_path, program):
    bare = tmp_path / "bare"
    bare.mkdir()
    start_project(bare)
    app = program(bare)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.open_stage(4)
        await settled(pilot)
        assert "No rows yet. Import a file: rung data import" in flat(app)
        await pilot.press("enter")
        await settled(pilot)
        assert app.screen.stage == "Data"
    folder = begun(tmp_path / "icd", PLAIN[:1])
    decided_by(folder, "mo", "r-000001", "approve")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.open_stage(4)
        await settled(pilot)
        assert "Nothing to review. More drafts: rung data generate --count 100" in flat(app)
        await pilot.press("enter")
        await settled(pilot)
        assert app.screen.stage == "Dataset"


async def test_rows_that_wait_for_others_are_counted(tmp_path, program):
    folder = begun(tmp_path / "icd", PLAIN[:2], overlap=1)
    decided_by(folder, "dana", "r-000001", "approve")
    decided_by(folder, "dana", "r-000002", "approve")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        app.open_stage(4)
        await settled(pilot)
        assert "2 rows wait for someone else" in flat(app)


class Held:
    """Another program's change: the store is locked until `end`."""

    def __init__(self, folder):
        self.folder, self.go, self.on = folder, threading.Event(), threading.Event()
        self.thread = threading.Thread(target=self._hold)

    def _hold(self):
        with opened(self.folder) as store, store.write():
            self.on.set()
            self.go.wait(30)

    def __enter__(self):
        self.thread.start()
        self.on.wait(10)
        return self

    def end(self):
        self.go.set()
        self.thread.join()

    def __exit__(self, *_):
        self.end()


async def seen(pilot, words, tries=400):
    """Wait until these words stand in row 23."""
    for _ in range(tries):
        await pilot.pause(0.02)
        if words in pilot.app.screen.message:
            return pilot.app.screen.message
    raise AssertionError(f"{words!r} did not come: {pilot.app.screen.message!r}")


async def test_a_busy_store_is_said_and_the_decision_kept(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    app.source.tick = 0.02
    async with app.run_test(size=(120, 30)) as pilot:
        item = await on_review(app, pilot)
        with Held(folder) as held:
            await pilot.press("a")
            words = await seen(pilot, "Not saved yet, trying again (")
            assert "Your decision is kept here." in words
            assert app.screen.item.id == item.id
            await pilot.press("a", "x", "s")  # one key is kept for the next row, no more
            held.end()
        for _ in range(PATIENCE):
            await pilot.pause(0.02)
            if len(log(folder)) == 2 and not app.screen.busy:
                break
        await pilot.pause(0.3)
    assert [verdict for _, verdict, _ in log(folder)] == ["approve", "approve"]


async def test_a_late_row_is_said_and_esc_still_works(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    app.source.tick = 0.02
    async with app.run_test(size=(120, 30)) as pilot:
        await settled(pilot)
        with Held(folder):
            app.open_stage(4)
            await seen(pilot, "Fetching the next row …")
            await pilot.press("escape")
            await pilot.pause(0.1)
            assert app.screen.stage == "Start"
        await asyncio.sleep(0.1)
        await settled(pilot)


async def test_a_damaged_store_is_named_and_tried_again(tmp_path, program):
    folder = begun(tmp_path / "icd")
    database = folder / "rung.db"
    good = database.read_bytes()
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await settled(pilot)
        database.write_bytes(b"no database" * 100)
        for part in ("-wal", "-shm"):
            (folder / f"rung.db{part}").unlink(missing_ok=True)
        app.open_stage(4)
        await settled(pilot)
        assert "it is damaged. Nothing was opened." in flat(app)
        assert "Next: try again" in flat(app)
        database.write_bytes(good)
        await pilot.press("enter")
        item = await shown_item(pilot)
        assert item.id == "r-000001"


async def test_a_row_without_an_answer_is_not_approved(tmp_path, program):
    folder = begun(tmp_path / "icd", ({"messages": [{"role": "user", "content": "what?"}]}, *PLAIN))
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        item = await on_review(app, pilot)
        assert "(no answer yet: e writes one)" in text_of(app)
        await pilot.press("a")
        await settled(pilot)
        assert "no answer yet: nothing to approve" in app.screen.message
        assert app.screen.item.id == item.id
        await pilot.press("e", *"I10", "ctrl+s")
        await shown_item(pilot)
    assert stored(folder)[item.id].example.answer == "I10"


async def test_the_last_row_ends_with_a_summary_and_undo_still_works(tmp_path, program):
    folder = begun(tmp_path / "icd", PLAIN[:3], overlap=1)
    for row in ("r-000001", "r-000002", "r-000003"):
        decided_by(folder, "mo", row, "approve")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_review(app, pilot)
        for keys in (("a",), ("a",), ("x", "1")):
            await shown_item(pilot)
            await pilot.press(*keys)
        await settled(pilot)
        shown = flat(app)
        assert "That was the last one. 3 rows in" in shown
        assert "2 approved, 1 rejected" in shown
        assert "Agreement with mo" in shown or "Kappa with mo" in shown
        assert "3 rows seen twice" in shown
        assert "Team: dana 3" in shown
        assert "Next: freeze the dataset (5)" in shown
        await pilot.press("u")
        item = await shown_item(pilot)
        assert item.id == "r-000003"
        assert app.screen.sitting.counts == {"approve": 2}
        await pilot.press("x", "9", "escape")  # there is no ninth reason
        assert app.screen.item.id == "r-000003"
        await pilot.press("5")
        await settled(pilot)
        assert app.screen.stage == "Dataset"
    assert [verdict for row, verdict, _ in log(folder) if row == 3] == ["approve", "reject", "undo"]
    assert await no_row_is_held(folder)


async def test_esc_ends_the_sitting_with_a_summary_and_gives_the_rows_back(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        await on_review(app, pilot)
        await pilot.press("a")
        await shown_item(pilot)
        await pilot.press("escape")
        await settled(pilot)
        shown = flat(app)
        assert "1 row in" in shown
        assert "1 approved" in shown
        assert "4 of 5 rows are left" in shown
        assert await no_row_is_held(folder)
        await pilot.press("enter")
        item = await shown_item(pilot)
        assert item.id == "r-000002"
        await pilot.press("escape")
        await settled(pilot)
        await pilot.press("escape")
        await settled(pilot)
        assert app.screen.stage == "Start"
    assert await no_row_is_held(folder)


async def test_a_row_that_is_read_for_long_is_kept(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with app.run_test(size=(80, 24)) as pilot:
        item = await on_review(app, pilot)
        with opened(folder) as store, store.write() as connection:
            connection.execute(sql("update rows set lease_until = lease_until - 800 where id = 1"))
        app.screen.sitting.keep(item)
        with opened(folder) as store, store.read() as connection:
            left = connection.execute(
                sql("select lease_until - :now from rows where id = 1"), {"now": clock()}
            ).scalar()
        assert left > timedelta(minutes=14).total_seconds()


def clock():
    """Seconds since the epoch."""
    import time

    return time.time()


async def test_two_programs_see_each_others_decisions(tmp_path, program, monkeypatch):
    folder = begun(tmp_path / "icd")
    one, two = program(folder), program(folder)
    two.source.who = "mo"
    async with one.run_test(size=(120, 40)) as first:
        mine = await on_review(one, first)
        async with two.run_test(size=(120, 40)) as second:
            theirs = await on_review(two, second)
            assert theirs.id != mine.id
            await second.press("a")
            await shown_item(second)
        await first.press("a")
        await shown_item(first)
        await settled(first)
        await first.pause(0.2)
        assert "Team: dana 1" in flat(one, "#beside")
        assert "mo 1" in flat(one, "#beside")
    rows = stored(folder)
    assert (rows[mine.id].reviewer, rows[theirs.id].reviewer) == ("dana", "mo")
    assert len(log(folder)) == 2
    assert NERVE in rows[mine.id].example.answer


async def test_a_flagged_row_goes_to_who_settles_and_figures_are_shown(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    async with app.run_test(size=(120, 40)) as pilot:
        await on_review(app, pilot)
        await pilot.press("N")
        await shown_item(pilot)
        await pilot.press("o")
        for _ in range(PATIENCE):
            await pilot.pause(0.02)
            if "The review in figures" in text_of(app):
                break
        assert "Hours to the goal" in text_of(app)
        assert "rung review economics" in text_of(app)
        await pilot.press("escape")
        await settled(pilot)
        assert app.screen.stage == "Review"
    assert log(folder) == [(1, "flag", "")]
    assert stored(folder)["r-000001"].state == "unsure"
