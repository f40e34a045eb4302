"""Money: the budget, failures, batches that outlive the program, and the command itself, on loopback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest

from chat.batching import sent_batches
from chat.calls import Patience
from chat.claude import Claude
from chat.hosted import CallOptions
from chat.prices import TokenPrice, price_of
from chat.protocols import ChatError
from curation.generate.reply_log import ReplyLog
from curation.generate.run import DraftingResult, Session, Wish, generate_batch
from curation.store import Store
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings

Run = Callable[..., DraftingResult]
PRICE = TokenPrice(1.0, 5.0, 0.1, 1.25, 0.5, date(2026, 11, 25), date(2027, 5, 25))
WORDS = ("amber", "birch", "cedar", "delta", "ember", "fjord", "grove", "heath", "inlet", "jetty", "kelp", "loam")


def message(text: str, tokens: int = 20) -> dict[str, Any]:
    return {"id": "m", "type": "message", "role": "assistant", "model": "x", "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 100, "output_tokens": tokens}}  # fmt: skip


def write(handler: Any, request: Any) -> tuple[int, Any]:
    """A server that writes a text of its own for every prompt."""
    number = abs(hash(json.dumps(request[3]["messages"]) + json.dumps(request[3].get("system"))))
    return 200, message(" ".join(WORDS[(number // 12**place) % 12] for place in range(9)))


@pytest.fixture
def claude(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Claude]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")

    def make(price: TokenPrice | None = PRICE, workers: int = 2) -> Claude:
        model = Claude(
            "claude-x",
            base_url=loopback.url,
            options=CallOptions(Patience(tries=1), timeout=5.0, workers=workers),
        )
        model.price = price
        return model

    return make


def test_costs_are_counted_by_the_dated_price(reviewed: Store, run: Run, claude: Any, loopback: Any) -> None:
    loopback.say(write)
    outcome = run(claude(), 4)
    assert outcome.cost_usd == pytest.approx(4 * (100 * 1.0 + 20 * 5.0) / 1e6)
    assert reviewed.row(outcome.queued[0]).meta["cost_usd"] == pytest.approx(200 / 1e6)
    assert run(claude(price=None), 5).cost_usd is None


@pytest.mark.parametrize("budget", [0.0, 0.0004, 0.002, 0.004, 1.0])
def test_no_run_can_go_over_its_budget(budget: float, reviewed: Store, run: Run, claude: Any, loopback: Any) -> None:
    """The server answers with as many tokens as it may: the worst case."""
    loopback.say(lambda handler, request: (200, message(write(handler, request)[1]["content"][0]["text"],
                                                        request[3]["max_tokens"])))  # fmt: skip
    outcome = run(claude(workers=4), 12, budget_usd=budget)
    assert outcome.cost_usd is not None and outcome.cost_usd <= budget
    assert (outcome.stopped == "budget") == (outcome.asked < 12)
    assert outcome.asked == len(loopback.requests) and (outcome.asked == 12) == (budget == 1.0)


def test_a_budget_without_a_price_is_refused_before_anything_is_sent(
    reviewed: Store, run: Run, claude: Any, loopback: Any
) -> None:
    with pytest.raises(Refusal, match="claude-x"):
        run(claude(price=None), 3, budget_usd=1.0)
    assert loopback.requests == []


def test_prices_come_from_the_rules_with_their_date() -> None:
    found = price_of("claude-haiku-4-5-20251001")
    assert found is not None and found.output == 5.0 and found.batch == 0.5
    assert "expired" in found.words(date(2099, 1, 1)) and "expired" not in found.words(found.read)
    assert price_of("claude-haiku-4-50") is None and price_of("no-such-model") is None


def test_some_failures_lose_only_themselves(reviewed: Store, run: Run, claude: Any, loopback: Any) -> None:
    calls = iter(range(99))
    loopback.say(lambda h, r: (529, {"error": {"message": "busy"}}) if next(calls) % 3 == 2 else write(h, r))
    outcome = run(claude(workers=1), 9)
    assert (outcome.asked, outcome.failed) == (6, {"busy": 3}) and not outcome.stopped
    loopback.script[:] = [write]
    assert run(claude(), 9).asked == 3, "the same command asks only what failed"


def test_a_dead_server_is_not_asked_forever(reviewed: Store, run: Run, claude: Any, loopback: Any) -> None:
    loopback.say((500, {"error": {"message": "down"}}))
    with pytest.raises(ChatError, match="down"):
        run(claude(workers=1), 50)
    assert len(loopback.requests) == 5


# Batches


def batch_of(status: str, n: int, url: str) -> dict[str, Any]:
    counts = {"processing": n if status != "ended" else 0, "succeeded": n if status == "ended" else 0, "errored": 0,
              "canceled": 0, "expired": 0}  # fmt: skip
    return {"id": "batch_1", "type": "message_batch", "processing_status": status, "request_counts": counts,
            "created_at": "2026-11-25T00:00:00Z", "expires_at": "2026-11-26T00:00:00Z", "ended_at": None,
            "archived_at": None, "cancel_initiated_at": None, "results_url": f"{url}/results"}  # fmt: skip


def test_a_batch_outlives_the_program_and_is_paid_once(
    project: Project, settings: Settings, reviewed: Store, run: Run, claude: Any, loopback: Any
) -> None:
    def go(n: int = 3) -> DraftingResult:
        return generate_batch(Session(project, settings, reviewed, claude(), Wish(n, budget_usd=1.0)))

    loopback.say((200, batch_of("in_progress", 3, loopback.url)))
    assert go().batch == {"id": "batch_1", "state": "sent", "done": 0, "waiting": 3}
    sent = loopback.requests[0][3]["requests"]
    assert len(sent) == 3 and len({entry["custom_id"] for entry in sent}) == 3
    assert go().batch == {"id": "batch_1", "state": "at work", "done": 0, "waiting": 3}
    assert len([r for r in loopback.requests if r[0] == "POST"]) == 1, "nothing was sent a second time"
    side = run(claude(), 3)
    assert side.asked == 0 and "--batch" in side.notes[0], "nor by a run without --batch"
    results = "\n".join(
        json.dumps({"custom_id": entry["custom_id"], "result": {
            "type": "succeeded", "message": write(None, (0, 0, 0, entry["params"]))[1]}})
        for entry in reversed(sent))  # fmt: skip
    ended = batch_of("ended", 3, loopback.url)
    loopback.script[:] = [(200, ended), (200, ended), (200, results, {"content-type": "application/x-jsonl"})]
    done = go()
    assert (done.asked, len(done.queued), done.batch) == (3, 3, None)
    assert done.cost_usd == pytest.approx(3 * 200 / 1e6 * 0.5), "at the price of a batch"
    assert sent_batches(ReplyLog(project).batch_folder) == [] and go().asked == 0


def test_a_batch_that_may_have_been_sent_is_not_sent_again(
    project: Project, settings: Settings, reviewed: Store, claude: Any, loopback: Any, torn: Any
) -> None:
    loopback.say(torn)
    for expected in (ChatError, Refusal, Refusal):
        with pytest.raises(expected):
            generate_batch(Session(project, settings, reviewed, claude(), Wish(2)))
    assert len(loopback.requests) == 1
    loopback.script[:] = [(400, {"error": {"message": "no"}})]
    sent_batches(ReplyLog(project).batch_folder)[0].path.unlink()
    with pytest.raises(ChatError, match="no"):
        generate_batch(Session(project, settings, reviewed, claude(), Wish(2)))
    assert sent_batches(ReplyLog(project).batch_folder) == [], "what the server refused was not sent"


# The command


def command(project: Project, *words: str, **environment: str) -> subprocess.Popen[str]:
    full = {**os.environ, "ANTHROPIC_API_KEY": "test", **environment}
    line = [sys.executable, "-m", "rung", "data", "generate", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, cwd=project.root, env=full, stdout=pipe, stderr=pipe, text=True)


def finished(child: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = child.communicate(timeout=300)
    return child.returncode, out, err


def test_the_command_says_one_json_document(project: Project, reviewed: Store, loopback: Any) -> None:
    loopback.say(write)
    words = ("--count", "3", "--provider", "anthropic", "--base-url", loopback.url, "--json")
    code, out, err = finished(command(project, *words))
    document = json.loads(out)
    assert code == 0 and document["queued"] == 3 and document["yield"][0]["queued"] == 3
    assert loopback.requests[0][3]["model"] == "claude-haiku-4-5" and "price of 20" in err
    assert len(reviewed.rows(role="candidates")) == 3


def test_an_override_is_named_and_logged_before_anything_is_sent(
    project: Project, reviewed: Store, loopback: Any
) -> None:
    project.answers_file.write_text('privacy = "no_external_api"\n')
    loopback.say(write)
    words = ("--count", "1", "--provider", "anthropic", "--base-url", loopback.url, "--override", "privacy")
    code, _, err = finished(command(project, *words))
    assert code == 2 and "--reason" in err and loopback.requests == []
    code, _, err = finished(command(project, *words, "--by", "mo", "--reason", "public rows"))
    assert code == 0 and "public rows" in err and len(loopback.requests) == 1
    (event,) = reviewed.events(kind="override")
    assert (event.actor, event.ref, event.detail["reason"]) == ("mo", "privacy", "public rows")


def test_the_command_names_what_it_does_not_know(project: Project, reviewed: Store) -> None:
    for option, word, named in (
        ("--strategy", "parafrase", '"paraphrase"'),
        ("--provider", "antropic", '"anthropic"'),
        ("--provider", "anthropic", "ANTHROPIC_API_KEY"),
    ):
        code, _, err = finished(command(project, "--count", "1", option, word, ANTHROPIC_API_KEY=""))
        assert code == 2 and named in err


AT_THE_THIRD_REPLY = """
import os, signal, sys
opened = []
def look(event, arguments):
    if event == "open" and str(arguments[0]).endswith("replies.jsonl") and arguments[2] & os.O_APPEND:
        opened.append(arguments[0])
        if len(opened) == 3:
            os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(look)
sys.argv[0] = "rung"
from rung.cli import main
main()
"""


def test_ctrl_c_while_a_reply_is_being_written_loses_none(project: Project, reviewed: Store, loopback: Any) -> None:
    loopback.say(write)
    words = ["data", "generate", "--count", "60", "--provider", "anthropic", "--base-url", loopback.url]
    environment = {**os.environ, "ANTHROPIC_API_KEY": "test"}
    line = [sys.executable, "-X", "fork", "-c", AT_THE_THIRD_REPLY, *words]
    done = subprocess.run(line, cwd=project.root, env=environment, capture_output=True, text=True, timeout=300)
    kept = len(ReplyLog(project).replies)
    assert done.returncode == 130 and f"{kept} calls" in done.stdout and "interrupted" in done.stdout
    assert 3 <= kept <= 3 + 4, "those under way are kept"
    assert kept == len(loopback.requests)
    assert len(reviewed.rows(role="candidates")) + len(ReplyLog(project).rejected) == kept


def test_a_kill_keeps_what_came(project: Project, reviewed: Store, loopback: Any) -> None:
    def slower(handler: Any, request: Any) -> tuple[int, Any]:
        time.sleep(0.15)
        return write(handler, request)

    loopback.say(slower)
    words = ("--count", "60", "--provider", "anthropic", "--base-url", loopback.url)
    child = command(project, *words)
    while len(loopback.requests) < 10 and child.poll() is None:
        time.sleep(0.02)
    child.kill()
    finished(child)
    kept = len(ReplyLog(project).replies)
    assert 1 <= kept < 60
    loopback.script[:] = [write]
    code, out, _ = finished(command(project, "--count", "12", *words[2:], "--json"))
    assert code == 0 and len(reviewed.rows(role="candidates")) + len(ReplyLog(project).rejected) == max(12, kept)
    assert json.loads(out)["notes"], "calls may have been paid that brought nothing"
