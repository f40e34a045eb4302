"""Who gets into the review page, and what is answered to requests that are none of its forms."""

import re

import pytest
from deciding import settle, take

from curation.example import Example, chat_row
from curation.review import Ruling, decide_all, revoke
from curation.review.people import ROLES
from rung.web.app import WAYS
from rung.web.login import MOST_BYTES, WRONG_TOKENS


@pytest.mark.parametrize("role", ROLES)
def test_roles_hold_on_every_route(make_site, role: str):
    """In with the right role; 403 with another; 401 without a link; a POST without its token changes nothing."""
    site = make_site()
    for way in WAYS:
        assert site.client().request(way.method, way.path).status_code == 401, way
        browser = site.browser("dana", role)
        if way.method == "GET":
            assert browser.get(way.path).status == (200 if role in way.roles else 403), way
            continue
        fields = {**browser.form("/decide"), "verdict": "approve", "panel": "edit", "look": "dark"}
        before = len(site.decisions())
        for csrf in ("", "0" * 64, "é"):
            assert browser.client.post(way.path, data={**fields, "csrf": csrf}).status_code == 403, way
        assert len(site.decisions()) == before and site.state(fields["row"]) == "leased", way
        allowed = browser.client.post(way.path, data=fields, follow_redirects=False).status_code
        nothing_there = way.path in ("/undo", "/contest")  # 403 for everyone: no decision on that row yet
        assert (allowed == 403) == (role not in way.roles or nothing_there), way
        assert way.path != "/contest" or len(site.decisions()) == before, way


def test_a_lead_reopens(make_site):
    site = make_site()
    dana = site.browser("dana")
    row = dana.row
    dana.rule("approve")
    lead = site.browser("kim", "lead").get("/team")
    assert "dana" in lead.words and row in lead.words
    assert lead.press("/reopen", row=row).status == 200 and site.state(row) == "pending"


def test_link_cookie_and_sign_out(make_site):
    site = make_site()
    client = site.client()
    link = site.link("dana")
    picture = client.get(link, headers={"sec-fetch-dest": "image"})
    assert picture.status_code == 403 and "set-cookie" not in picture.headers, "no page signs anyone in by an image"
    answer = client.get(link)
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie and "max-age=120" in cookie
    assert answer.headers["refresh"] == "0; url=/" and 'href="/"' in answer.text
    token = link.removeprefix("/enter/")
    files = site.desk.project.root.glob("rung.db*")
    assert not any(token.encode() in file.read_bytes() for file in files), "only a hash of the token is stored"
    assert client.get("/").status_code == 200
    form = {"csrf": re.search(r'name="csrf" value="(\w+)"', client.get("/").text)[1]}
    assert client.post("/leave", data=form).status_code == 200
    assert client.get("/").status_code == 401


def test_a_link_that_ended_was_revoked_or_never_was(make_site):
    site = make_site()
    ended = site.client().get(site.link("dana", days=1e-9))
    assert ended.status_code == 410
    assert re.search(r"\d{4}-\d\d-\d\d\..*\bsam\b", ended.text)
    browser = site.browser("mo")
    revoke(site.desk.store, "mo")
    assert browser.get("/").status == 401, "at once"
    assert site.client().get("/enter/never").status_code == 401
    old = site.link("kim")
    new = site.link("kim")
    assert [site.client().get(link).status_code for link in (old, new)] == [401, 200]


def test_wrong_links_are_limited(make_site):
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


def test_foreign_host_or_origin(make_site):
    site = make_site()
    browser = site.browser("dana")
    form = {**browser.form("/decide"), "verdict": "approve"}
    hosts = ("evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example", "[")
    origins = ("http://evil.example", "null", "http://127.0.0.1:1", "http://[")
    for headers in (*({"host": host} for host in hosts), *({"origin": origin} for origin in origins)):
        assert 400 <= browser.client.post("/decide", data=form, headers=headers).status_code < 500, headers
        assert 400 <= browser.client.get("/", headers=headers).status_code < 500, headers
    assert site.decisions() == []


SECRET = "the answer of the lead"


def post(browser, path: str, row: str, token: str = "made-up", **fields: str):
    """A form of their own making: with their csrf, for a row and with a token that they like."""
    sent = {
        "csrf": browser.form("/decide")["csrf"],
        "row": row,
        "token": token,
        "verdict": "reject",
        "reason": "1",
    }
    return browser.client.post(path, data={**sent, **fields}, follow_redirects=False)


def test_no_reply_tells_a_stranger_to_a_row_what_was_decided_on_it(make_site):
    """Decided, open, held by someone else, out of the data: under a made-up token all rows answer alike."""
    site = make_site()
    site.link("kim", "lead")
    settle(site.desk, "kim", "edit", want="r-000003", text=SECRET)
    site.desk.store.exclude(["r-000004"], "a leak", "leaks")
    take(site.desk, "kim", want="r-000006")
    mallory = site.browser("mallory")
    for fields in ({}, {"verdict": "edit", "text": SECRET}, {"verdict": "edit", "text": ""}, {"verdict": "approve"}):
        replies = set()
        for row in ("r-000003", "r-000004", "r-000005", "r-000006"):
            answer = post(mallory, "/decide", row, **fields)
            told = answer.text.replace(fields.get("text") or "no text", "")
            assert answer.status_code == 409 and "kim" not in told and SECRET not in told
            replies.add(re.sub(r'value="[^"]*"|name="csrf"|csrf', "", told.replace(row, "ROW")))
        assert len(replies) == 1
    for path in ("/open", "/unmask", "/contest", "/undo", "/forget", "/stop", "/reopen"):
        answer = post(mallory, path, "r-000003")
        assert "kim" not in answer.text and SECRET not in answer.text
    row = site.desk.store.row("r-000003")
    assert (row.state, row.reviewer, len(site.desk.store.events(kind="contest"))) == ("edited", "kim", 0)


def test_a_decision_is_contested_by_whoever_held_the_row_and_no_one_else(make_site):
    site = make_site()
    site.link("kim", "lead")
    mallory, dana = site.browser("mallory"), site.browser("dana")
    tokens = {row: dana.get(f"/?row={row}").form("/decide")["token"] for row in ("r-000005", "r-000007")}
    site.now[0] += 1000
    for row, who in (("r-000005", "mo"), ("r-000007", "kim")):
        settle(site.desk, who, "approve", want=row)
        for token in ("made-up", tokens[row], tokens["r-000005"]):
            assert post(mallory, "/contest", row, token).status_code == 403
    late = post(dana, "/decide", "r-000005", tokens["r-000005"])
    assert late.status_code == 409 and re.search(r"\bmo\b", late.text) and "/contest" in late.text
    of_the_lead = post(dana, "/decide", "r-000007", tokens["r-000007"])
    assert of_the_lead.status_code == 409 and "/contest" not in of_the_lead.text
    assert post(dana, "/contest", "r-000007", tokens["r-000005"]).status_code == 403
    assert post(dana, "/contest", "r-000007", tokens["r-000007"]).status_code == 403, "the lead's decision"
    assert post(dana, "/contest", "r-000005", tokens["r-000005"]).status_code == 303
    assert [site.state(row) for row in tokens] == ["unsure", "approved"]
    decide_all(site.desk, "kim", [("r-000005", Ruling("approve"))], kind="person")
    assert post(dana, "/contest", "r-000005", tokens["r-000005"]).status_code == 403, "a second time"


def test_own_origin_and_other_local_names_are_answered(make_site):
    site = make_site()
    for base in ("http://localhost:9000", "http://127.0.0.1:8642", "http://[::1]:8642"):
        client = site.client(base)
        assert client.get(site.link("dana")).status_code == 200
    browser = site.browser("mo")
    form = {**browser.form("/decide"), "verdict": "approve"}
    sent = {"origin": "http://127.0.0.1:8642", "sec-fetch-site": "same-origin"}
    assert browser.client.post("/decide", data=form, headers=sent).status_code == 200
    assert browser.client.post("/decide", data=form, headers={"sec-fetch-site": "cross-site"}).status_code == 403


def test_a_proxys_header_from_a_named_address(make_site):
    web = {"login": "proxy", "proxy": ["10.0.0.2"], "url": "https://review.example.org"}
    site = make_site(web=web)
    base, named = "https://review.example.org", {"x-remote-user": "dana"}
    proxy = site.client(base, peer="10.0.0.2")
    answer = proxy.get("/", headers=named)
    assert answer.status_code == 200 and "dana" in answer.text and "/leave" not in answer.text
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


def test_the_proxys_forwarded_address_counts_for_the_limit(make_site):
    site = make_site(web={"login": "proxy", "proxy": ["10.0.0.2"]})
    proxy = site.client(peer="10.0.0.2")
    for n in range(WRONG_TOKENS + 1):
        last = proxy.get(f"/enter/{n}", headers={"x-forwarded-for": "6.6.6.6, 198.51.100.7"}).status_code
    assert last == 429
    assert proxy.get("/enter/x", headers={"x-forwarded-for": "198.51.100.8"}).status_code == 401


def test_headers_on_every_answer_and_nothing_inline(make_site):
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


def test_bodies_that_are_no_form(make_site):
    site = make_site()
    browser = site.browser("dana")
    form = {**browser.form("/decide"), "verdict": "approve"}
    post = browser.client.post
    assert post("/decide", data={**form, "remark": "x" * MOST_BYTES}).status_code == 413
    assert post("/decide", content=iter([b"x" * 2**20] * 5)).status_code == 413, "without a length"
    assert post("/decide", json=form).status_code == 415
    assert post("/decide", data=form, files={"f": b"x"}).status_code == 415
    assert post("/decide", data={**form, **{f"x{n}": "1" for n in range(50)}}).status_code == 400
    assert post("/decide", data={**form, "verdict": "destroy"}).status_code == 400
    assert post("/decide", data={**form, "row": "r-999999"}).status_code == 400
    assert post("/decide", data={**form, "row": "'; drop table rows"}).status_code == 400
    assert site.decisions() == [] and browser.get("/").status == 200


def test_a_row_of_a_megabyte_can_be_edited(make_site):
    site = make_site([Example(chat_row("long", "ä" * 300_000))])
    browser = site.browser("dana")
    browser.press("/decide", to="/open", panel="edit")
    assert browser.rule("edit", text="ä" * 300_001).status == 200
    assert len(site.desk.store.row("r-000001").example.answer) == 300_001


def test_whoever_started_the_server_opens_the_team_page(make_site):
    team = make_site(web={"login": "none"}).client().get("/team")
    assert team.status_code == 200 and "sam" in team.text and "/leave" not in team.text
