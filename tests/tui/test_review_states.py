"""Review: every kind of row, what is beside the item, no rows at all; a busy or damaged store loses nothing."""

import contextlib
import re
import threading

from conftest_tui import on_stage, playing, press, rested, settled, text_of, until, words_in
from review_rows import LOOSE, PAIR, PLAIN, POLY, TALK, begun, decided_by, log, reviewing, shown_item, store_of, stored
from sqlalchemy import event

from rung.start import start_project

SIZES = [(80, 24), (160, 50), (60, 20)]


async def at_every_size(pilot):
    """Each size in turn, in one program."""
    for size in SIZES:
        await pilot.resize_terminal(*size)
        await press(pilot, "pageup", "pageup", "pageup")
        yield size


async def test_the_answers_of_a_pair_stand_beside_one_another_and_turns_in_their_order(tmp_path, program):
    folder = begun(tmp_path / "icd", (PAIR, TALK))
    async with reviewing(program(folder)) as (app, pilot, _):
        async for size in at_every_size(pilot):
            assert "Better answer" in text_of(app)
            await press(pilot, "pagedown")
            assert "Antibiotics" in text_of(app)
            one, other = app.screen.query_one("#one").region, app.screen.query_one("#other").region
            assert (one.y == other.y) is (size[0] >= 100)
        await shown_item(pilot, "e", "end", "!", "ctrl+s")
        async for _ in at_every_size(pilot):
            shown = text_of(app)
            places = [shown.index(part) for part in ("System", "Question 1", "Answer 1", "Question 2")]
            assert places == sorted(places)
    assert stored(folder)["r-000001"].example.row == {**PAIR, "chosen": PAIR["chosen"] + "!"}


async def test_a_text_a_call_and_a_question_without_an_answer_are_shown_and_edited(tmp_path, program):
    """A call is edited by field; without an answer there is nothing to approve."""
    made = {"type": "function", "function": {"name": "pay", "arguments": {"to": "Ann", "sum": 3}}}
    calling = {"role": "assistant", "content": None, "tool_calls": [made]}
    asked = {"messages": [{"role": "user", "content": "what?"}]}
    folder = begun(tmp_path / "icd", (LOOSE, {"messages": [{"role": "user", "content": "Pay Ann"}, calling]}, asked))
    async with reviewing(program(folder)) as (app, pilot, _):
        assert LOOSE["text"] in words_in(app)
        await shown_item(pilot, "e", "end", "!", "ctrl+s")
        assert 'to   "Ann"' in text_of(app)
        item = await shown_item(pilot, "e", "end", "backspace", "a", '"', "ctrl+s")
        await press(pilot, "a")
        assert app.screen.item.id == item.id
        await press(pilot, "e", *"I10", "ctrl+s")
    rows = stored(folder)
    assert rows["r-000001"].example.row == {"text": LOOSE["text"] + "!"}
    assert '"to": "Anna"' in rows["r-000002"].example.answer and rows["r-000003"].example.answer == "I10"


async def test_guideline_near_rows_and_team_stand_beside_the_item(tmp_path, program):
    folder = begun(tmp_path / "icd")
    decided_by(folder, "mo", "r-000002", "edit", POLY)
    decided_by(folder, "mo", "r-000005", "approve")
    decided_by(folder, "dana", "r-000003", "reject")
    async with reviewing(program(folder)) as (app, pilot, item):
        assert item.id == "r-000001"
        await rested(pilot)
        async for size in at_every_size(pilot):
            if size[0] >= 80:
                shown = words_in(app, "#beside")
                assert "2.4 Diabetes" in shown
                assert re.search(r"edited,? mo\b", shown) and "mo 2" in shown and "dana 1" in shown
            await press(pilot, "v")
            assert re.search(r"\bmo\b", text_of(app))
            await pilot.press("escape")
    assert [each for each in log(folder) if each[0] == 1] == []


async def test_blind_rows_hide_what_others_decided(tmp_path, program):
    folder = begun(tmp_path / "icd", overlap=1)
    decided_by(folder, "mo", "r-000001", "edit", POLY)
    decided_by(folder, "mo", "r-000002", "edit", POLY)
    decided_by(folder, "priya", "r-000002", "edit", POLY)
    async with reviewing(program(folder), size=(120, 40)) as (app, pilot, item):
        await settled(pilot)
        assert item.blind
        shown = words_in(app, "#beside").split("Team:")[0] + words_in(app, "#item")
        assert "E11.42 -" not in shown
        assert "mo" not in shown.split()
        screen = app.screen
        await pilot.press("v")
        assert app.screen is screen and screen.message


async def test_empty_without_rows_and_without_open_rows_and_what_drafts_for_the_gaps_cost(tmp_path, program):
    start_project(tmp_path / "bare")
    async with on_stage(program(tmp_path / "bare"), 4) as (app, pilot, screen):
        assert screen.state == "no_rows"
        await press(pilot, "enter")
        assert app.screen.stage == "Data"
    folder = begun(tmp_path / "icd", PLAIN[:2])
    hosted = '[model]\nprovider = "anthropic"\nbase = "claude-sonnet-4-6"\n'
    for row in ("r-000001", "r-000002"):
        decided_by(folder, "mo", row, "approve")
    for more, count in (("", 100), (f"goal = 40\n{hosted}", 38)):
        (folder / "rung.toml").write_text((folder / "rung.toml").read_text() + more)
        async with on_stage(program(folder), 4) as (app, pilot, screen):
            told = words_in(app)
            assert screen.state == "empty" and f"--count {count}" in told
            await press(pilot, "enter")
            assert app.screen.stage == "Dataset"
    found = re.search(r"\b38 .* \b38 .*\$(\d+\.\d\d) .*claude-sonnet-4-6", told)
    assert found and 0 < float(found[1]) < 2


@contextlib.contextmanager
def held(folder):
    """Another program's change: the store is locked until `end()`, at the latest to the end of the block."""
    on, go = threading.Event(), threading.Event()

    def hold():
        with store_of(folder) as store, store.write():
            on.set()
            go.wait(30)

    def end():
        go.set()
        thread.join()

    thread = threading.Thread(target=hold)
    thread.start()
    on.wait(10)
    try:
        yield end
    finally:
        end()


async def test_a_busy_store_is_said_and_decision_and_undo_are_kept(tmp_path, program):
    folder = begun(tmp_path / "icd")
    app = program(folder)
    app.source.tick = 0.02
    async with reviewing(app, (120, 30)) as (_, pilot, item):
        with held(folder) as end:
            await pilot.press("a")
            await until(pilot, lambda: app.screen.awaits.split("(")[0] in app.screen.message)
            assert app.screen.item.id == item.id and log(folder) == []
            await pilot.press("a", "x", "s")  # one key is kept for the next row, no more
            end()
        await until(pilot, lambda: len(log(folder)) == 2 and not app.screen.busy)
        await rested(pilot)
        impatient = app.screen.session.desk.store.engine
        event.listen(impatient, "checkout", lambda connection, *_: connection.execute("PRAGMA busy_timeout = 20"))
        with held(folder) as end:
            await pilot.press("u")
            await until(pilot, lambda: app.screen.awaits.split("(")[0] in app.screen.message)
            end()
        assert (await shown_item(pilot)).id != item.id
    assert [verdict for _, verdict, _ in log(folder)] == ["approve", "approve", "undo"]


async def test_a_damaged_store_is_named_and_tried_again(tmp_path, program):
    folder = begun(tmp_path / "icd")
    database = folder / "rung.db"
    good = database.read_bytes()
    async with playing(program(folder)) as (app, pilot):
        database.write_bytes(b"no database" * 100)
        for part in ("-wal", "-shm"):
            (folder / f"rung.db{part}").unlink(missing_ok=True)
        app.open_stage(4)
        await settled(pilot)
        assert "rung.db" in words_in(app) and app.screen.item is None
        database.write_bytes(good)
        item = await shown_item(pilot, "enter")
        assert item.id == "r-000001"
