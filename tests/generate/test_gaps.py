"""Gaps of the accepted rows, how many drafts close them, and the highest cost of these."""

import json

import pytest

from chat.protocols import Reply
from curation.example import Example, chat_row
from curation.generate.reply_log import ReplyLog, find_gaps
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.store import NewRow
from rung.start import start_project
from workspace.settings import load_settings

COUNTS = {"card": 30, "pin": 6, "loan": 5}


@pytest.fixture
def desk(tmp_path):
    project = start_project(tmp_path).project
    opened = open_desk(project, load_settings(project.settings_file, {}))
    rows = [
        Example(chat_row(f"{label} {n} of {n * 71}", label)) for label, count in COUNTS.items() for n in range(count)
    ]
    opened.store.add(rows, role="pool")
    rulings = [(row.id, Ruling("approve")) for row in opened.store.rows()]
    decide_all(opened, "dana", rulings, kind="person")
    yield opened
    opened.store.close()


def gaps(desk, data=None, action=None, **changed):
    """The gaps where the advice recommends this, and sections of the settings have these values."""
    decision = {"data": data or {}} | ({"action": {"name": action}} if action else {})
    desk.project.decision_file.write_text(json.dumps(decision))
    sections = {name: getattr(desk.settings, name).model_copy(update=values) for name, values in changed.items()}
    return find_gaps(desk.store, desk.project, desk.settings.model_copy(update=sections))


IN_CLASSES, IN_ALL = {"recommended": 20, "per_class": True}, {"recommended": 100, "per_class": False}


def test_classes_below_what_the_advice_recommends_are_the_gaps(desk):
    found = gaps(desk, IN_CLASSES)
    assert (found.missing, found.classes, found.goal_from) == (14 + 15, 2, "the advice")
    assert found.command.split()[2:] == ["generate", "--count", "29", "--strategy", "new_input"]
    assert found.usd == 0.0  # the model is on this machine


def test_without_classes_the_rows_in_all_are_counted(desk):
    found = gaps(desk, IN_ALL)
    assert (found.missing, found.classes, found.command) == (59, 0, "rung data generate --count 59")
    assert gaps(desk) is None and gaps(desk, IN_ALL, "keep") is None, "nobody asks for any"
    found = gaps(desk, IN_ALL, review={"goal": 41})
    assert (found.missing, found.drafts, found.goal_from) == (0, 0, "[review] goal")


def test_a_hosted_model_has_a_price_or_none_is_known(desk):
    dear, cheap, unknown = (
        gaps(desk, IN_ALL, model={"provider": provider, "base": base}).usd
        for provider, base in (
            ("anthropic", "claude-sonnet-4-6"), ("anthropic", "claude-haiku-4-5"), ("openai", "some-model"),
        )
    )  # fmt: skip
    assert dear > cheap > 0 and unknown is None


def test_what_reviewers_reject_asks_for_more_drafts(desk):
    """Half of 20 drafts were kept, so each missing row takes two; what was made before counts into --count."""
    ledger, rows = ReplyLog(desk.project), []
    for n in range(20):
        ledger.keep(f"k{n}", "m", {"strategy": "paraphrase"}, Reply("t", 1, 1, 0.1))
        meta = {"strategy": "paraphrase", "model": "m", "request": f"k{n}"}
        rows.append(NewRow(Example(chat_row(f"draft {n} of {n * 37}", "card")), meta=meta))
    added = desk.store.add(rows, role="candidates", origin="generated")
    rulings = [(name, Ruling("approve") if n % 2 else Ruling("reject", reason="1")) for n, name in enumerate(added.ids)]
    decide_all(desk, "dana", rulings, kind="person")
    found = gaps(desk, IN_ALL)
    assert (found.missing, found.drafts, found.count) == (49, 98, 118)
