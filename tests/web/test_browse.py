"""Rows by state, answer and finding; look-alikes are accepted together, each logged as one decision, never blindly."""

from __future__ import annotations

import pytest
from deciding import settle

from curation.example import Example, chat_row
from curation.review.item import LABEL_KEYS
from curation.review.rows import browse
from rung.tui.review.review_screen import label_keys

STREETS = ("Mill Lane", "Oak Road", "King Street", "Hill Way", "Bridge Road", "Lake Street")


@pytest.fixture
def site(make_site):
    made = [Example(chat_row(f"The street lamp in {street} is dark since Monday", "lighting")) for street in STREETS]
    made += [Example(chat_row(f"The brown bin in {street} was not emptied", "waste")) for street in STREETS]
    return make_site([*made, Example(chat_row("The street lamp in Fish Lane is dark since Monday", "waste"))])


def test_the_list_is_narrowed_by_state_answer_and_finding(site):
    settle(site.desk, "mo", "approve", want="r-000001")
    settle(site.desk, "mo", "edit", want="r-000002", text="waste")
    site.desk.store.queue(["r-000003"], "contradiction", "contradictions", actor="mo")
    assert browse(site.desk).total == 13
    assert [row.id for row in browse(site.desk, state="edited").rows] == ["r-000002"]
    assert browse(site.desk, state="open", label="lighting").total == 4
    assert [row.id for row in browse(site.desk, finding="contradictions").rows] == ["r-000003"]
    assert (browse(site.desk, finding="none").total, browse(site.desk, page=2).rows) == (0, [])
    dana = site.browser("dana").get("/rows?state=edited&label=waste")
    assert "Contradictions" in dana.words and "contradictions" not in dana.words
    assert "r-000002" in dana.words and "by mo" in dana.words and "r-000001" not in dana.words
    assert dana.get("/rows?page=9999999&state=%00&label=%3Cb%3E").status == 200


def test_look_alikes_are_approved_by_one_press_each_as_this_persons_decision(site):
    dana = site.browser("dana").get("/?row=r-000001").get("/alike?row=r-000001")
    marked = {name: value for name, value in dana.page.form("/alike").items() if name.startswith("r-")}
    assert set(marked) == {f"r-{n:06}" for n in range(2, 7)}  # not the waste rows, not the row itself
    settle(site.desk, "mo", "reject", want="r-000002", reason="wrong")
    form = {"r-000003": "", "r-000013": marked["r-000004"], "r-000005": "changed"}
    dana.press("/alike", **form)
    assert dana.row == "r-000001"
    states = {n: site.state(f"r-{n:06}") for n in range(1, 14)}
    assert [n for n, state in states.items() if state == "approved"] == [4, 6] and states[2] == "rejected"
    row = site.desk.store.row("r-000006")
    assert row.reviewer == "dana" and not row.automatic
    dana.press("/undo")
    assert {site.state("r-000004"), site.state("r-000006")} == {"approved", "leased"}


def test_under_blind_review_nothing_is_accepted_together(make_site):
    rows = [Example(chat_row(f"The street lamp in {street} is dark", "lighting")) for street in STREETS]
    site = make_site(rows, overlap=1.0)
    settle(site.desk, "mo", "edit", want="r-000001", text="roads")
    dana = site.browser("dana")
    assert "/alike" not in dana.html
    assert "/alike" not in dana.get("/alike?row=r-000002").html.split("</header>")[1]
    listed = browse(site.desk)
    assert {(row.answer, row.state, row.reviewer) for row in listed.rows} == {("lighting", "open", "")}
    dana.client.post("/alike", data={**dana.get("/").page.form("/decide"), "r-000003": rows[2].content_hash})
    assert site.state("r-000003") == "pending"


def test_an_answer_that_no_other_row_has_is_saved_by_a_second_press(site):
    dana = site.browser("dana")
    row = dana.row
    dana.press("/decide", to="/open", panel="edit")
    dana.rule("edit", text="lightning")
    assert dana.status == 422 and dana.row == row and site.state(row) == "leased"
    dana.rule("edit", text="lightnings")  # another slip is asked about again
    assert dana.status == 422
    dana.rule("edit", text="lightnings")
    assert site.state(row) == "edited" and dana.row != row
    dana.rule("edit", text="waste")
    assert dana.status == 200 and site.desk.store.row("r-000002").example.answer == "waste"


def test_answers_past_the_ninth_have_a_letter_in_both_faces(make_site):
    rows = [Example(chat_row(f"Question {n} for desk {n % 12}", f"desk {n % 12}")) for n in range(60)]
    dana = make_site(rows).browser("dana")
    assert all(f'data-key="{key}"' in dana.html for key in LABEL_KEYS[:12]) and label_keys(12) == "1-9 dhi"
