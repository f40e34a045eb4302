"""The nearest decided rows, and everyone's share: over both stores."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from curation.example import Example, chat_row, edited_text
from curation.review import Desk, Ruling, decide, next_item, undo
from curation.review.people import team
from curation.review.similar import NearestDecided
from curation.store import NewRow

NERVE = "E11.40 - Type 2 diabetes with diabetic neuropathy, unspecified"


def fill(desk: Desk, *pairs: tuple[str, str]) -> None:
    desk.store.add([NewRow(Example(chat_row(*pair)), line=n) for n, pair in enumerate(pairs, 1)], role="pool")


ROWS = (
    ("diabetes with painful neuropathy of both feet", NERVE),
    ("hypertension since last year", "I10"),
    ("old man, numb hands, sugar disease", NERVE),
    ("diabetes with painful neuropathy of one foot", NERVE),
    ("diabetes with neuropathy, seen by mo", NERVE),
    ('he said "ouch" 100%_sure', NERVE + ' "quoted"'),
)


def test_what_an_edit_changes_of_each_kind_of_row() -> None:
    assert edited_text(chat_row("q", "a")) == "a"
    assert edited_text({"prompt": "q", "chosen": "better", "rejected": "worse"}) == "better"
    assert edited_text({"text": "whole"}) == "whole"
    assert edited_text({"messages": [{"role": "user", "content": "q"}]}) == ""


def test_the_nearest_decided_rows_follow_the_log(make_desk: Any, url: str) -> None:
    desk = make_desk(url=url, pool="all", overlap=0)
    fill(desk, *ROWS)
    nearest = NearestDecided(desk)
    item = next_item(desk, "dana", want="r-000001").item
    assert nearest.near(item) == ()
    for name, verdict in (("r-000004", "approve"), ("r-000002", "approve"), ("r-000005", "reject")):
        theirs = next_item(desk, "mo", want=name).item
        decide(desk, name, theirs.token, "mo", Ruling(verdict))
    found = nearest.near(item)
    assert [(row.side.row, row.side.reviewer, row.side.verdict) for row in found] == [
        ("r-000004", "mo", "approved"),
        ("r-000005", "mo", "rejected"),
    ]
    assert found[0].side.answer == NERVE
    assert found[1].side.answer is None
    undo(desk, "r-000004", "mo")
    assert [row.side.row for row in nearest.near(item)] == ["r-000005"]


def test_a_blind_item_has_no_decided_rows_beside_it(make_desk: Any) -> None:
    desk = make_desk(pool="all", overlap=1)
    fill(desk, *ROWS)
    for name in ("mo", "priya"):
        item = next_item(desk, name, want="r-000004").item
        decide(desk, item.id, item.token, name, Ruling("approve"))
    item = next_item(desk, "dana", want="r-000001").item
    assert item.blind
    assert NearestDecided(desk).near(item) == ()


def test_everyone_has_a_share_that_undo_takes_back(make_desk: Any, url: str) -> None:
    desk = make_desk(url=url, pool="all", overlap=0)
    fill(desk, *ROWS)
    for name, verdict in (("dana", "approve"), ("dana", "reject"), ("mo", "skip"), ("mo", "approve")):
        item = next_item(desk, name).item
        decide(desk, item.id, item.token, name, Ruling(verdict))
    since = datetime.now(UTC) - timedelta(hours=1)
    assert [(share.name, share.decided, share.today) for share in team(desk, since)] == [("dana", 2, 2), ("mo", 1, 1)]
    assert [share.today for share in team(desk, since + timedelta(hours=2))] == [0, 0]
    undo(desk, "r-000002", "dana")
    assert [(share.name, share.decided) for share in team(desk, since)] == [("dana", 1), ("mo", 1)]
