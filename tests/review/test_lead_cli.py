"""The lead's commands by script: known items, a review again, economics."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest

from curation.example import Example, chat_row
from curation.review import Ruling, decide, next_item, open_desk
from curation.review.economics import economics, more_rows, word_distance
from workspace.settings import load_settings


@pytest.fixture
def at_desk(project: Any) -> Any:
    """`at_desk(rows=...)`: candidates into the store; `at_desk(who, verdict, text)`: one decision. Not by command."""

    def do(who: str = "", verdict: str = "", text: str | None = None, rows: Any = ()) -> Any:
        desk = open_desk(project, load_settings(project.settings_file, {}))
        with desk.store:
            if rows:
                return desk.store.add(rows, role="candidates").ids
            item = next_item(desk, who).item
            assert item is not None
            return decide(desk, item.id, item.token, who, Ruling(verdict, text=text))

    return do


def test_known_items_by_script(rung: Any, project: Any, rows_of: Any, at_desk: Any) -> None:
    (project.root / "rung.toml").write_text("[review]\nentry = 2\nentry_right = 1.0\n")
    at_desk(rows=rows_of(8))
    rung("review", "invite", "lena", "--role", "lead")
    refused = rung("review", "next", "--reviewer", "mo", "--json", wanted=1)
    assert "2 gold items first" in json.loads(refused.stdout)["error"]["message"]
    for verdict in ("approve", "reject", "approve"):
        at_desk("lena", verdict)
    added = json.loads(rung("review", "gold", "add", "--decided-by", "lena", "--count", "2", "--json").stdout)["added"]
    assert len(added) == 2
    assert "nothing" not in rung("review", "gold", "add", "r-000008", wanted=1).stderr.lower()
    first = at_desk("mo", "approve")
    item = json.loads(rung("review", "next", "--reviewer", "mo", "--json").stdout)
    token = ("--token", item["token"], "--reviewer", "mo")
    second = json.loads(rung("review", "decide", item["id"], "approve", *token, "--json").stdout)
    assert first.note == "" and {first.id, second["id"]} == set(added)
    assert second["note"].startswith("Entry test")
    said = rung("review", "gold", "list").stdout
    assert "2 gold items, 0% of the rows that reviewers get, 2 as an entry test" in said and "mo: " in said
    assert json.loads(rung("review", "gold", "end", *added, "--json").stdout) == {"ended": sorted(added)}
    assert rung("review", "gold", "add", wanted=2).stderr


def test_a_review_again_by_script(rung: Any, project: Any, at_desk: Any) -> None:
    project.guideline_file.write_text("# G\n\nCode it.\n")
    rows = [Example(chat_row(f"{word} case", "A1")) for word in ("asthma", "fracture", "fever")]
    at_desk(rows=rows)
    for _ in rows:
        at_desk("mo", "approve")
    assert "No row was decided under another version" in rung("review", "again", wanted=1).stderr
    project.guideline_file.write_text("# G\n\nCode it.\nAsthma first.\n")
    dry = json.loads(rung("review", "again", "--dry-run", "--json").stdout)
    assert list(dry["rows"].values()) == [["asthma"]] and dry["change"] is None
    done = rung("review", "again").stdout
    assert "Guideline v2: 3 rows decided under an older version, 1 affected." in done and "rung data undo" in done
    assert json.loads(rung("review", "status", "--json").stdout)["states"]["pending"] == 1


def test_a_row_that_was_taken_out_is_not_reopened(rung: Any, project: Any, rows_of: Any, at_desk: Any) -> None:
    """Nobody would be given it, though it was told as sent to review."""
    rows = at_desk(rows=rows_of(2))
    with open_desk(project, load_settings(project.settings_file, {})).store as store:
        store.exclude(rows[:1], "exact duplicate", "duplicates")
    told = rung("review", "reopen", *rows, wanted=2).stderr
    assert f"{rows[0]} was taken out (exact duplicate)" in told and rows[1] not in told
    assert "1 row to review again" in rung("review", "reopen", rows[1]).stdout


def test_economics_by_script(rung: Any, project: Any, rows_of: Any, at_desk: Any) -> None:
    (project.root / "rung.toml").write_text("[review]\ngoal = 10\nhour_usd = 60\n")
    at_desk(rows=rows_of(6))
    nothing = json.loads(rung("review", "economics", "--json").stdout)
    assert nothing["acceptance"] is None and nothing["cost_per_accepted_usd"] is None
    at_desk("mo", "approve")
    time.sleep(1.1)  # the log keeps whole seconds
    at_desk("mo", "edit", "answer one two three")
    at_desk("mo", "reject")
    found = json.loads(rung("review", "economics", "--json").stdout)
    assert (found["decided"], found["accepted"], found["edited"]) == (3, 2, 1)
    assert found["acceptance"] == pytest.approx(2 / 3) and found["edit_distance"] == pytest.approx(3 / 4)
    assert (found["have"], found["goal"], found["rows_to_go"]) == (2, 10, 12)
    assert found["hours_to_goal"] == pytest.approx(12 / found["rows_an_hour"])
    assert found["review_usd"] == pytest.approx(60 * found["hours"])
    assert found["cost_per_accepted_usd"] == pytest.approx(found["review_usd"] / 2)
    assert found["more"]["worth"] is None and "Not measured" in found["more"]["text"]
    assert re.search(r"About \d+(\.\d)? (s|min) left at the current pace", rung("review", "status").stdout)
    said = rung("review", "economics").stdout
    assert "2 of 10 ([review] goal)" in said and "66.7% (2 of 3)" in said and "rung plan curve" in said


def test_decisions_by_sheet_have_no_pace(rung: Any, project: Any, rows_of: Any, at_desk: Any) -> None:
    (project.root / "rung.toml").write_text("[review]\nhour_usd = 60\n")
    at_desk(rows=rows_of(3))
    rung("review", "export", "-o", "out.jsonl", "--assign", "dana")
    sheet = project.root / "out.jsonl"
    sheet.write_text(sheet.read_text().replace('"decision": ""', '"decision": "approve"'))
    rung("review", "import", "out.jsonl")
    status = json.loads(rung("review", "status", "--json").stdout)
    (dana,) = status["reviewers"]
    assert (dana["decided"], dana["by_sheet"], dana["rows_an_hour"], dana["minutes"]) == (3, 3, None, 0)
    assert status["rows_an_hour"] is None and "dana: 3 decided, 3 by sheet" in rung("review", "status").stdout
    found = json.loads(rung("review", "economics", "--json").stdout)
    assert found["review_usd"] is None and "3 decisions came by sheet" in found["unknown"]["review_usd"]
    assert found["hours_per_accepted"] is None and found["acceptance"] == 1.0


def test_more_rows_by_the_learning_curve(project: Any) -> None:
    project.plans.mkdir()

    def told(**ahead: float) -> Any:
        points = [{"rows": n, "seed": 0, "loss": loss} for n, loss in ((100, 0.9), (200, 0.7), (400, 0.6))]
        document = {"points": points, "forecast": [{"rows": 400, **ahead}, {"rows": 800, **ahead}]}
        (project.plans / "curve-001.json").write_text(json.dumps(document))
        return more_rows(project.plans)

    yes = told(expected=0.5, low=0.48, high=0.53)
    assert yes.worth is True and yes.text.endswith("0.600 at 400 rows, 0.500 (0.480 to 0.530) at 800.")
    assert told(expected=0.599, low=0.597, high=0.6).worth is False
    assert told(expected=0.55, low=0.45, high=0.65).worth is None
    gains = [(0.05, 0.02, True), (0.004, 0.001, False), (0.05, -0.01, None)]
    for (high, low, worth), number in zip(gains, (2, 3, 4), strict=True):
        gain = {"rows": 800, "expected": (low + high) / 2, "low": low, "high": high}
        points = [{"rows": 400, "seed": 0, "loss": 0.6}, {"rows": 400, "seed": 1, "loss": None}]
        (project.plans / f"curve-00{number}.json").write_text(json.dumps({"points": points, "gain": gain}))
        found = more_rows(project.plans)
        assert found.worth is worth and found.low == pytest.approx(0.6 - high), found
    (project.plans / "curve-005.json").write_text(
        json.dumps({"points": [{"rows": 9, "loss": 1.0}], "forecast": None, "why_no_forecast": "one size only"})
    )
    assert more_rows(project.plans).text == "Unknown: one size only."
    (project.plans / "curve-006.json").write_text("{")
    assert "cannot be read" in more_rows(project.plans).text


def test_the_goal_is_the_advices_where_nobody_set_one(project: Any, rows_of: Any) -> None:
    desk = open_desk(project, load_settings(project.settings_file, {}))
    with desk.store:
        assert economics(desk).unknown["goal"].startswith("no [review] goal")
        project.decision_file.write_text(json.dumps({"data": {"recommended": 500}}))
        found = economics(desk)
        assert (found.goal, found.goal_from) == (500, "the advice")
        assert found.unknown["review_usd"] == "[review] hour_usd is not set"


def test_advice_that_counts_rows_in_each_class_asks_for_them_of_every_answer(
    project: Any, rows_of: Any, at_desk: Any
) -> None:
    said = ["one"] * 4 + ["two"] * 2
    texts = [" ".join(f"w{n}x{k}" for k in range(12)) for n in range(6)]
    at_desk(rows=[Example(chat_row(*pair)) for pair in zip(texts, said, strict=True)])
    for _ in range(5):
        at_desk("mo", "approve")
    project.decision_file.write_text(json.dumps({"data": {"recommended": 4, "per_class": True}}))
    desk = open_desk(project, load_settings(project.settings_file, {}))
    with desk.store:
        found = economics(desk)
        assert (found.have, found.goal, found.goal_from) == (5, 8, "the advice: 4 in each of 2 classes")
        assert found.rows_to_go == 3 and found.acceptance == 1


@pytest.mark.parametrize(
    ("old", "new", "distance"),
    [("a b c", "a b c", 0), ("a b c", "a x c", 1 / 3), ("a b", "a b c d", 0.5), ("", "a", 1), ("", "", 0)],
)
def test_words_changed(old: str, new: str, distance: float) -> None:
    assert word_distance(old, new) == pytest.approx(distance)
