"""Pages of the review: blind rows, near rows, rows of every kind, figures, gold items."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime

import pytest
from deciding import settle
from sqlalchemy import insert
from web_steps import stale

from curation.example import Example, chat_row
from curation.review import known_reviewer, progress
from curation.review.service import day_of
from curation.store import NewRow
from curation.store.tables import links
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
    dana, _ = stale(site, None, verdict="approve")
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


def test_nothing_waits_but_for_others(make_site):
    site = make_site(1)
    site.browser("mo")
    dana = site.browser("dana")
    assert "/decide" not in dana.html and re.search(r"\b1 row\b", dana.words)
    assert "unknown" in dana.get("/done").words


def test_done_for_today_gives_the_row_back(make_site):
    site = make_site()
    dana = site.browser("dana")
    row = dana.row
    assert dana.press("/stop").status == 200 and site.state(row) == "pending"


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
    form = {**dana.page.form("/decide"), "verdict": "approve"}
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
