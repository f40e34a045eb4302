"""Pages and forms of the review, without script: rows of every kind, edits, rejections, undo, look-alikes."""

import json
import re
import time
from datetime import UTC, datetime

import pytest
from deciding import settle
from sqlalchemy import insert

from curation.example import Example, chat_row
from curation.review import known_reviewer, progress
from curation.review.item import LABEL_KEYS
from curation.review.rows import browse
from curation.review.service import day_of, recent
from curation.store import NewRow
from curation.store.tables import links
from rung.tui.review.review_screen import label_keys
from rung.web.templating import guideline


def test_blind_rows_show_nobodys_decision(make_site):
    site = make_site(2, overlap=1.0)
    with site.desk.store.write() as connection:
        connection.execute(insert(links).values(row_id=1, other_id=2, kind="minimal_pair", similarity=0.9))
    for _ in range(2):
        settle(site.desk, "mo", "edit", text="MO-answer")
    dana = site.browser("dana")
    assert "mo" not in re.findall(r"\w+", dana.words)
    assert "MO-" not in dana.bare
    dana, _ = site.stale(None, verdict="approve")
    assert "mo" not in re.findall(r"\w+", dana.words) and "/contest" not in dana.html


def test_a_draft_shows_its_passage_with_the_words_of_the_answer(make_site):
    meta = {"model": "m", "passage": "documents/a.md:3", "passage_text": "A <b>house</b> line; ask amy@clinic.example"}
    draft = NewRow(Example(chat_row("What is it?", "house line")), meta=meta)
    dana = make_site([draft]).browser("dana")
    assert "<mark>house</mark>&lt;/b&gt; <mark>line</mark>" in dana.html and "amy@clinic" not in dana.html


def test_near_rows_that_were_decided_stand_beside(make_site):
    site = make_site(3)
    with site.desk.store.write() as connection:
        for other in (2, 3):
            connection.execute(insert(links).values(row_id=1, other_id=other, kind="minimal_pair", similarity=0.9))
    settle(site.desk, "mo", "edit", want="r-000002", text="E11.42")
    dana = site.browser("dana").get("/?row=r-000001")
    assert "E11.42" in dana.words and "mo" in re.findall(r"\w+", dana.words)
    assert site.desk.store.row("r-000002").example.question in dana.words


def test_rows_of_every_kind(make_site):
    talk = [("system", "Be brief."), ("user", "one?"), ("assistant", "1"), ("user", "two?"), ("assistant", "2")]
    rows = [
        {"messages": [{"role": role, "content": content} for role, content in talk]},
        {"prompt": "which?", "chosen": "good", "rejected": "bad"},
        {"text": "A whole text."},
        {"messages": [{"role": "user", "content": "no answer"}]},
    ]
    site = make_site([Example(row) for row in rows])
    dana = site.browser("dana")
    assert re.search(r"Be brief\..* 1 one\?.* 1 1.* 2 two\?.* 2\b", dana.words)
    dana.rule("approve")
    assert re.search(r"which\?.* good.* bad", dana.words)
    dana.rule("approve")
    assert rows[2]["text"] in dana.words
    dana.press("/decide", to="/open", panel="edit")
    dana.rule("edit", text="A whole new text.")
    assert 'value="approve"' not in dana.html and "/forget" not in dana.html
    assert dana.rule("approve").status == 400
    dana.rule("edit", text="now it has")
    assert "/decide" not in dana.html
    assert re.search(r"\b4 rows\b", dana.words)
    assert [json.loads(site.desk.store.row(f"r-00000{n}").example.to_json()) for n in (2, 3)] == [
        rows[1],
        {"text": "A whole new text."},
    ]


def test_a_row_waits_for_who_has_it_until_they_are_done_for_today(make_site):
    site = make_site(1)
    mo, dana = site.browser("mo"), site.browser("dana")
    assert "/decide" not in dana.html and re.search(r"\b1 row\b", dana.words)
    assert "unknown" in dana.get("/done").words
    assert mo.press("/stop").status == 200 and site.state("r-000001") == "pending"
    assert dana.get("/").row == "r-000001"


def test_broken_look_cookie_and_odd_find(make_site):
    dana = make_site().browser("dana")
    assert dana.get("/", headers={"cookie": "rung_look=<script>.9"}).status == 401
    dana.client.cookies.set("rung_look", '"><script>.9')
    assert dana.get("/?find=%3Cb%3E").status == 200 and "&lt;b&gt;left&lt;/b&gt;" in dana.html
    assert dana.get("/?find=zebra%20%3Cb%3E").status == 200
    assert dana.get("/").status == 200
    marked = ("<strong>E11.42</strong>", "<code>E11.40</code>", "&lt;b&gt;left&lt;/b&gt;")
    assert all(each in dana.html for each in marked)
    assert dana.get("/?row=../../etc").status == 200


def test_a_guideline_is_shown_whole():
    text = (
        "# Labels\n\n[refund]: money\n[card]: lost\n\n| a |\n|:-:|\n| b |\n\n"
        + "word " * 5000
        + "\n\n[x](javascript:a) the end"
    )
    html = guideline(text)
    assert all(part in html for part in ("[refund]: money", "[card]: lost", "[x](javascript:a) the end", "<td>b</td>"))
    assert "style=" not in html and "href" not in html and html.count("word") == 5000
    assert "<h3>Labels</h3>" in guideline(text, "CARD]:  lost") and "the end" not in guideline(text, "card]: lost")
    assert guideline(text, "zebra") == guideline("") == ""


def test_a_store_that_fails_is_said_and_nothing_is_shown_as_done(make_site):
    site = make_site()
    dana = site.browser("dana")
    form = {**dana.form("/decide"), "verdict": "approve"}
    site.desk.store.close()
    for file in site.desk.project.root.glob("rung.db*"):
        file.unlink()
    site.desk.project.database_file.write_text("no database " * 1000)
    answer = dana.client.post("/decide", data=form, follow_redirects=False)
    assert answer.status_code == 503 and "database" in answer.text


def test_rows_that_were_skipped_are_no_pace(make_site):
    """Who skips all day does nothing quickly; what is left is told in minutes where it is no hour."""
    site = make_site()
    lead = site.browser("kim", "lead")
    lead.rule("skip")
    time.sleep(1.1)  # the log keeps whole seconds
    lead.rule("skip")
    assert "pace" not in lead.get("/team").words
    lead.get("/")
    lead.rule("approve")
    words = lead.get("/team").words
    assert re.search(r"\b1 of 16 .*\b\d+(\.\d)? (s|min)\b", words), words
    found = progress(site.desk)
    (kim,) = found.reviewers
    assert kim.rows_an_hour == found.rows_an_hour == pytest.approx(1 / kim.minutes * 60)
    assert found.hours_left == pytest.approx(15 / kim.rows_an_hour)
    day = day_of(site.desk, known_reviewer(site.desk.store, "kim"), datetime(2026, 1, 1, tzinfo=UTC))
    assert (day.rows, day.minutes) == (1, pytest.approx(kim.minutes))


def test_joiners_stay_where_they_join(make_site):
    """Persian and families are drawn as written; a joiner that hides within other words is shown."""
    said = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469\u200d\U0001f467"
    site = make_site([Example(chat_row(said, "pass\u200dword \u200c\u200c \U0001f468\u200d"))])
    words = site.browser("dana").words
    assert said in words
    assert all(each in words for each in ("pass⟨U+200D⟩word", "⟨U+200C⟩⟨U+200C⟩", "\U0001f468⟨U+200D⟩"))


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
    assert browser.form("/decide")["text"] == answer.replace("\r\n", "\n")
    browser.press("/decide", to="/open", panel="edit", text=typed)
    assert ("<ins>" in browser.html) == (state == "edited"), "the difference is shown on demand"
    assert browser.rule("edit", text=typed).status == 200
    assert site.state("r-000001") == state
    expected = answer if state == "approved" else typed.replace("\r\n", "\n")
    assert site.desk.store.row("r-000001").example.answer == expected


def test_what_was_typed_is_kept_where_it_breaks_a_rule_and_taken_up_by_the_next_page_until_it_is_left(make_site):
    site = make_site()
    browser = site.browser("dana")
    row = browser.row
    browser.press("/decide", to="/open", panel="edit")
    assert browser.rule("edit", text="  ", remark="why is this empty").status == 400
    fields = browser.form("/decide")
    assert (fields["text"], fields["remark"]) == ("  ", "why is this empty")
    assert browser.press("/decide", to="/open", panel="edit", text=" ").form("/decide")["text"] == " "
    browser.press("/decide", to="/open", panel="edit", text="half a")
    again = site.browser("dana")
    assert again.row == row and again.form("/decide")["text"] == "half a"
    again.press("/decide", to="/forget")
    assert again.row == row and "text" not in again.form("/decide")


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
    sent = {"csrf": dana.form("/decide")["csrf"], "row": mos}
    assert dana.client.post("/undo", data=sent).status_code == 403 and site.state(mos) == "approved"


def test_a_lease_that_ran_out_can_be_taken_again_with_the_text(make_site):
    site = make_site()
    dana, row = site.stale(None, verdict="edit", text="E11.49")
    assert dana.status == 409 and "/contest" not in dana.html
    dana.get(f"/?row={row}")
    assert dana.row == row and dana.form("/decide")["text"] == "E11.49"
    dana.rule("edit")
    assert site.desk.store.row(row).example.answer == "E11.49"


def test_both_go_to_the_lead_who_sees_both_and_ends_it(make_site):
    """The stale form changes nothing, its text is kept."""
    site = make_site(4)
    lead = site.browser("kim", "lead")
    lead.press("/stop", row=lead.row)
    dana, row = site.stale("E11.42", verdict="edit", text="E11.49\r\nmine")
    assert dana.status == 409 and "E11.49\nmine" in dana.text and len(site.decisions()) == 1
    assert re.search(r"\bmo\b.* \d\d:\d\d \(E11\.42\)", dana.words)
    assert dana.press("/contest").status == 200
    assert site.state(row) == "unsure" and dana.row != row
    assert dana.get(f"/?row={row}").row != row, "it is the lead's now"
    lead.get(f"/?row={row}")
    assert lead.row == row and re.search(r"\bmo\b.*E11\.42.*\bdana\b.*E11\.49", lead.words)
    lead.press("/decide", to="/open", panel="edit")
    lead.rule("edit", text="E11.49")
    assert site.state(row) == "edited" and site.desk.store.row(row).example.answer == "E11.49"
    assert [verdict for _, verdict, _ in site.decisions()] == ["edit"] * 3, "nothing was overwritten"


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
    marked = {name: value for name, value in dana.form("/alike").items() if name.startswith("r-")}
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
    dana.client.post("/alike", data={**dana.get("/").form("/decide"), "r-000003": rows[2].content_hash})
    assert site.state("r-000003") == "pending"


def test_an_answer_in_use_is_one_press_and_one_that_no_other_row_has_is_saved_by_a_second(site):
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
    for label, state in (("waste", "edited"), ("lighting", "approved")):
        row = dana.row
        assert dana.rule("", label=label).status == 200, "one press"
        assert (site.state(row), site.desk.store.row(row).example.answer) == (state, label)


def test_answers_past_the_ninth_have_a_letter_in_both_faces(make_site):
    rows = [Example(chat_row(f"Question {n} for desk {n % 12}", f"desk {n % 12}")) for n in range(60)]
    dana = make_site(rows).browser("dana")
    assert all(f'data-key="{key}"' in dana.html for key in LABEL_KEYS[:12]) and label_keys(12) == "1-9 dhi"
