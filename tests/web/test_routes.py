"""Every route as a browser without script meets it: who gets in, what a form does, what is refused and how."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from sqlalchemy import insert

from curation.example import Example, chat_row
from curation.review import Ruling, decide, next_item, revoke
from curation.review.people import ROLES
from curation.review.standing import last_of
from curation.store.tables import links
from rung.web.app import WAYS
from rung.web.door import WRONG_TOKENS
from rung.web.guard import MOST_BYTES

LEASE_OVER = 1000


def own_word(site: Any, name: str) -> Any:
    from curation.review import known_reviewer

    return last_of(site.desk, known_reviewer(site.desk.store, name))


# Who gets in


@pytest.mark.parametrize("role", ROLES)
def test_roles_hold_on_every_route(make_site: Any, role: str) -> None:
    """In with the right role; 403 with another; 401 without a link; a POST without its token changes nothing."""
    site = make_site()
    for way in WAYS:
        assert site.client().request(way.method, way.path).status_code == 401, way
        browser = site.browser("dana", role)
        if way.method == "GET":
            assert browser.get(way.path).status == (200 if role in way.roles else 403), way
            continue
        fields = {**browser.page.form("/decide"), "verdict": "approve", "panel": "edit", "look": "dark"}
        before = len(decisions(site))
        for csrf in ("", "0" * 64, "é"):
            assert browser.client.post(way.path, data={**fields, "csrf": csrf}).status_code == 403, way
        assert len(decisions(site)) == before and site.state(fields["row"]) == "leased", way
        allowed = browser.client.post(way.path, data=fields, follow_redirects=False).status_code
        nothing_there = way.path in ("/undo", "/contest")  # 403 for everyone: no decision on that row yet
        assert (allowed == 403) == (role not in way.roles or nothing_there), way


def test_only_a_lead_reopens(make_site: Any) -> None:
    site = make_site()
    dana = site.browser("dana")
    row = dana.row
    dana.rule("approve")
    sent = {"csrf": dana.page.form("/undo")["csrf"], "row": row}
    assert dana.client.post("/reopen", data=sent).status_code == 403 and site.state(row) == "approved"
    lead = site.browser("kim", "lead").get("/team")
    assert "dana" in lead.words and row in lead.words
    assert lead.press("/reopen", row=row).status == 200 and site.state(row) == "pending"


def decisions(site: Any) -> list[Any]:
    from sqlalchemy import text

    with site.desk.store.read() as connection:
        return list(connection.execute(text("SELECT row_id, verdict, reviewer_id FROM decisions ORDER BY id")))


def test_link_cookie_and_sign_out(make_site: Any) -> None:
    site = make_site()
    client = site.client()
    link = site.link("dana")
    answer = client.get(link)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "max-age=120" in cookie
    assert answer.headers["refresh"] == "0; url=/" and 'href="/"' in answer.text
    token = link.removeprefix("/enter/")
    files = site.desk.project.root.glob("rung.db*")
    assert not any(token.encode() in file.read_bytes() for file in files), "only a hash of the token is stored"
    assert client.get("/").status_code == 200
    form = {"csrf": re.search(r'name="csrf" value="(\w+)"', client.get("/").text)[1]}
    assert "Signed out" in client.post("/leave", data=form).text
    assert client.get("/").status_code == 401


def test_a_link_that_ended_was_revoked_or_never_was(make_site: Any) -> None:
    site = make_site()
    ended = site.client().get(site.link("dana", days=1e-9))
    assert ended.status_code == 410
    assert re.search(
        r"This link ended on \d{4}-\d\d-\d\d\. Ask sam for a new one; what you decided is kept", ended.text
    )
    browser = site.browser("mo")
    revoke(site.desk.store, "mo")
    assert browser.get("/").status == 401, "at once"
    assert site.client().get("/enter/never").status_code == 401
    old = site.link("kim")
    new = site.link("kim")
    assert [site.client().get(link).status_code for link in (old, new)] == [401, 200]


def test_wrong_links_are_limited(make_site: Any) -> None:
    site = make_site()
    inside = site.browser("dana")
    client = site.client()
    codes = [client.get(f"/enter/wrong{n}").status_code for n in range(WRONG_TOKENS + 2)]
    assert codes == [401] * WRONG_TOKENS + [429] * 2
    right = site.link("mo")
    blocked = client.get(right)
    assert blocked.status_code == 429 and blocked.headers["retry-after"] == "60"
    assert inside.get("/").status == 200, "who is in stays in"
    assert site.client(peer="10.0.0.9").get(right).status_code == 200, "other addresses are not held up"
    assert client.get("/", headers={"cookie": f"{site.door.cookie}=guess"}).status_code == 429
    site.now[0] += 61
    assert client.get(right).status_code == 200


def test_a_link_is_no_picture(make_site: Any) -> None:
    """Another page cannot sign someone in under another name by an image."""
    site = make_site()
    answer = site.client().get(site.link("dana"), headers={"sec-fetch-dest": "image"})
    assert answer.status_code == 403 and "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"host": "127.0.0.1.evil.example"}, {"host": ""}, {"host": "127.0.0.1@evil.example"}]
    + [{"origin": origin} for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "http://[")],
)
def test_foreign_host_or_origin(make_site: Any, headers: dict[str, str]) -> None:
    site = make_site()
    browser = site.browser("dana")
    form = {**browser.page.form("/decide"), "verdict": "approve"}
    assert 400 <= browser.client.post("/decide", data=form, headers=headers).status_code < 500
    assert 400 <= browser.client.get("/", headers=headers).status_code < 500
    assert decisions(site) == []


def test_own_origin_and_other_local_names_are_answered(make_site: Any) -> None:
    site = make_site()
    for base in ("http://localhost:9000", "http://127.0.0.1:8642", "http://[::1]:8642"):
        client = site.client(base)
        assert client.get(site.link("dana")).status_code == 200
    browser = site.browser("mo")
    form = {**browser.page.form("/decide"), "verdict": "approve"}
    sent = {"origin": "http://127.0.0.1:8642", "sec-fetch-site": "same-origin"}
    assert browser.client.post("/decide", data=form, headers=sent).status_code == 200
    assert browser.client.post("/decide", data=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_proxys_header_from_a_named_address(make_site: Any) -> None:
    web = {"login": "proxy", "proxy": ["10.0.0.2"], "url": "https://review.example.org"}
    site = make_site(web=web)
    base, named = "https://review.example.org", {"x-remote-user": "dana"}
    proxy = site.client(base, peer="10.0.0.2")
    answer = proxy.get("/", headers=named)
    assert answer.status_code == 200 and "dana" in answer.text and "Sign out" not in answer.text
    form = {"csrf": re.search(r'name="csrf" value="(\w+)"', answer.text)[1], "look": "dark"}
    assert proxy.post("/look", data=form, headers={"x-remote-user": "mo"}).status_code == 403, "mo sends dana's form"
    assert site.client(base, peer="10.0.0.3").get("/", headers=named).status_code == 401, "not the named address"
    assert proxy.get("/").status_code == 401
    twice = proxy.get("/", headers=[("x-remote-user", "dana"), ("x-remote-user", "mo")])
    assert twice.status_code == 403
    assert proxy.get("/team", headers=named).status_code == 403
    site.link("dana", "lead")
    assert proxy.get("/team", headers=named).status_code == 200
    assert "secure" in proxy.get(site.link("kim")).headers["set-cookie"].lower()


def test_the_proxys_forwarded_address_counts_for_the_limit(make_site: Any) -> None:
    site = make_site(web={"login": "proxy", "proxy": ["10.0.0.2"]})
    proxy = site.client(peer="10.0.0.2")
    for n in range(WRONG_TOKENS + 1):
        last = proxy.get(f"/enter/{n}", headers={"x-forwarded-for": "6.6.6.6, 198.51.100.7"}).status_code
    assert last == 429
    assert proxy.get("/enter/x", headers={"x-forwarded-for": "198.51.100.8"}).status_code == 401


def test_headers_on_every_answer_and_nothing_inline(make_site: Any) -> None:
    site = make_site()
    browser = site.browser("dana", "lead")
    paths = ["/", "/team", "/done", "/nowhere", "/static/review.css", "/static/review.js", "/static/../app.py"]
    for path in paths:
        browser.get(path)
        policy = browser.answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert browser.answer.headers["x-content-type-options"] == "nosniff"
        assert browser.answer.headers["referrer-policy"] == "same-origin"
        if "html" in browser.answer.headers["content-type"]:
            assert browser.answer.headers["cache-control"] == "no-store"
            assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*src=)|https?://", browser.html)
    assert browser.get("/static/..%2fapp.py").status == 404 and browser.client.put("/").status_code == 404


# What a form does


def test_bodies_that_are_no_form(make_site: Any) -> None:
    site = make_site()
    browser = site.browser("dana")
    form = {**browser.page.form("/decide"), "verdict": "approve"}
    post = browser.client.post
    assert post("/decide", data={**form, "remark": "x" * MOST_BYTES}).status_code == 413
    assert post("/decide", content=iter([b"x" * 2**20] * 5)).status_code == 413, "without a length"
    assert post("/decide", json=form).status_code == 415
    assert post("/decide", data=form, files={"f": b"x"}).status_code == 415
    assert post("/decide", data={**form, **{f"x{n}": "1" for n in range(50)}}).status_code == 400
    assert post("/decide", data={**form, "verdict": "destroy"}).status_code == 400
    assert post("/decide", data={**form, "row": "r-999999"}).status_code == 400
    assert post("/decide", data={**form, "row": "'; drop table rows"}).status_code == 400
    assert decisions(site) == [] and browser.get("/").status == 200


def test_a_row_of_a_megabyte_can_be_edited(make_site: Any) -> None:
    site = make_site([Example(chat_row("long", "ä" * 300_000))])
    browser = site.browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    assert browser.rule("edit", text="ä" * 300_001).status == 200
    assert len(site.desk.store.row("r-000001").example.answer) == 300_001


@pytest.mark.parametrize(
    ("answer", "typed", "state"),
    [
        ("E11", "E11", "approved"),
        ("two\r\nlines", "two\r\nlines", "approved"),
        ("two\nlines", "two\r\nlines", "approved"),
        ("\n\nspace before", "\r\n\r\nspace before", "approved"),
        ("E11", "E12", "edited"),
        ("E11", "E11\r\nE12", "edited"),
    ],
)
def test_an_edit_that_changes_nothing_is_an_approval(make_site: Any, answer: str, typed: str, state: str) -> None:
    site = make_site([Example(chat_row("q", answer))])
    browser = site.browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    assert browser.page.form("/decide")["text"] == answer.replace("\r\n", "\n")
    assert browser.rule("edit", text=typed).status == 200
    assert site.state("r-000001") == state
    expected = answer if state == "approved" else typed.replace("\r\n", "\n")
    assert site.desk.store.row("r-000001").example.answer == expected


def test_an_edit_that_breaks_a_rule_keeps_what_was_typed(make_site: Any) -> None:
    browser = make_site().browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    browser.rule("edit", text="  ", remark="why is this empty")
    assert browser.status == 400 and "The new answer is empty. Nothing was decided." in browser.words
    fields = browser.page.form("/decide")
    assert (fields["text"], fields["remark"]) == ("  ", "why is this empty")


def test_draft_is_taken_up_and_left(make_site: Any) -> None:
    site = make_site()
    browser = site.browser("dana")
    row = browser.row
    browser.press("/decide", to="/open", panel="edit", text="half a")
    again = site.browser("dana")
    assert again.row == row and again.page.form("/decide")["text"] == "half a"
    assert "Your draft from before is here again" in again.words
    again.press("/decide", to="/forget")
    assert again.row == row and "text" not in again.page.form("/decide")


def test_reject_asks_why_and_takes_a_number_words_or_nothing(make_site: Any) -> None:
    site = make_site()
    browser = site.browser("dana")
    for fields, reason in (
        ({"reason": "2"}, "right answer, wrong form"),
        ({"other": "no code of this year"}, "no code of this year"),
        ({}, ""),
    ):
        row = browser.row
        browser.rule("reject")
        assert "Why is it wrong?" in browser.words and browser.row == row and site.state(row) == "leased"
        browser.press("/decide", **fields)
        assert (own_word(site, "dana").row, own_word(site, "dana").reason) == (row, reason)


def test_undo_walks_back_and_foreign_rows_stay(make_site: Any) -> None:
    site = make_site()
    mo = site.browser("mo")
    mos = mo.row
    mo.rule("approve")
    dana = site.browser("dana")
    first = dana.row
    dana.rule("approve")
    second = dana.row
    dana.rule("skip")
    assert "Skipped" in dana.words
    assert dana.press("/undo").row == second and "Taken back" in dana.words
    assert dana.press("/undo").row == first and site.state(first) == "leased"
    assert site.state(second) == "pending", "the row that was open is free again"
    sent = {"csrf": dana.page.form("/decide")["csrf"], "row": mos}
    assert dana.client.post("/undo", data=sent).status_code == 403 and site.state(mos) == "approved"


# Conflicts


def stale(site: Any, decider: Ruling | None, **fields: str) -> tuple[Any, str]:
    """dana's form after its lease is over, and after mo decided."""
    dana = site.browser("dana")
    row = dana.row
    if fields.get("verdict") == "edit":
        dana.press("/decide", to="/open", panel="edit")
    site.now[0] += LEASE_OVER
    if decider is not None:
        item = next_item(site.desk, "mo", want=row).item
        decide(site.desk, row, item.token, "mo", decider)
    dana.press("/decide", **fields)
    return dana, row


def test_a_stale_form_changes_nothing_and_the_text_is_kept(make_site: Any) -> None:
    site = make_site()
    dana, row = stale(site, Ruling("edit", text="E11.42"), verdict="edit", text="E11.49\r\nmine")
    assert dana.status == 409
    assert re.search(r"mo decided this row at \d\d:\d\d \(E11\.42\)\. Yours was not counted\.", dana.words)
    assert "E11.49\nmine" in dana.page.text and "Keep mo’s" in dana.words and "Send both to the lead" in dana.words
    assert site.desk.store.row(row).example.answer == "E11.42" and len(decisions(site)) == 1


def test_a_lease_that_ran_out_can_be_taken_again_with_the_text(make_site: Any) -> None:
    site = make_site()
    dana, row = stale(site, None, verdict="edit", text="E11.49")
    assert dana.status == 409 and "that is over. Yours was not counted" in dana.words and "Send both" not in dana.words
    dana.get(f"/?row={row}")
    assert dana.row == row and dana.page.form("/decide")["text"] == "E11.49"
    dana.rule("edit")
    assert site.desk.store.row(row).example.answer == "E11.49"


def test_the_same_form_twice(make_site: Any) -> None:
    site = make_site()
    browser = site.browser("dana")
    form = {**browser.page.form("/decide"), "verdict": "approve"}
    assert browser.client.post("/decide", data=form).status_code == 200
    again = browser.client.post("/decide", data={**form, "verdict": "reject", "reason": "1"})
    assert again.status_code == 409 and "you decided it already" in again.text and len(decisions(site)) == 1


def test_both_go_to_the_lead_who_sees_both_and_ends_it(make_site: Any) -> None:
    site = make_site(4)
    lead = site.browser("kim", "lead")
    lead.press("/stop", row=lead.row)
    dana, row = stale(site, Ruling("edit", text="E11.42"), verdict="edit", text="E11.49")
    assert dana.press("/contest").status == 200 and "Sent on, with both answers" in dana.words
    assert site.state(row) == "unsure" and dana.row != row
    assert dana.get(f"/?row={row}").row != row, "it is the lead's now"
    lead.get(f"/?row={row}")
    assert lead.row == row and "mo edited: E11.42" in lead.words and "dana edited: E11.49" in lead.words
    lead.press("/decide", to="/open", panel="edit")
    lead.rule("edit", text="E11.49")
    assert site.state(row) == "edited" and site.desk.store.row(row).example.answer == "E11.49"
    assert [verdict for _, verdict, _ in decisions(site)] == ["edit"] * 3, "nothing was overwritten"


def test_nothing_to_contest_where_nobody_decided(make_site: Any) -> None:
    site = make_site()
    dana = site.browser("dana")
    form = {**dana.page.form("/decide"), "verdict": "reject"}
    assert dana.client.post("/contest", data=form).status_code == 403 and decisions(site) == []


def test_blind_rows_show_nobodys_decision(make_site: Any) -> None:
    site = make_site(2, overlap=1.0)
    with site.desk.store.write() as connection:
        connection.execute(insert(links).values(row_id=1, other_id=2, kind="minimal_pair", similarity=0.9))
    for _ in range(2):
        item = next_item(site.desk, "mo").item
        decide(site.desk, item.id, item.token, "mo", Ruling("edit", text=f"MO-{item.id}"))
    dana = site.browser("dana")
    assert "Two people see this row" in dana.words and "mo" not in re.findall(r"\w+", dana.words)
    assert "MO-" not in dana.html
    dana, _ = stale(site, None, verdict="approve")
    assert "mo decided" not in dana.words and "Send both" not in dana.words


def test_near_rows_that_were_decided_stand_beside(make_site: Any) -> None:
    site = make_site(3)
    with site.desk.store.write() as connection:
        for other in (2, 3):
            connection.execute(insert(links).values(row_id=1, other_id=other, kind="minimal_pair", similarity=0.9))
    item = next_item(site.desk, "mo", want="r-000002").item
    decide(site.desk, item.id, item.token, "mo", Ruling("edit", text="E11.42"))
    dana = site.browser("dana").get("/?row=r-000001")
    assert "Decided before, near this one" in dana.words and "E11.42 edited mo" in dana.words
    assert "A near row has another answer: E11.42 (mo)" in dana.words


# What is on the page


def test_rows_of_every_kind(make_site: Any) -> None:
    talk = [("system", "Be brief."), ("user", "one?"), ("assistant", "1"), ("user", "two?"), ("assistant", "2")]
    rows = [
        {"messages": [{"role": role, "content": content} for role, content in talk]},
        {"prompt": "which?", "chosen": "good", "rejected": "bad"},
        {"text": "A whole text."},
        {"messages": [{"role": "user", "content": "no answer"}]},
    ]
    site = make_site([Example(row) for row in rows])
    dana = site.browser("dana")
    assert re.search(r"Be brief\..*Question 1 one\?.*Answer 1 1.*Question 2 two\?.*Proposed answer 2", dana.words)
    dana.rule("approve")
    assert re.search(r"which\?.*Better answer good.*Worse answer bad", dana.words)
    dana.rule("approve")
    assert "A whole text." in dana.words
    dana.press("/decide", to="/open", panel="edit")
    dana.rule("edit", text="A whole new text.")
    assert "Write the answer" in dana.words
    assert 'value="approve"' not in dana.html and "Leave as it was" not in dana.words
    assert dana.rule("approve").status == 400 and "nothing to approve" in dana.words
    dana.rule("edit", text="now it has")
    assert "Nothing waits for you, dana. Thank you. You will find new rows under this same link." in dana.words
    assert "4 rows today" in dana.words
    assert [json.loads(site.desk.store.row(f"r-00000{n}").example.to_json()) for n in (2, 3)] == [
        rows[1],
        {"text": "A whole new text."},
    ]


def test_nothing_waits_but_for_others(make_site: Any) -> None:
    site = make_site(1)
    site.browser("mo")
    dana = site.browser("dana")
    assert "Nothing waits for you, dana." in dana.words and "1 row waits for someone else" in dana.words
    dana.get("/done")
    assert "unknown (no row was decided by two people yet)" in dana.words


def test_done_for_today_gives_the_row_back(make_site: Any) -> None:
    site = make_site()
    dana = site.browser("dana")
    row = dana.row
    assert "Done for today" in dana.press("/stop").words and site.state(row) == "pending"


def test_every_field_has_a_label_and_every_page_a_heading(make_site: Any) -> None:
    site = make_site()
    dana = site.browser("dana", "lead")
    for panel in ("", "edit", "reject"):
        if panel:
            dana.press("/decide", to="/open", panel=panel)
        fields = re.findall(r'<(?:textarea|input(?![^>]*type="hidden"))[^>]*\bid="(\w+)"', dana.html)
        assert fields and all(f'for="{name}"' in dana.html for name in fields)
        assert len(re.findall(r"<(?:textarea|input(?![^>]*hidden))", dana.html)) == len(fields)
        assert dana.html.count("<h1") == 1 and dana.html.count("<main") == 1 and 'lang="en"' in dana.html
        assert "aria-live" in dana.html and dana.html.count(" autofocus") == 1
        buttons = re.findall(r"<button[^>]*>(.*?)</button>", dana.html, re.S)
        assert all(re.sub(r"<[^>]+>|\s", "", label) for label in buttons)


def test_broken_look_cookie_and_odd_find(make_site: Any) -> None:
    dana = make_site().browser("dana")
    assert dana.get("/", headers={"cookie": "rung_look=<script>.9"}).status == 401
    dana.client.cookies.set("rung_look", '"><script>.9')
    assert dana.get("/?find=%3Cb%3E").status == 200 and "<mark>&lt;b&gt;</mark>" in dana.html
    assert dana.get("/?find=%2334").status == 200 and "<mark>" not in dana.html
    assert dana.get("/?row=../../etc").status == 200


def test_a_store_that_fails_is_said_and_nothing_is_shown_as_done(make_site: Any) -> None:
    site = make_site()
    dana = site.browser("dana")
    form = {**dana.page.form("/decide"), "verdict": "approve"}
    site.desk.store.close()
    for file in site.desk.project.root.glob("rung.db*"):
        file.unlink()
    site.desk.project.database_file.write_text("no database " * 1000)
    answer = dana.client.post("/decide", data=form, follow_redirects=False)
    assert answer.status_code == 503 and "not a database" in answer.text and "Nothing was changed" in answer.text


# Known items, the lead's figures


def test_known_items_look_like_all_others_in_the_browser(make_site: Any) -> None:
    from curation.review.gold import add_gold, known_by_person

    site = make_site(gold=0.4)
    lead = site.browser("kim", "lead")
    ids = []
    for verdict in ("approve", "reject", "approve", "reject", "approve"):
        ids.append(lead.row)
        lead.rule(verdict, **({"reason": "1"} if verdict == "reject" else {}))
    add_gold(site.desk.store, ids, actor="kim")
    dana, steps = site.browser("dana"), {True: set(), False: set()}
    seen = []
    while "/decide" in dict(dana.page.forms):
        row, words = dana.row, dana.words
        seen.append(row)
        count = re.search(r"(\d+) of (\d+) ·", words)
        assert count is not None and "gold" not in dana.html.lower() and "known item" not in words.lower()
        assert "kim" not in dana.html
        dana.rule("approve")
        later = re.search(r"(\d+) of (\d+) ·", dana.words)
        step = [int(b) - int(a) for a, b in zip(count.groups(), later.groups(), strict=True)] if later else []
        steps[row in ids].add((tuple(step), re.sub(r"[A-Z]\d\S*", "CODE", dana.words.split("Undo")[0][:60])))
    assert len(set(seen) & set(ids)) >= 3 and len(seen) == len(set(seen))
    assert {step for step, _ in steps[True]} == {(1, 0)} == {step for step, _ in steps[False] if step}
    assert dana.get(f"/?row={ids[-1]}").status == 200 and "/decide" not in dict(dana.page.forms)
    (mine,) = known_by_person(site.desk.store)
    assert mine.missed == len({row for row in seen if row in ids[1::2]}), "known to be rejected, approved by dana"
    assert f"{mine.missed} of {mine.answered}" in lead.get("/team").words


def test_the_economics_of_the_review(make_site: Any) -> None:
    site = make_site(goal=4, hour_usd=50)
    lead = site.browser("kim", "lead")
    lead.rule("approve")
    lead.rule("edit", text="E11.42")
    lead.rule("reject", reason="1")
    lead.get("/economics")
    assert lead.status == 200 and "66.7% (2 of 3)" in lead.words and "2 of 4 ([review] goal)" in lead.words
    assert "Not measured: rung plan --curve" in lead.words
    assert "/economics" in lead.get("/").html and "/economics" not in site.browser("dana").html


def test_a_flag_and_an_entry_test(make_site: Any) -> None:
    from curation.review.gold import add_gold

    site = make_site(entry=1)
    lead = site.browser("kim", "lead")
    known = lead.row
    lead.rule("reject", reason="1")
    waiting = site.browser("mo")
    assert waiting.status == 403 and "1 known items first" in waiting.words
    add_gold(site.desk.store, [known], actor="kim")
    dana = site.browser("dana")
    assert dana.row == known
    dana.rule("approve")
    assert "Entry test: 0 of 1 right, 1 are needed. You may try again." in dana.words and dana.row == known
    dana.rule("reject", reason="1")
    assert "Entry test passed: 1 of 1 right." in dana.words
    row = dana.row
    dana.rule("flag")
    assert site.state(row) == "unsure" and "Flagged for the adjudicator" in dana.words
    assert lead.get(f"/?row={row}").row == row
