"""What helps an edit: labels in use, the same repair on similar rows, the nearest decided rows; everyone's share."""

from datetime import UTC, datetime, timedelta

import pytest
from deciding import settle
from hypothesis import given
from hypothesis import strategies as some

from curation.example import Example, chat_row
from curation.review import Desk, known_reviewer, next_item, undo
from curation.review.item import answers_in_use
from curation.review.people import team
from curation.review.rows import NearestDecided, last_repair, repair_of, repaired, similar_rows
from curation.store import NewRow, open_store
from workspace.folder import Project
from workspace.settings import Settings

LABELS = [f"label {n}" for n in range(12)]
OWN = [f"its own answer {n}" for n in range(60)]


@pytest.mark.parametrize(
    ("answers", "offered"),
    [
        (LABELS * 50 + ["labl 0"], LABELS),
        (LABELS * 50 + [f"labl {n}" for n in range(30)], LABELS),
        (["b"] * 4 + ["a"] * 9, ["a", "b"]),
        (OWN + ["yes"] * 9 + ["no"] * 9, []),
    ],
    ids=["a slip", "many slips", "the most frequent first", "no labels"],
)
def test_labels(tmp_path, answers, offered):
    with open_store(Project(tmp_path), Settings()) as store:
        store.add([Example(chat_row(f"question {n}", answer)) for n, answer in enumerate(answers)], role="pool")
        assert list(answers_in_use(store)) == offered


NERVE = "E11.40 - Type 2 diabetes with diabetic neuropathy, unspecified"
POLY = "E11.42 - Type 2 diabetes with diabetic polyneuropathy"


@pytest.mark.parametrize(
    ("before", "after", "answer", "expected"),
    [
        (NERVE, POLY, f"{NERVE} (left foot)".replace("2", "1"), f"{POLY} (left foot)".replace("2 d", "1 d")),
        (NERVE, POLY, "I10 - Hypertension", None),
        (NERVE, POLY, POLY, None),
        ("C4", "C5", "C4", "C5"),
        ("C4", "C5", "C44", None),  # an answer replaced as a whole fits the same answer only
        ("Yes", "Yes, in both eyes", "Yes", "Yes, in both eyes"),
        ("an acuity of 20/40", "an acuity of 0.5", "he has an acuity of 20/40", "he has an acuity of 0.5"),
        ("see: the note", "see the note", "please see: it", "please see it"),
        ("one two", "one two three", "nine two four", "nine two three four"),
        ("one two", "one two three", "nine two three", None),  # it is repaired already
        ("one two", "zero one two", "one more", "zero one more"),
        ("dose 10 mg daily", "dose 20 mg daily", "dose\n10 mg weekly", "dose\n20 mg weekly"),
        ("", "a", "b", None),
    ],
)
def test_where_a_repair_fits(before: str, after: str, answer: str, expected: str | None):
    repair = repair_of("r-000001", "", before, after)
    made = repaired(repair, answer) if repair else None
    assert made == expected


@given(some.text("ab ,.\n", max_size=30), some.text("ab ,.\n", max_size=30))
def test_a_repair_does_to_its_own_row_what_the_edit_did(before: str, after: str):
    repair = repair_of("r-000001", "", before, after)
    if before.strip() == after.strip() or not before.strip():
        assert repair is None
    else:
        assert repair is not None
        assert repaired(repair, before) == after.strip()
        assert all(any(not part.isspace() for part in change.old) for change in repair.changes)


ROWS = (
    ("diabetes with painful neuropathy of both feet", NERVE),
    ("hypertension since last year", "I10"),
    ("old man, numb hands, sugar disease", NERVE),
    ("diabetes with painful neuropathy of one foot", NERVE),
    ("diabetes with neuropathy, seen by mo", NERVE),
    ('he said "ouch" 100%_sure', NERVE + ' "quoted"'),
)


@pytest.fixture
def desk(make_desk, url: str) -> Desk:
    made = make_desk(url=url, pool="all", overlap=0)
    made.store.add([NewRow(Example(chat_row(*pair)), line=n) for n, pair in enumerate(ROWS, 1)], role="pool")
    return made


def test_open_rows_that_the_repair_fits_the_nearest_first(desk):
    dana = known_reviewer(desk.store, "dana")
    assert last_repair(desk, dana) is None
    first = settle(desk, "dana", "edit", text=POLY)
    held = next_item(desk, "mo", want="r-000005").item
    assert next_item(desk, "dana", want="r-000003").item  # what the person holds already is among them
    repair = last_repair(desk, dana)
    found = similar_rows(desk, dana, repair)
    assert found[0] == "r-000004" and set(found) == {"r-000003", "r-000004", "r-000006"}  # mo holds 5, 2 is another
    assert repaired(repair, ROWS[-1][1]) == POLY + ' "quoted"'
    assert {row.state for row in desk.store.rows(ids=["r-000003", "r-000004"])} == {"leased", "pending"}
    undo(desk, first.id, "dana")
    assert last_repair(desk, dana) is None
    assert held.id == "r-000005"


def test_the_nearest_decided_rows_follow_the_log(desk):
    nearest = NearestDecided(desk)
    item = next_item(desk, "dana", want="r-000001").item
    assert nearest.near(item) == ()
    for name, verdict in (("r-000004", "approve"), ("r-000002", "approve"), ("r-000005", "reject")):
        settle(desk, "mo", verdict, want=name)
    found = nearest.near(item)
    assert [(row.row, row.reviewer, row.verdict) for row in found] == [
        ("r-000004", "mo", "approved"),
        ("r-000005", "mo", "rejected"),
    ]
    assert found[0].answer == NERVE
    assert found[1].answer is None
    undo(desk, "r-000004", "mo")
    assert [row.row for row in nearest.near(item)] == ["r-000005"]


def test_everyone_has_a_share_that_undo_takes_back(desk):
    for name, verdict in (("dana", "approve"), ("dana", "reject"), ("mo", "skip"), ("mo", "approve")):
        settle(desk, name, verdict)
    since = datetime.now(UTC) - timedelta(hours=1)
    assert [(share.name, share.decided, share.today) for share in team(desk, since)] == [("dana", 2, 2), ("mo", 1, 1)]
    assert [share.today for share in team(desk, since + timedelta(hours=2))] == [0, 0]
    undo(desk, "r-000002", "dana")
    assert [(share.name, share.decided) for share in team(desk, since)] == [("dana", 1), ("mo", 1)]
