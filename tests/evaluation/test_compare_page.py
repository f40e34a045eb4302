"""The blind comparison in the browser: one pairing a page, answers at once on disk, names only at the end."""

import json
import re

import pytest
from bank import evaluated, ladder
from scripted import Scripted
from starlette.testclient import TestClient

from curation.review import invite, open_desk
from evaluation.people_comparison import begun_comparison, open_comparison, read_result, write_sheet
from rung.report.evaluation import write_page
from rung.web.app import build_app
from rung.web.serve import host_names
from workspace.errors import Refusal, RungError


@pytest.fixture
def desk(project, settings):
    opened = open_desk(project, settings)
    yield opened
    opened.store.close()


@pytest.fixture
def compared(project, free, model):
    """`compared(answer)`: the project with a verdict on a tuned model that always says this."""

    def made(answer):
        ladder(project, free, model)
        evaluated(project, free, Scripted([answer], name="t"))

    return made


@pytest.fixture
def comparison(project, compared):
    compared("<b>card</b>")
    return lambda: open_comparison(project, "R-001", 10)


def browser(desk, name, role="reviewer"):
    app = build_app(desk, host_names(desk.settings.web))
    client = TestClient(app, base_url="http://127.0.0.1:8642", client=("127.0.0.1", 5000))
    client.get(f"/enter/{invite(desk.store, name, role=role)}")
    return client


def fields(html):
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    return {"csrf": found["csrf"], "item": found["item"]} if "item" in found else {"csrf": found["csrf"]}


def test_it_is_blind_goes_on_where_it_was_and_ends_only_when_all_have_finished(project, desk, comparison):
    made = comparison()
    dana, lead = browser(desk, "dana smith"), browser(desk, "kim", "lead")
    page = dana.get("/compare").text
    assert "&lt;b&gt;card&lt;/b&gt;" in page
    assert not re.search(r"tuned|prompt\b|base\b", re.sub(r"<[^>]+>", "", page))
    first = fields(page)["item"]
    again = dana.post("/compare", data={**fields(page), "choice": "a", "reason": "closer"})
    assert fields(again.text)["item"] != first and f"/compare?item={first}" in again.text
    assert made.answers()["dana smith"][int(first)] == ("a", "closer")
    changed = dana.get(f"/compare?item={first}").text
    dana.post("/compare", data={**fields(changed), "choice": "tie", "reason": ""})
    assert made.answers()["dana smith"][int(first)] == ("tie", "")
    assert dana.post("/compare", data={**fields(changed), "choice": "c"}).status_code == 400
    assert dana.post("/compare", data={**fields(changed), "item": "9999", "choice": "a"}).status_code == 400
    early = lead.post("/compare/end", data={"csrf": fields(lead.get("/compare").text)["csrf"]})
    assert early.status_code == 403 and "dana smith" in early.text and not read_result(made.folder.parent)
    for each in (dana, lead):
        page = each.get("/compare").text
        while "item" in fields(page):
            page = each.post("/compare", data={**fields(page), "choice": "b"}).text
    assert "dana smith: " in page
    ended = lead.post("/compare/end", data={"csrf": fields(page)["csrf"]}).text
    assert "tuned" in ended and read_result(made.folder.parent)
    before = write_page(project, made.folder.parent).read_text()
    assert "dana smith" in before


def test_the_service_checks_what_it_is_given(project, comparison):
    assert begun_comparison(project) is None
    made = comparison()
    assert begun_comparison(project).plan == made.plan
    with pytest.raises(RungError, match="tie"):
        made.record("dana", made.asked[0].id, "A")
    with pytest.raises(RungError, match="9999"):
        made.record("dana", 9999, "a")
    with pytest.raises(RungError):
        made.record(" ", made.asked[0].id, "a")
    with pytest.raises(Refusal):
        made.reveal()
    made.record("a/../b", made.asked[0].id, "a")
    assert list(made.answers()) == ["a/../b"] and made.standing() == {"a/../b": (1, len(made.asked))}


PHONE, MAIL = "+1 415 555 0132", "ann.lee@example.org"


@pytest.fixture
def private(project, compared):
    """A comparison whose tuned outputs hold a phone number and a mail address."""
    compared(f"Call {PHONE} or {MAIL}")
    return open_comparison(project, "R-001", 10)


def test_personal_data_is_masked_until_it_is_asked_for_which_the_log_tells(desk, private):
    dana = browser(desk, "dana")
    page = dana.get("/compare").text
    assert PHONE not in page and MAIL not in page and "[PHONE]" in page and "[EMAIL]" in page
    assert desk.store.events(kind="unmasked") == []
    shown = dana.post("/compare/unmask", data={**fields(page), "reason": "halfway"}).text
    assert PHONE in shown and MAIL in shown and 'value="halfway"' in shown
    (event,) = desk.store.events(kind="unmasked")
    identity = fields(page)["item"]
    assert (event.actor, event.ref) == ("dana", private.ref(int(identity)))
    assert event.detail["kinds"] == {"EMAIL": 1, "PHONE": 1} and PHONE not in str(event) and MAIL not in str(event)
    following = dana.post("/compare", data={**fields(shown), "choice": "a"}).text
    assert PHONE not in following and fields(following)["item"] != identity
    assert dana.get("/compare/unmask").status_code in (404, 405)
    assert dana.post("/compare/unmask", data={"item": identity}).status_code == 403  # not its own form


def test_a_sheet_is_masked_and_comes_back_either_way(project, desk, private, tmp_path):
    asked = private.asked
    masked, bare = write_sheet(private.pairings), write_sheet(private.pairings, masked=False)
    assert PHONE not in masked and "[PHONE]" in masked and PHONE in bare
    for name, sheet in (("mo", masked), ("dana", bare)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({**json.loads(line), "choice": "a"}) + "\n" for line in sheet.splitlines()))
        private.take_sheet(name, path)
    assert {name: done for name, (done, _) in private.standing().items()} == dict.fromkeys(("mo", "dana"), len(asked))
