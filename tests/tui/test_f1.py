"""F1 lists the real bindings of everything that can stand on the screen: stages, pages over them, fields."""

from __future__ import annotations

from conftest_tui import on_stage, opened, until

from rung.tui.advice.questions_screen import JumpScreen
from rung.tui.measure.items_screen import ItemsScreen
from rung.tui.review.review_modals import GuidelineScreen
from rung.tui.screens.page_screen import KeysScreen, PageScreen, SignScreen, WhyScreen, rank, words_of

TEXTUALS_OWN = {"Focus Next", "Focus Previous", "Copy selected text", "Move cursor left", "Delete character left"}


async def f1_tells_the_truth(pilot):
    """Press F1, compare the list with the screen's bindings, press it again."""
    app = pilot.app
    screen = app.screen
    await until(pilot, lambda: bool(screen.active_bindings))
    enabled = [found for found in screen.active_bindings.values() if found.enabled]
    real = {words_of(found) for found in enabled} - {""}
    assert not real & TEXTUALS_OWN
    assert real
    await pilot.press("f1")
    await until(pilot, lambda: isinstance(app.screen, KeysScreen))
    assert {words for _, words in app.screen.rows} == real
    ranks = [rank(next(found for found in enabled if words_of(found) == words)) for _, words in app.screen.rows]
    assert ranks == sorted(ranks), "the screen's own keys stand first, the toolkit's last"
    assert not [words for words in real if "row 2" in words], "rows have other numbers where the terminal is taller"
    await pilot.press("f1")
    await until(pilot, lambda: app.screen is screen)


MODALS = (
    lambda project: PageScreen("Title", "text"),
    lambda project: WhyScreen("decision"),
    lambda project: ItemsScreen(project.evaluations / "E-001", None),
    lambda project: SignScreen("Decide", "about", "sam", "decide it"),
    lambda project: GuidelineScreen(1, "text"),
)


async def test_f1_on_pages_over_a_stage(clinic, program):
    async with on_stage(program(clinic.root), 6) as (app, pilot, _):
        for page in MODALS:
            app.push_screen(page(clinic))
            await until(pilot, lambda: app.screen.is_mounted and not hasattr(app.screen, "stage"))
            await f1_tells_the_truth(pilot)
            await pilot.press("escape")
            await until(pilot, lambda: getattr(app.screen, "stage", "") == "Baselines")


async def test_f1_while_a_question_is_sought_and_an_answer_written(project, program):
    async with on_stage(program(project), 1) as (app, pilot, _):
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.screen, JumpScreen))
        await f1_tells_the_truth(pilot)
        await pilot.press("escape")
        await opened(pilot, 4)
        await until(pilot, lambda: app.screen.item is not None and not app.screen.busy)
        await pilot.press("e")
        await until(pilot, lambda: app.screen.is_editing)
        await f1_tells_the_truth(pilot)
        assert app.screen.is_editing
