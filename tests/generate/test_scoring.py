"""A judge's score: kept with the row, asked once, orders the queue and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from in_process import rung

from chat.scripted import Scripted
from curation.example import Example, chat_row
from curation.generate.scoring import score_rows
from curation.review import Desk, next_item, progress
from curation.review.queue import score_of
from workspace.settings import Settings


def waiting(store: Any, count: int = 5) -> list[str]:
    rows = [Example(chat_row(f"what is number {n} of {n * 7}?", f"answer {n}")) for n in range(count)]
    return list(store.add(rows, role="candidates").ids)


def test_a_score_orders_the_queue_and_nothing_else(project: Any, reviewed: Any) -> None:
    settings = Settings.model_validate({"review": {"order": "uncertainty"}})
    ids = waiting(reviewed)
    desk = Desk(reviewed, project, settings)
    before = progress(desk)
    judge = Scripted(["5", "1", "3", "4", "5"])
    outcome = score_rows(project, settings, reviewed, judge)
    assert outcome.queued == ids and outcome.asked == 5
    assert [score_of(row.meta) for row in reviewed.rows(ids=ids)] == [1.0, 0.0, 0.5, 0.75, 1.0]
    assert progress(desk).states == before.states, "no row is decided, kept or dropped by it"
    asked = [each for ask in judge.asked for each in ask.turns]
    assert "Never guess the side." in asked[0]["content"] and not any("gangrene" in str(turn) for turn in asked)
    item = next_item(desk, "dana").item
    assert item is not None and item.role == "test", "test rows come first all the same"
    given = []
    for _ in range(6):
        item = next_item(desk, "dana", holding=[*given]).item
        assert item is not None
        given.append(item.id)
    assert given[1:] == [ids[2], ids[3], ids[0], ids[1], ids[4]]
    again = score_rows(project, settings, reviewed, judge)
    assert (again.asked, again.reused) == (0, 5), "nothing is asked twice"


def test_a_reply_without_a_digit_is_counted(project: Any, settings: Any, reviewed: Any) -> None:
    waiting(reviewed, 3)

    class Free(Scripted):
        can_choose = False  # type: ignore[assignment]

    outcome = score_rows(project, settings, reviewed, Free(["about 4 of 5", "no idea", "2"]))
    assert outcome.rejected["no digit from 1 to 5"] == 1 and len(outcome.queued) == 2


def test_the_command_keeps_the_budget_and_the_privacy_answer(
    project: Any, reviewed: Any, loopback: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting(reviewed, 4)
    reply = {"id": "m", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn",
             "stop_sequence": None, "content": [{"type": "text", "text": json.dumps({"answer": "4"})}],
             "usage": {"input_tokens": 100, "output_tokens": 5}}  # fmt: skip
    loopback.say((200, reply))
    monkeypatch.chdir(project.root)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")

    def run(*words: str) -> tuple[int, dict[str, Any]]:
        done = rung("review", "score", "--provider", "anthropic", "--base-url", loopback.url, *words, "--json")
        return done.returncode, json.loads(done.stdout)

    code, found = run("--budget-usd", "0.0000001")
    assert code == 0 and found["stopped"] == "budget" and loopback.requests == []
    code, found = run("--count", "2")
    assert code == 0 and (found["scored"], len(loopback.requests)) == (2, 2)
    project.answers_file.write_text('privacy = "no_external_api"\n')
    code, found = run()
    assert code == 1 and "no_external_api" in found["error"]["message"] and len(loopback.requests) == 2
