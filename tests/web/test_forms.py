"""Forms of the review page, without script: edits, rejections, undo, stale and repeated forms."""

from __future__ import annotations

import re

import pytest
from web_steps import decisions, stale

from curation.example import Example, chat_row
from curation.review import Ruling
from curation.review.service import recent


@pytest.mark.parametrize(
    ("answer", "typed", "state"),
    [
        ("two\r\nlines", "two\r\nlines", "approved"),
        ("two\nlines", "two\r\nlines", "approved"),
        ("\n\nspace before", "\r\n\r\nspace before", "approved"),
        ("E11", "E11\r\nE12", "edited"),
    ],
)
def test_an_edit_that_changes_nothing_is_an_approval(make_site, answer: str, typed: str, state: str):
    site = make_site([Example(chat_row("q", answer))])
    browser = site.browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    assert browser.page.form("/decide")["text"] == answer.replace("\r\n", "\n")
    browser.press("/decide", to="/open", panel="edit", text=typed)
    assert ("<ins>" in browser.html) == (state == "edited"), "the difference is shown on demand"
    assert browser.rule("edit", text=typed).status == 200
    assert site.state("r-000001") == state
    expected = answer if state == "approved" else typed.replace("\r\n", "\n")
    assert site.desk.store.row("r-000001").example.answer == expected


def test_an_edit_that_breaks_a_rule_keeps_what_was_typed(make_site):
    browser = make_site().browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    browser.rule("edit", text="  ", remark="why is this empty")
    assert browser.status == 400
    fields = browser.page.form("/decide")
    assert (fields["text"], fields["remark"]) == ("  ", "why is this empty")


def test_an_answer_in_use_is_one_press(make_site):
    """It approves where it is the answer already."""
    site = make_site([Example(chat_row(f"question number {n}", ("cards", "rates")[n % 2])) for n in range(12)])
    browser = site.browser("dana")
    for _ in range(2):
        row, before = browser.row, site.desk.store.row(browser.row).example.answer
        assert browser.rule("", label="rates").status == 200
        assert site.state(row) == ("approved" if before == "rates" else "edited")
        assert site.desk.store.row(row).example.answer == "rates"


def test_draft_is_taken_up_and_left(make_site):
    site = make_site()
    browser = site.browser("dana")
    row = browser.row
    browser.press("/decide", to="/open", panel="edit", text="half a")
    again = site.browser("dana")
    assert again.row == row and again.page.form("/decide")["text"] == "half a"
    again.press("/decide", to="/forget")
    assert again.row == row and "text" not in again.page.form("/decide")


def test_reject_asks_why_and_takes_a_number_words_or_nothing(make_site):
    site = make_site()
    browser = site.browser("dana")
    for fields, reason in (
        ({"reason": "2"}, "right answer, wrong form"),
        ({"other": "no code of this year"}, "no code of this year"),
        ({}, ""),
    ):
        row = browser.row
        browser.rule("reject")
        assert 'name="reason"' in browser.html and browser.row == row and site.state(row) == "leased"
        browser.press("/decide", **fields)
        (last,) = recent(site.desk, 1)
        assert (last.row, last.reason) == (row, reason)


def test_undo_walks_back_and_foreign_rows_stay(make_site):
    site = make_site()
    mo = site.browser("mo")
    mos = mo.row
    mo.rule("approve")
    dana = site.browser("dana")
    first = dana.row
    dana.rule("approve")
    second = dana.row
    dana.rule("skip")
    assert dana.press("/undo").row == second
    assert dana.press("/undo").row == first and site.state(first) == "leased"
    assert site.state(second) == "pending", "the row that was open is free again"
    sent = {"csrf": dana.page.form("/decide")["csrf"], "row": mos}
    assert dana.client.post("/undo", data=sent).status_code == 403 and site.state(mos) == "approved"


def test_a_lease_that_ran_out_can_be_taken_again_with_the_text(make_site):
    site = make_site()
    dana, row = stale(site, None, verdict="edit", text="E11.49")
    assert dana.status == 409 and "/contest" not in dana.html
    dana.get(f"/?row={row}")
    assert dana.row == row and dana.page.form("/decide")["text"] == "E11.49"
    dana.rule("edit")
    assert site.desk.store.row(row).example.answer == "E11.49"


def test_both_go_to_the_lead_who_sees_both_and_ends_it(make_site):
    """The stale form changes nothing, its text is kept."""
    site = make_site(4)
    lead = site.browser("kim", "lead")
    lead.press("/stop", row=lead.row)
    dana, row = stale(site, Ruling("edit", text="E11.42"), verdict="edit", text="E11.49\r\nmine")
    assert dana.status == 409 and "E11.49\nmine" in dana.page.text and len(decisions(site)) == 1
    assert re.search(r"\bmo\b.* \d\d:\d\d \(E11\.42\)", dana.words)
    assert dana.press("/contest").status == 200
    assert site.state(row) == "unsure" and dana.row != row
    assert dana.get(f"/?row={row}").row != row, "it is the lead's now"
    lead.get(f"/?row={row}")
    assert lead.row == row and re.search(r"\bmo\b.*E11\.42.*\bdana\b.*E11\.49", lead.words)
    lead.press("/decide", to="/open", panel="edit")
    lead.rule("edit", text="E11.49")
    assert site.state(row) == "edited" and site.desk.store.row(row).example.answer == "E11.49"
    assert [verdict for _, verdict, _ in decisions(site)] == ["edit"] * 3, "nothing was overwritten"


def test_the_decision_that_fails_a_sample_says_so(make_site):
    site = make_site(0, pool="sample", sample=3)
    site.desk.store.add([Example(chat_row(f"question {n}", f"answer {n}")) for n in range(20)], role="pool")
    browser = site.browser("dana")
    assert "pool failed" not in browser.rule("approve").words
    browser.rule("reject")
    assert "pool failed" in browser.press("/decide", reason="1").words
    assert "pool failed" not in browser.rule("approve").words
    lead = site.browser("kim", "lead")
    assert "pool failed" in lead.get("/team").words
