"""The page hides personal data and keys, over real HTTP: who unmasks is in the log, and rows stay true."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from curation.example import Example, chat_row
from curation.store import Link
from curation.store.writing import write_links

PHONE, MAIL = "+1 415 555 0132", "ann.lee@example.org"
ASKED, ANSWER = f"Call me at {PHONE} about the claim", f"We wrote to {MAIL} today."
PAID, MORE = "It was paid.", "It was paid in May."
ROWS = [Example(chat_row(ASKED, ANSWER)), Example(chat_row("What of the claim of May?", PAID))]


@pytest.fixture
def visit(make_site, serving):
    """`visit(rows, name)`: the site, this person's browser on a real server, and how to make another."""

    def go(rows: list[Example], name: str = "dana") -> tuple[Any, Any, Callable[..., Any]]:
        site = make_site(rows)
        other = functools.partial(site.browser, at=serving(site.desk))
        return site, other(name), other

    return go


def events(site) -> list[Any]:
    return list(site.desk.store.events(kind="unmasked"))


def clean(html: str) -> bool:
    return PHONE not in html and MAIL not in html


def test_masked_until_asked_for_by_its_own_form(visit):
    site, browser, _ = visit(ROWS)
    assert browser.row == "r-000001" and clean(browser.html)
    assert ASKED.replace(PHONE, "[PHONE]") in browser.words and "[EMAIL]" in browser.words
    assert 'data-key="p"' in browser.html
    browser.press("/decide", to="/open", panel="reject")
    assert clean(browser.html) and events(site) == []
    browser.press("/decide", to="/unmask")
    assert PHONE in browser.words and MAIL in browser.words and 'id="reasons"' in browser.html
    (event,) = events(site)
    assert (event.actor, event.ref, event.detail["kinds"]) == ("dana", "r-000001", {"EMAIL": 1, "PHONE": 1})
    assert clean(str(event))
    browser.press("/decide", to="/open", panel="none")
    assert PHONE in browser.words, "the same item, still shown"
    assert clean(browser.get("/").html), "a page that is opened anew is masked again"
    browser.press("/decide", to="/unmask")
    assert len(events(site)) == 1, "once a lease"
    browser.rule("approve")
    assert browser.row == "r-000002" and clean(browser.html), "the decision above the next item is masked as well"
    assert site.desk.store.row("r-000001").example.answer == ANSWER


def test_an_edit_loads_the_true_text_and_writes_no_mask(visit):
    site, browser, _ = visit(ROWS)
    browser.press("/decide", to="/open", panel="edit")
    assert browser.page.form("/decide")["text"] == ANSWER and len(events(site)) == 1
    browser.press("/decide", to="/open", panel="edit", text=f"{ANSWER} Half")
    assert len(events(site)) == 1, "typing on is no second look"
    again = browser.get("/")
    assert clean(again.html) and "text" not in again.page.form("/decide")
    browser.press("/decide", to="/open", panel="edit")
    text = browser.page.form("/decide")["text"]
    assert text == f"{ANSWER} Half"
    browser.rule("edit", text=text.replace("Half", "Whole"))
    row = site.desk.store.row("r-000001")
    assert (row.state, row.example.question, row.example.answer) == ("edited", ASKED, f"{ANSWER} Whole")


def test_an_edit_of_a_plain_answer_leaves_the_question_hidden(visit):
    site, browser, _ = visit([Example(chat_row(ASKED, PAID))])
    browser.press("/decide", to="/open", panel="edit")
    assert browser.page.form("/decide")["text"] == PAID and clean(browser.html) and events(site) == []
    browser.press("/decide", to="/unmask", text=MORE)
    assert PHONE in browser.html and browser.page.form("/decide")["text"] == MORE
    browser.rule("edit")
    row = site.desk.store.row("r-000001")
    assert (row.example.question, row.example.answer) == (ASKED, MORE)


def test_only_who_holds_the_row_by_their_own_form(visit):
    site, browser, other = visit(ROWS)
    form = browser.page.form("/decide")
    mo = other("mo")
    for fields in (form, {**form, "csrf": mo.page.form("/decide")["csrf"]}, {**form, "csrf": ""}):
        answer = mo.client.post("/unmask", data=fields)
        assert answer.status_code in (403, 409) and clean(answer.text)
    assert mo.client.get("/unmask").status_code == 404
    stranger = httpx.Client(base_url=mo.client.base_url, follow_redirects=True)
    assert stranger.post("/unmask", data=form).status_code == 401
    claimed = browser.client.post("/open", data={**form, "panel": "none", "unmasked": "1"})
    assert claimed.status_code == 200 and clean(claimed.text), "a form that says so without the log"
    assert events(site) == []
    lead = other("lee", "lead")
    browser.rule("approve")
    assert clean(lead.get("/team").html) and "[EMAIL]" in lead.words


def test_nothing_is_said_where_nothing_is_hidden(visit):
    site, browser, _ = visit(ROWS[1:])
    assert "/unmask" not in browser.html
    browser.press("/decide", to="/open", panel="edit")
    assert browser.page.form("/decide")["text"] == PAID and events(site) == []


def test_what_stands_beside_an_item_is_masked_before_it_is_cut(visit):
    long = Example(chat_row("What of the claim of June?", "x" * 110 + f" {PHONE} and more"))
    site, browser, _ = visit([ROWS[1], long])
    with site.desk.store.write() as connection:
        write_links(connection, [Link("r-000001", "r-000002", "near", 0.9)])
    browser.get("/?row=r-000001")
    assert "xxx" in browser.bare
    assert "415" not in browser.bare and "+1" not in browser.bare
