"""Money: the budget, failures, batches that outlive the program, and the command itself, on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from hosted_replies import claude_batch, message
from in_shell import rung
from loopback_server import torn
from scripted import unlike

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


def written(asked: Any, tokens: int = 20) -> dict[str, Any]:
    """A reply of its own to each prompt."""
    text = unlike(json.dumps([asked["messages"], asked.get("system")]))
    return message(text, usage={"input_tokens": 100, "output_tokens": tokens})


def write(handler: Any, request: Any) -> tuple[int, Any]:
    return 200, written(request[3])


@pytest.fixture
def claude(loopback: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Claude]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "test")
    loopback.say(write)

    def make(price: TokenPrice | None = PRICE, workers: int = 2) -> Claude:
        options = CallOptions(Patience(tries=1), timeout=5.0, workers=workers)
        model = Claude("claude-x", base_url=loopback.url, options=options)
        model.price = price
        return model

    return make


@pytest.mark.parametrize("budget", [0.0, 0.0004, 0.002, 0.004, 1.0])
def test_no_run_can_go_over_its_budget(budget: float, reviewed: Store, run: Run, claude: Any, loopback: Any) -> None:
    """The server answers with as many tokens as it may: the worst case."""
    loopback.script[:] = [lambda handler, request: (200, written(request[3], request[3]["max_tokens"]))]
    outcome = run(claude(workers=4), 12, budget_usd=budget)
    assert outcome.cost_usd is not None and outcome.cost_usd <= budget
    assert (outcome.stopped == "budget") == (outcome.asked < 12)
    sent = len(loopback.requests)
    assert outcome.asked == sent and (outcome.asked == 12) == (budget == 1.0)
    with pytest.raises(Refusal, match="claude-x"):
        run(claude(price=None), 12, budget_usd=budget)
    assert len(loopback.requests) == sent, "without a price nothing is sent"


def test_prices_come_from_the_rules_with_their_date() -> None:
    found = price_of("claude-haiku-4-5-20251001")
    assert found is not None and found.output == 5.0 and found.batch == 0.5
    assert "expired" in found.words(date(2099, 1, 1)) and "expired" not in found.words(found.read)
    assert price_of("claude-haiku-4-50") is None and price_of("no-such-model") is None


def test_some_failures_lose_only_themselves_and_a_dead_server_is_not_asked_forever(
    reviewed: Store, run: Run, claude: Any, loopback: Any
) -> None:
    calls = iter(range(99))
    busy = (529, {"error": {"message": "busy"}})
    loopback.script[:] = [lambda handler, request: busy if next(calls) % 3 == 2 else write(handler, request)]
    outcome = run(claude(workers=1), 9)
    assert (outcome.asked, outcome.failed) == (6, {"busy": 3}) and not outcome.stopped
    loopback.script[:] = [write]
    assert run(claude(), 9).asked == 3, "the same command asks only what failed"
    loopback.script[:], before = [(500, {"error": {"message": "down"}})], len(loopback.requests)
    with pytest.raises(ChatError, match="down"):
        run(claude(workers=1), 50)
    assert len(loopback.requests) == before + 5


def test_a_batch_outlives_the_program_and_is_paid_once(
    project: Project, settings: Settings, reviewed: Store, run: Run, claude: Any, loopback: Any
) -> None:
    def go(n: int = 3) -> DraftingResult:
        return generate_batch(Session(project, settings, reviewed, claude(), Wish(n, budget_usd=1.0)))

    loopback.script[:] = [(200, claude_batch(loopback.url, 3, ended=False))]
    assert go().batch == {"id": "batch_1", "state": "sent", "done": 0, "waiting": 3}
    sent = loopback.requests[0][3]["requests"]
    assert len(sent) == 3 and len({entry["custom_id"] for entry in sent}) == 3
    assert go().batch == {"id": "batch_1", "state": "at work", "done": 0, "waiting": 3}
    assert len([r for r in loopback.requests if r[0] == "POST"]) == 1, "nothing was sent a second time"
    side = run(claude(), 3)
    assert side.asked == 0 and "--batch" in side.notes[0], "nor by a run without --batch"
    results = "\n".join(
        json.dumps({"custom_id": e["custom_id"], "result": {"type": "succeeded", "message": written(e["params"])}})
        for e in reversed(sent)
    )
    ended = (200, claude_batch(loopback.url, 3, ended=True))
    loopback.script[:] = [ended, ended, (200, results, {"content-type": "application/x-jsonl"})]
    done = go()
    assert (done.asked, len(done.queued), done.batch) == (3, 3, None)
    assert done.cost_usd == pytest.approx(3 * 200 / 1e6 * 0.5), "at the price of a batch"
    assert sent_batches(ReplyLog(project).batch_folder) == [] and go().asked == 0


def test_a_batch_that_may_have_been_sent_is_not_sent_again(
    project: Project, settings: Settings, reviewed: Store, claude: Any, loopback: Any
) -> None:
    loopback.script[:] = [torn]
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


@pytest.fixture
def command(project: Project, reviewed: Store, claude: Any, loopback: Any) -> Callable[..., Any]:
    """`command(*words)`: `rung data generate` by the model on loopback."""
    return lambda *words: rung(
        "data", "generate", *words, "--provider", "anthropic", "--base-url", loopback.url, cwd=project.root
    )


def test_an_override_is_named_and_logged_before_anything_is_sent(
    command: Any, project: Project, reviewed: Store, loopback: Any
) -> None:
    project.answers_file.write_text('privacy = "no_external_api"\n')
    words = ("--count", "1", "--override", "privacy")
    done = command(*words)
    assert done.returncode == 2 and "--reason" in done.stderr and loopback.requests == []
    done = command(*words, "--by", "mo", "--reason", "public rows")
    assert done.returncode == 0 and "public rows" in done.stderr and len(loopback.requests) == 1
    (event,) = reviewed.events(kind="override")
    assert (event.actor, event.ref, event.detail["reason"]) == ("mo", "privacy", "public rows")


def test_the_command_names_what_it_does_not_know(project: Project, reviewed: Store) -> None:
    for option, word, named in (
        ("--strategy", "parafrase", '"paraphrase"'),
        ("--provider", "antropic", '"anthropic"'),
        ("--provider", "anthropic", "ANTHROPIC_API_KEY"),
    ):
        done = rung("data", "generate", "--count", "1", option, word, cwd=project.root, ANTHROPIC_API_KEY="")
        assert done.returncode == 2 and named in done.stderr


AT_THE_THIRD_REPLY = """
import os, signal, sys
opened = []
def look(event, arguments):
    if event == "open" and str(arguments[0]).endswith("replies.jsonl") and arguments[2] & os.O_APPEND:
        opened.append(arguments[0])
        if len(opened) == 3:
            os.kill(os.getpid(), signal.{signal})
sys.addaudithook(look)
sys.argv[0] = "rung"
from rung.cli import main
main()
"""


@pytest.mark.parametrize("stop", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_stopped_as_a_reply_is_written_keeps_what_came(
    stop: str, command: Any, project: Project, reviewed: Store, loopback: Any
) -> None:
    words = ["data", "generate", "--count", "60", "--provider", "anthropic", "--base-url", loopback.url]
    line = [sys.executable, "-X", "fork", "-c", AT_THE_THIRD_REPLY.replace("{signal}", stop), *words]
    ended = subprocess.run(line, cwd=project.root, env=os.environ, capture_output=True, text=True, timeout=300)
    kept = len(ReplyLog(project).replies)
    if stop == "SIGINT":
        assert ended.returncode == 130 and f"{kept} calls" in ended.stdout and "interrupted" in ended.stdout
        assert 3 <= kept <= 3 + 4, "those under way are kept"
        assert kept == len(loopback.requests)
        assert len(reviewed.rows(role="candidates")) + len(ReplyLog(project).rejected) == kept
        return
    assert kept == 2
    done = command("--count", "12", "--json")
    assert done.returncode == 0 and len(reviewed.rows(role="candidates")) + len(ReplyLog(project).rejected) == 12
    assert json.loads(done.stdout)["notes"], "calls may have been paid that brought nothing"
