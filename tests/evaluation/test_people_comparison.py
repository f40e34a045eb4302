"""People compare blind: sides and order by a seed, ties, several raters, names only at the end.

In the browser it is one pairing a page, and each answer is on disk at once.
"""

import json
import re

import pytest
from bank import evaluated, ladder
from in_shell import rung
from scripted import Scripted
from starlette.testclient import TestClient

from curation.review import invite, open_desk
from evaluation.measurement_report import ItemOutcome
from evaluation.people_comparison import (
    BlindPlan,
    begun_comparison,
    draw_items,
    items_for,
    open_comparison,
    pairings,
    preferences,
    read_result,
    read_sheet,
    write_sheet,
)
from rung.report.evaluation import write_page
from rung.web.app import build_app
from rung.web.serve import host_names
from workspace.errors import InputError, Refusal, RungError


def outcome(arm, item, text):
    return ItemOutcome(split="test", arm=arm, form="free", item=item, output=text, expected="e", score=0.0)


@pytest.fixture
def made():
    n = 120
    tuned = {i: outcome("tuned", i, f"tuned {i}" if i % 10 else "same") for i in range(1, n + 1)}
    rivals = {a: {i: outcome(a, i, f"{a} {i}" if i % 10 else "same") for i in tuned} for a in ("base", "prompt")}
    plan = BlindPlan(run="R-001", items=draw_items(n, ["base", "prompt"], 50, 13), seed=13, test_sha256="")
    return pairings(plan, [f"question {i}" for i in tuned], tuned, rivals)


def test_sides_and_order_are_mixed_and_a_sheet_gives_nobody_away(made):
    assert len(made) == 100 and len({p.item for p in made}) == 100
    assert 30 < sum(p.tuned_is == "a" for p in made) < 70
    assert [p.rival for p in made] != sorted(p.rival for p in made)
    rows = [json.loads(line) for line in write_sheet(made).splitlines()]
    assert {tuple(row) for row in rows} == {("id", "question", "a", "b", "choice", "reason")}
    assert len(rows) == sum(not p.is_same for p in made) < 100


def fill(path, made, choose):
    rows = [json.loads(line) for line in write_sheet(made).splitlines()]
    path.write_text("".join(json.dumps({**row, "choice": choose(row), "reason": "clear"}) + "\n" for row in rows))
    return path


def read_answers(path, made):
    return read_sheet(path, "choice", ("a", "b", "tie"), {p.id: p.is_shown_by for p in made if not p.is_same})


def likes(word):
    return lambda row: "a" if row["a"].startswith(word) else "b" if row["b"].startswith(word) else "tie"


def test_preferences_are_counted_against_each_rival_with_ties_and_agreement_and_by_groups(made, tmp_path):
    half = fill(tmp_path / "s", made, lambda row: "TIE" if row["id"] % 2 else likes("tuned")(row))
    answers = {"priya": read_answers(fill(tmp_path / "p", made, likes("tuned")), made), "sam": read_answers(half, made)}
    base, prompt = sorted(preferences(made, answers), key=lambda p: p.rival)
    assert (base.rival, prompt.rival) == ("base", "prompt") and base.n == prompt.n == 50
    assert base.losses == 0 and base.wins + base.ties == 2 * (base.n - base.same)
    assert 0.5 < base.difference < 1 and base.low <= base.difference <= base.high
    assert base.alpha is not None and base.alpha < 0.5 and set(base.reasons) == {"clear"}
    alone = preferences(made, {"sam": read_answers(fill(tmp_path / "t", made, likes("base")), made)})
    against = {p.rival: p for p in alone}
    assert against["base"].difference < -0.5 and against["prompt"].difference == 0 and against["base"].alpha is None
    items, grouped, single = (
        {p.rival: p for p in preferences(made, {"priya": answers["priya"]}, groups)}["base"]
        for groups in (None, {i: str(i % 12) for i in range(1, 121)}, {i: str(i) for i in range(1, 121)})
    )
    assert single == items and grouped.difference == items.difference and grouped.low < items.low
    assert 50 < items_for(0.2) < 100 < items_for(0.1) < 400, "narrower intervals need more items"


def test_every_fault_of_a_sheet_is_said(made, tmp_path):
    path = fill(tmp_path / "sheet", made, lambda row: "a")
    lines = path.read_text().splitlines()
    first = json.loads(lines[0])
    wrong = [json.dumps({**first, **fault}) for fault in ({"choice": "c"}, {"id": 9999})]
    path.write_text("\n".join([*wrong, "no json", "[1]", lines[1], lines[1]]))
    with pytest.raises(InputError) as failed:
        read_answers(path, made)
    assert len(failed.value.problems) == 5, "an answer that is given twice is one"


def test_the_command_writes_a_sheet_takes_it_and_reveals_only_at_the_end(project, settings, model, tmp_path):
    ladder(project, settings, model)

    def asked(*arguments):
        return rung("evaluate", "--human", "--rater", "priya", *arguments, cwd=project.root)

    assert asked().returncode == 1
    # said by no other arm: equal outputs are not asked about, and which items are drawn is by chance
    tuned = Scripted(lambda ask: "transfer" if "pin" in ask.turns[-1]["content"] else "pin", name="t")
    evaluated(project, settings, tuned)
    sheet = tmp_path / "sheet.jsonl"
    made = asked("--sheet", str(sheet), "--json")
    assert made.returncode == 0 and json.loads(made.stdout)["sheet"] == str(sheet)
    assert json.loads(asked("--json").stdout)["raters"] == {}
    rows = [json.loads(line) for line in sheet.read_text().splitlines()]
    assert rows and asked("--reveal").returncode == 1
    chosen = ["", None, *"a" * len(rows)]
    sheet.write_text(
        "".join(json.dumps({**row, "choice": said}) + "\n" for row, said in zip(rows, chosen, strict=False))
    )
    filled = sheet.read_text()
    assert asked("--sheet", str(sheet)).returncode == 2 and sheet.read_text() == filled
    assert asked("--answers", str(sheet)).returncode == 0
    held = asked("--reveal")
    assert held.returncode == 1 and "priya" in held.stderr and " 2 " in held.stderr
    assert "base" not in held.stdout + held.stderr
    last = [{**rows[0], "choice": "tie", "reason": "both wrong"}, {**rows[1], "choice": "tie", "reason": None}]
    sheet.write_text("".join(json.dumps(row) + "\n" for row in last))
    assert asked("--answers", str(sheet)).returncode == 0
    shown = json.loads(asked("--reveal", "--json").stdout)
    assert shown["run"] == "R-001" and {a["rival"] for a in shown["against"]} <= {"base", "prompt"}
    assert {reason for a in shown["against"] for reason in a["reasons"]} == {"both wrong"}


@pytest.fixture
def desk(project, settings):
    opened = open_desk(project, settings)
    yield opened
    opened.store.close()


@pytest.fixture
def compare(project, free, model):
    """`compare(answer)`: the comparison with a tuned model that always says this."""

    def begun(answer):
        ladder(project, free, model)
        evaluated(project, free, Scripted([answer], name="t"))
        return open_comparison(project, "R-001", 10)

    return begun


def browser(desk, name, role="reviewer"):
    app = build_app(desk, host_names(desk.settings.web))
    client = TestClient(app, base_url="http://127.0.0.1:8642", client=("127.0.0.1", 5000))
    client.get(f"/enter/{invite(desk.store, name, role=role)}")
    return client


def fields(html):
    found = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', html))
    return {name: found[name] for name in ("csrf", "item") if name in found}


def test_it_is_blind_goes_on_where_it_was_and_ends_only_when_all_have_finished(project, desk, compare):
    made = compare("<b>card</b>")
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
    assert "dana smith" in write_page(project, made.folder.parent).read_text()


def test_the_service_checks_what_it_is_given(project, compare):
    assert begun_comparison(project) is None
    made = compare("<b>card</b>")
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


def test_personal_data_is_masked_until_it_is_asked_for_which_the_log_tells(desk, compare, tmp_path):
    made, dana = compare(f"Call {PHONE} or {MAIL}"), browser(desk, "dana")
    page = dana.get("/compare").text
    assert PHONE not in page and MAIL not in page and "[PHONE]" in page and "[EMAIL]" in page
    assert desk.store.events(kind="unmasked") == []
    shown = dana.post("/compare/unmask", data={**fields(page), "reason": "halfway"}).text
    assert PHONE in shown and MAIL in shown and 'value="halfway"' in shown
    (event,) = desk.store.events(kind="unmasked")
    identity = fields(page)["item"]
    assert (event.actor, event.ref) == ("dana", made.ref(int(identity)))
    assert event.detail["kinds"] == {"EMAIL": 1, "PHONE": 1} and PHONE not in str(event) and MAIL not in str(event)
    following = dana.post("/compare", data={**fields(shown), "choice": "a"}).text
    assert PHONE not in following and fields(following)["item"] != identity
    assert dana.get("/compare/unmask").status_code in (404, 405)
    assert dana.post("/compare/unmask", data={"item": identity}).status_code == 403  # not its own form
    masked, bare = write_sheet(made.pairings), write_sheet(made.pairings, masked=False)
    assert PHONE not in masked and "[PHONE]" in masked and PHONE in bare
    for name, sheet in (("mo", masked), ("lea", bare)):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({**json.loads(line), "choice": "a"}) + "\n" for line in sheet.splitlines()))
        made.take_sheet(name, path)
        assert made.standing()[name] == (len(made.asked), len(made.asked)), "it comes back either way"
