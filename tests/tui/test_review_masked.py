"""Review hides personal data and keys; who asks for an item as it is stands in the log, and no mask in a row."""

import pytest
from conftest_tui import settled, text_of, until
from review_rows import PLAIN, begun, decided_by, reviewing, shown_item, store_of, stored

from curation.example import chat_row

PHONE, MAIL = "+1 415 555 0132", "ann.lee@example.org"
ASKED, ANSWER = f"Call me at {PHONE} about the claim of May", f"We wrote to {MAIL} today."


@pytest.fixture
def claims(tmp_path):
    return begun(tmp_path / "claims", (chat_row(ASKED, ANSWER), *PLAIN))


def unmasked(folder):
    with store_of(folder) as store:
        return store.events(kind="unmasked")


async def test_hidden_until_asked_for_and_the_next_item_again(claims, program):
    async with reviewing(program(claims)) as (app, pilot, _):
        screen = text_of(app)
        assert "[PHONE]" in screen and "[EMAIL]" in screen
        assert PHONE not in screen and MAIL not in screen
        assert "p" in {key for key, _ in app.screen.hints()}
        assert unmasked(claims) == []
        await pilot.press("p")
        await until(pilot, lambda: PHONE in text_of(app))
        assert MAIL in text_of(app)
        (event,) = unmasked(claims)
        assert (event.actor, event.ref, event.detail["kinds"]) == ("dana", "r-000001", {"EMAIL": 1, "PHONE": 1})
        assert event.at and PHONE not in str(event) and MAIL not in str(event)
        await pilot.press("p")
        await until(pilot, lambda: PHONE not in text_of(app))
        await pilot.press("p")
        await until(pilot, lambda: PHONE in text_of(app))
        await shown_item(pilot, "s")
        assert app.screen.unmasked is False


async def test_a_masked_item_is_decided_as_it_is_and_an_edit_is_of_the_true_text_and_logged(claims, program):
    async with reviewing(program(claims)) as (app, pilot, _):
        await shown_item(pilot, "a")
        row = stored(claims)["r-000001"]
        assert (row.state, row.example.question, row.example.answer) == ("approved", ASKED, ANSWER)
        assert unmasked(claims) == []
        assert (await shown_item(pilot, "u")).id == "r-000001"
        await pilot.press("e")
        await until(pilot, lambda: app.screen.is_editing)
        assert app.screen.panel.field.edited == ANSWER
        assert [event.ref for event in unmasked(claims)] == ["r-000001"]
        await shown_item(pilot, "end", "X", "ctrl+s")
    row = stored(claims)["r-000001"]
    assert (row.example.question, row.example.answer) == (ASKED, f"{ANSWER}X")
    assert len(unmasked(claims)) == 1


async def test_keys_typed_while_the_log_is_written_decide_nothing(claims, program):
    """Someone who presses e and types on means text, never a decision."""
    async with reviewing(program(claims)) as (app, pilot, _):
        app.screen.action_edit()
        app.screen.action_approve()
        await until(pilot, lambda: app.screen.is_editing)
        await settled(pilot)
    assert stored(claims)["r-000001"].state != "approved"


async def test_the_nearest_rows_are_masked_too(tmp_path, program):
    near = [chat_row(f"Type 2 diabetes of the {side} foot", f"Ask {MAIL}, {side}") for side in ("left", "right")]
    folder = begun(tmp_path / "near", near)
    decided_by(folder, "mo", "r-000001", "approve")
    async with reviewing(program(folder), (160, 45)) as (app, pilot, item):
        assert item.id == "r-000002"
        for key in ("", "v"):
            await pilot.press(*key)
            await until(pilot, lambda: "[EMAIL], left" in text_of(app))
            assert MAIL not in text_of(app)


async def test_a_long_answer_is_masked_before_it_is_cut(tmp_path, program):
    """A number at the end of a megabyte is covered, and the item comes as fast as before."""
    folder = begun(tmp_path / "long", [chat_row(f"{'word ' * 16_000}{PHONE}", "x" * 1_000_000 + f" {MAIL}")])
    async with reviewing(program(folder)) as (app, _, item):
        made = app.screen.session.veils[item.id]
        veil = app.screen.session.veil(item)
        assert veil is made, "not made again in the thread that draws"
        assert veil.item.answer.endswith(" [EMAIL]") and PHONE not in str(veil.item.row)
