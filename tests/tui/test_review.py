"""Review: decisions are in the store, by whom and under which guideline; nothing is lost, nothing acts."""

from __future__ import annotations

import re

from conftest_tui import press, running, text_of, until, words_in
from review_rows import decided_by, drafts, log, opened, stored
from review_steps import no_row_is_held, on_review, reviewing, shown_item
from sqlalchemy import text as sql

from rung.tui.review.review_modals import ConflictScreen


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
    with opened(folder) as store, store.write() as connection:
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
