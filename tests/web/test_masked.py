"""The page hides personal data and keys: who unmasks is in the log, and rows stay true."""

from typing import Any

from curation.example import Example, chat_row
from curation.store import Link
from curation.store.writing import write_links

PHONE, MAIL = "+1 415 555 0132", "ann.lee@example.org"
ASKED, ANSWER = f"Call me at {PHONE} about the claim", f"We wrote to {MAIL} today."
PAID, MORE = "It was paid.", "It was paid in May."
ROWS = [Example(chat_row(ASKED, ANSWER)), Example(chat_row("What of the claim of May?", PAID))]


def events(site) -> list[Any]:
    return list(site.desk.store.events(kind="unmasked"))


def clean(html: str) -> bool:
    return PHONE not in html and MAIL not in html


def test_masked_until_asked_for_by_its_own_form(make_site):
    site = make_site(ROWS)
    browser = site.browser("dana")
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
    assert "/unmask" not in browser.html, "nothing is hidden in the next item"
    browser.press("/decide", to="/open", panel="edit")
    assert browser.form("/decide")["text"] == PAID and len(events(site)) == 1
    assert site.desk.store.row("r-000001").example.answer == ANSWER


def test_an_edit_loads_the_true_text_and_writes_no_mask(make_site):
    site = make_site(ROWS)
    browser = site.browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    assert browser.form("/decide")["text"] == ANSWER and len(events(site)) == 1
    browser.press("/decide", to="/open", panel="edit", text=f"{ANSWER} Half")
    assert len(events(site)) == 1, "typing on is no second look"
    again = browser.get("/")
    assert clean(again.html) and "text" not in again.form("/decide")
    browser.press("/decide", to="/open", panel="edit")
    text = browser.form("/decide")["text"]
    assert text == f"{ANSWER} Half"
    browser.rule("edit", text=text.replace("Half", "Whole"))
    row = site.desk.store.row("r-000001")
    assert (row.state, row.example.question, row.example.answer) == ("edited", ASKED, f"{ANSWER} Whole")


def test_an_edit_of_a_plain_answer_leaves_the_question_hidden(make_site):
    site = make_site([Example(chat_row(ASKED, PAID))])
    browser = site.browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    assert browser.form("/decide")["text"] == PAID and clean(browser.html) and events(site) == []
    browser.press("/decide", to="/unmask", text=MORE)
    assert PHONE in browser.html and browser.form("/decide")["text"] == MORE
    browser.rule("edit")
    row = site.desk.store.row("r-000001")
    assert (row.example.question, row.example.answer) == (ASKED, MORE)


def test_only_who_holds_the_row_by_their_own_form(make_site):
    site = make_site(ROWS)
    browser = site.browser("dana")
    form = browser.form("/decide")
    mo = site.browser("mo")
    for fields in (form, {**form, "csrf": mo.form("/decide")["csrf"]}, {**form, "csrf": ""}):
        answer = mo.client.post("/unmask", data=fields)
        assert answer.status_code in (403, 409) and clean(answer.text)
    assert mo.client.get("/unmask").status_code == 404
    assert site.client().post("/unmask", data=form).status_code == 401
    claimed = browser.client.post("/open", data={**form, "panel": "none", "unmasked": "1"})
    assert claimed.status_code == 200 and clean(claimed.text), "a form that says so without the log"
    assert events(site) == []
    lead = site.browser("lee", "lead")
    browser.rule("approve")
    assert clean(lead.get("/team").html) and "[EMAIL]" in lead.words


def test_what_stands_beside_an_item_is_masked_before_it_is_cut(make_site):
    long = Example(chat_row("What of the claim of June?", "x" * 110 + f" {PHONE} and more"))
    site = make_site([ROWS[1], long])
    browser = site.browser("dana")
    with site.desk.store.write() as connection:
        write_links(connection, [Link("r-000001", "r-000002", "near", 0.9)])
    browser.get("/?row=r-000001")
    assert "xxx" in browser.bare
    assert "415" not in browser.bare and "+1" not in browser.bare
