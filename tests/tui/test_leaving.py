"""Keys and words of workers that reach a screen after it was left do nothing; they do not end the program."""

from conftest_tui import opened, playing, press, settled
from review_rows import begun, log, reviewing
from textual._callback import invoke
from textual.events import Callback

from rung.tui.advice.questions_screen import QuestionsScreen
from rung.tui.async_list import LoadedLines, LoadedScreen
from rung.tui.data.data_screen import DataScreen
from rung.tui.measure.baselines_screen import BaselinesScreen
from rung.tui.measure.verdict_screen import VerdictScreen
from rung.tui.review.review_screen import ReviewScreen


async def left(app, pilot, screen):
    """Go to Advice; `screen` has lost its widgets."""
    await opened(pilot, 2)
    assert not screen.query("#side")


async def test_keys_and_words_of_workers_that_come_after_a_screen_was_left(tmp_path, program):
    async with reviewing(program(begun(tmp_path / "icd"))) as (app, pilot, _):
        review = app.screen
        await left(app, pilot, review)
        for action in ("approve", "reject", "skip", "put_off('unsure')", "edit", "undo", "remark", "scroll(2)"):
            assert not await app.run_action(action, review), action
        assert app.screen.stage == "Advice"
        await review._dispatch_message(Callback(callback=review.draw_sides))
        data = await opened(pilot, 3)
        await left(app, pilot, data)
        await data._dispatch_message(LoadedScreen.Done(LoadedLines([], "rung data check")))
    assert log(tmp_path / "icd") == []


async def test_what_waited_for_the_next_drawing_when_a_screen_was_left(tmp_path, program):
    """An hour of keys found it: `a` while the row was on its way, and another stage before that was drawn."""
    async with reviewing(program(begun(tmp_path / "icd"))) as (app, pilot, _):
        review, waiting = app.screen, []
        review.post_message = waiting.append
        review.call_after_refresh(review.action_approve)
        review.call_after_refresh(review.decide, "approve")
        del review.post_message
        await left(app, pilot, review)
        for message in waiting:
            with review._context():
                await invoke(message.callback)
        await settled(pilot)
        assert app.screen.stage == "Advice"
    assert log(tmp_path / "icd") == []


async def test_no_key_reaches_a_screen_before_it_stands(tmp_path, program):
    """The same hour found it: `Esc` on a stage of which nothing was drawn yet."""
    async with reviewing(program(begun(tmp_path / "icd"))) as (app, _, _):
        for screen in (DataScreen, ReviewScreen, QuestionsScreen, BaselinesScreen, VerdictScreen):
            early = screen()
            early._parent = app
            actions = {binding.action for _, binding in early._bindings}
            assert {"back", "copy_command"} < actions
            for action in sorted(actions):
                if not action.startswith(("stage", "app.", "screen.")):
                    assert not await app.run_action(action, early), (screen, action)
            assert app.screen.stage == "Review"
            assert early.check_action("stage_step", (1,))
    assert log(tmp_path / "icd") == []


async def test_what_was_drawn_goes_with_its_screen(tmp_path, program):
    """Lines of 1,024 widgets were kept: some 100 MiB."""
    async with playing(program(begun(tmp_path / "icd"))) as (app, pilot):
        drawn = list(app.screen.walk_children())
        assert sum(len(widget._styles_cache._cache) for widget in drawn) > 5
        for stage in "251":
            await press(pilot, stage)
        assert [widget for widget in drawn if widget._styles_cache._cache] == []
