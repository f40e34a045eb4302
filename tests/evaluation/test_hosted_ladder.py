"""A ladder on a hosted model that behaves as real services do: limits, refusals, odd answers, prices.

And by OpenAI's batches (`rung baseline --batch`), paid once whatever happens.
"""

import json
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import in_shell
import pytest
from bank import LABELS, PLACES, on_server, perfect, reply, right
from forks import REAL
from hosted_replies import completion
from hosted_service import PRICES, Service
from runs_by_hand import finish_run

from chat.compatible import Compatible
from chat.hosted import CallOptions
from chat.protocols import Ask
from curation.split.manifest import load_split
from evaluation.ladder_plan import CallCount, LadderPlan
from rung.text.baseline_text import plan_lines


@pytest.fixture
def service(loopback) -> Service:
    made = Service(right, tuple(LABELS.values()))
    loopback.say(made)
    return made


EVALUATION = 'closed_set = "on"\nfew_shot = 3'


@pytest.fixture
def hosted(project, loopback):
    """The project with its arms on the service."""
    on_server(project, loopback.url, EVALUATION, "small")
    return project


def rung(project, *words, **variables) -> subprocess.CompletedProcess[str]:
    return in_shell.rung(*words, cwd=project.root, timeout=120, **variables)


def measured(project, arms="base", *more):
    """The report of `rung baseline` and its outcomes."""
    done = rung(project, "baseline", "--arms", arms, "--json", *more, code=0)
    folder = project.root / json.loads(done.stdout)["folder"]
    outcomes = [json.loads(line) for line in (folder / "outputs.jsonl").read_text().splitlines()]
    return json.loads((folder / "report.json").read_text()), outcomes


def answered(service: Service, loopback, *, calls=36, **options):
    """Return the ladder client's answers to this many questions, several at once."""
    client = Compatible("small", base_url=f"{loopback.url}/v1", options=CallOptions(**options))
    asks = [Ask(({"role": "user", "content": f"card {n}"},), 8) for n in range(calls)]
    return [reply.text for reply in client.answer(asks)]


def test_a_stated_pace_is_kept(service: Service, loopback):
    service.limit = 24
    assert len(answered(service, loopback, requests_per_minute=1200, workers=8)) == 36
    assert service.turned_away == 0


def test_a_server_that_tells_probabilities_gives_its_arms_a_threshold(hosted, service: Service):
    """It knows the cards, and is not sure of the others."""
    service.skill = 1.0
    service.right = lambda question: "card"  # what it says; right for a third
    service.sure = lambda question: 0.95 if question.startswith("card") else 0.4
    arm = measured(hosted)[0]["arms"][0]
    point = arm["abstention"]["point"]
    assert (point["precision"], point["threshold"]) == (1.0, pytest.approx(0.95))
    assert point["coverage"] == pytest.approx(arm["score"])
    assert arm["extra"]["confidence"] == pytest.approx(0.95 * arm["score"] + 0.4 * (1 - arm["score"]))


def test_parameters_that_the_model_refuses_are_left_out_by_all_workers(hosted, service: Service):
    service.rejects = ("response_format", "temperature", "seed", "max_tokens", "logprobs")
    report, _ = measured(hosted)
    asked = [row.question for row in load_split(hosted.datasets / "v001", "test")]
    known = sum(service.label("small", question) == right(question) for question in asked)
    assert report["arms"][0]["score"] == pytest.approx(known / len(asked))
    assert all(any(name in note for note in report["notes"]) for name in service.rejects)
    assert service.calls - service.answered <= 4 * len(service.rejects), "one refusal a worker at most"


def test_free_parameters_are_sent_tell_answers_apart_and_are_not_left_out(hosted, service: Service, loopback):
    on_server(hosted, loopback.url, EVALUATION, "small", "parameters = { top_k = 3 }\n")
    service.rejects = ("top_k",)
    assert "top_k" in rung(hosted, "baseline", "--arms", "base", code=2).stderr
    on_server(hosted, loopback.url, EVALUATION, "small")
    measured(hosted)
    before = service.answered
    on_server(hosted, loopback.url, EVALUATION, "small", 'parameters = { top_p = 0.9, reasoning_effort = "low" }\n')
    measured(hosted)
    assert service.answered == 2 * before
    assert (loopback.requests[-1][3]["top_p"], loopback.requests[-1][3]["reasoning_effort"]) == (0.9, "low")


def test_an_item_that_is_always_refused_counts_as_a_failure_and_all_items_end_the_command(hosted, service: Service):
    service.filtered = lambda question: True
    assert "filtered" in rung(hosted, "baseline", "--arms", "base", code=2).stderr and service.calls < 20
    service.filtered = lambda question: question.endswith(f"{PLACES[5]} today") and question.startswith("card")
    report, outcomes = measured(hosted)
    (lost,) = [o for o in outcomes if o["split"] == "test" and o["stopped"] == "refused"]
    assert lost["score"] == 0.0 and "filtered" in lost["why"]
    assert report["arms"][0]["failures"] == 1 and not report["arms"][0]["unmeasured"]


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "upstream overloaded", "code": 503}},
        {"id": "1", "object": "chat.completion", "choices": [], "error": {"message": "slow down", "code": 429}},
    ],
    ids=["alone", "beside no choices"],
)
def test_an_error_inside_a_200_is_tried_again(service: Service, loopback, body):
    service.fails = lambda call: (200, body) if call % 7 == 0 else None
    assert len(answered(service, loopback, calls=12)) == service.answered == 12


def spent(project):
    """Return the cost of the kept replies."""
    kept = (project.evaluations / ".partial" / "replies.jsonl").read_text().splitlines()
    return sum(json.loads(line)["reply"]["cost_usd"] for line in kept)


@pytest.fixture
def priced(hosted):
    (hosted.root / "rules").mkdir()
    (hosted.root / "rules" / "prices.toml").write_text(PRICES)
    return hosted


def test_what_was_paid_is_counted_by_the_projects_own_price(priced, service: Service):
    """Answers outside the set are paid too; each is measured, and scores nothing."""
    service.cached, service.prose = 0.5, True
    report, outcomes = measured(priced)
    held = [o for o in outcomes if o["form"] == "held"]
    assert held and all(o["score"] == 0.0 and o["stopped"] == "outside" for o in held)
    assert spent(priced) == pytest.approx(service.usd(cached_price=0.25)) and service.usd(0.25) > 0
    assert report["arms"][0]["cost_usd"] > 0
    assert 0 < report["arms"][0]["cached_tokens"] < report["arms"][0]["input_tokens"]


def test_a_ladder_without_a_price_of_its_own_costs_one_figure():
    (line,) = plan_lines(LadderPlan(CallCount(2), CallCount(9)))
    assert line.count("$") == 1


def planned(project, arms):
    return dict(json.loads(rung(project, "baseline", "--arms", arms, "--dry-run", "--json", code=0).stdout))


def holds(plan, *services: Service, figures=()):
    """Check that the services' counts are within 20% of the plan's span, and of its middle for these `figures`."""
    real = {
        "calls": sum(each.answered for each in services),
        "input_tokens": sum(each.tokens[0] + each.tokens[1] for each in services),
        "output_tokens": sum(each.tokens[2] for each in services),
        "usd": sum(each.usd(0.25) for each in services),
    }
    for name, figure in real.items():
        low, high = plan[name]
        if name in figures:
            low = high = (low + high) / 2
        assert 0.8 * low <= figure <= 1.2 * high, (name, plan[name], figure)


@pytest.mark.parametrize("closed", ["on", "off"])
def test_the_plan_counts_a_judges_verdicts(priced, service: Service, loopback, closed):
    """Free answers of two arms are two texts; those of a closed set are often one."""
    judge = Service(lambda question: "YES", ("YES", "NO"))

    def answers(handler, asked):
        if asked[3]["model"] == "judge":
            return judge(handler, asked)
        status, body = service(handler, asked)
        if closed == "off":
            body["choices"][0]["message"]["content"] += f" {len(str(asked[3]['messages']))}"
            service.tokens[2] += 1
        return status, body

    loopback.script[:] = [answers]
    (priced.root / "judge.md").write_text("The answer names the team.\n")
    grader = f'[judge]\nprovider = "openai"\nbase = "judge"\nbase_url = "{loopback.url}/v1"\n'
    evaluation = f'closed_set = "{closed}"\nfew_shot = 3\nmetric = "judge"\n{grader}'
    on_server(priced, loopback.url, evaluation, "small")
    with (priced.root / "rules" / "prices.toml").open("a") as file:
        file.write(PRICES.replace("small", "judge"))
    before = {path: path.stat().st_mtime_ns for path in priced.root.rglob("*")}
    plan = planned(priced, "base,prompt,few_shot")
    assert service.calls == judge.calls == 0 and plan["left_out"] == ["thinking"]
    assert before == {path: path.stat().st_mtime_ns for path in priced.root.rglob("*")}
    measured(priced, "base,prompt,few_shot")
    assert judge.answered
    holds(plan, service, judge, figures=("calls", "input_tokens", "usd") if closed == "off" else ())
    assert planned(priced, "base,prompt,few_shot")["calls"] == [0, 0]


def test_the_plan_counts_the_search_for_a_better_prompt(priced, service: Service, loopback):
    """Also where nothing can be better: each rewrite is tried all the same."""
    service.skill = 1.0

    def answers(handler, asked):
        if "```" not in asked[3]["messages"][-1]["content"]:
            return service(handler, asked)
        text = asked[3]["messages"][-1]["content"]
        words = int(text.partition("at most\n")[2].split()[0]) * 3 // 4
        rewritten = f"Say card, transfer or pin, by the first word. Version {len(text)}. " + "Hurry " * (words - 11)
        used = {"prompt_tokens": len(text) // 4, "completion_tokens": len(rewritten) // 4, "total_tokens": 0}
        service.served[text] = 1
        service.tokens[0] += used["prompt_tokens"]
        service.tokens[2] += used["completion_tokens"]
        return 200, {**completion(f"```\n{rewritten}\n```"), "usage": used}

    loopback.script[:] = [answers]
    plan = planned(priced, "base,prompt,optimised")
    assert service.calls == 0 and not list(priced.prompts.glob("optimised*"))
    measured(priced, "base,prompt,optimised")
    holds(plan, service, figures=("calls", "input_tokens", "output_tokens", "usd"))
    assert list(priced.prompts.glob("optimised.1.md"))


def test_the_plan_counts_thinking_once_it_was_seen(priced, service: Service):
    service.thinks = 300
    measured(priced)
    plan = planned(priced, "base,prompt,few_shot")
    assert plan["left_out"] == []
    service.calls, service.served, service.tokens = 0, {}, [0, 0, 0]
    measured(priced, "base,prompt,few_shot")
    holds(plan, service)


def stopped(project, service: Service, sent: signal.Signals, *, after, pause):
    """How a real start of `rung baseline` ends that gets this signal after so many answers of a slow service."""
    service.fails = lambda call: time.sleep(pause)
    command = [REAL, "-P", "-m", "rung", "baseline", "--arms", "base"]
    child = subprocess.Popen(command, cwd=project.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while service.answered < after and child.poll() is None:
        time.sleep(0.01)
    child.send_signal(sent)
    return child.wait(60)


def test_an_interrupt_waits_for_what_is_under_way(priced, service: Service):
    assert stopped(priced, service, signal.SIGINT, after=6, pause=0.3) == 130
    assert spent(priced) == pytest.approx(service.usd(0.25))


def test_after_a_kill_every_call_of_the_service_is_kept_or_named(priced, service: Service):
    assert stopped(priced, service, signal.SIGKILL, after=20, pause=0.05) == -signal.SIGKILL
    time.sleep(0.3)
    service.fails = lambda call: None
    partial = priced.evaluations / ".partial"
    kept, sent = (len((partial / name).read_text().splitlines()) for name in ("replies.jsonl", "sent.jsonl"))
    assert kept <= service.answered <= sent and 1 <= sent - kept <= 4
    lost = service.answered - kept

    def named(arms):
        return any(note.split()[0] == str(sent - kept) for note in measured(priced, arms)[0]["notes"])

    assert named("base")
    after = len((partial / "replies.jsonl").read_text().splitlines())
    assert service.answered == after + lost, "nothing else is paid twice"
    assert named("base"), "a rerun does not forget them"
    assert not named("few_shot"), "other calls are another report's"


def test_a_model_without_a_price_is_named_before_the_first_call(hosted, service: Service, loopback):
    hosted.settings_file.write_text(
        f'[model]\nprovider = "anthropic"\nbase = "small"\nbase_url = "{loopback.url}"\n'
        '[evaluation]\nclosed_set = "off"\n'
    )
    rung(hosted, "trust", "--yes", code=0)
    service.fails = lambda call: (401, {"error": {"message": "no"}})
    done = rung(hosted, "baseline", "--arms", "base")
    assert "[[api]]" in done.stderr and done.stderr.index("[[api]]") < done.stderr.index("401")


@dataclass
class Batches:
    """Batches over a service, one a file, with its name; a batch ends after `looks` looks at it."""

    service: Any
    looks: int = 0
    sent: list[list[Any]] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    def __call__(self, handler, request):
        method, path, _, body = request
        if path == "/v1/files":
            self.sent.append([json.loads(line) for line in re.findall(rb'^\{"custom_id.*$', body, re.MULTILINE)])
            self.seen.append(0)
            return 200, {"id": f"{len(self.sent) - 1}", "object": "file"}
        if path.endswith("/content"):
            made = map(self._result, self.sent[int(path.split("/")[-2])])
            return 200, "\n".join(map(json.dumps, made)), {"content-type": "application/x-jsonl"}
        if "/batches" in path:
            return 200, self._state(body["input_file_id"] if method == "POST" else path.split("/")[-1])
        return self.service(handler, request)

    def _state(self, name):
        ended, n = self.seen[int(name)] > self.looks, len(self.sent[int(name)])
        self.seen[int(name)] += 1
        return {"id": name, "object": "batch", "status": "completed" if ended else "in_progress",
                "endpoint": "/v1/chat/completions", "input_file_id": name, "completion_window": "24h",
                "created_at": 1, "output_file_id": name if ended else None,
                "request_counts": {"total": n, "completed": n * ended, "failed": 0}}  # fmt: skip

    def _result(self, entry):
        _, said = self.service(None, ("POST", "/v1/chat/completions", {}, entry["body"]))
        return {"custom_id": entry["custom_id"], "response": {"status_code": 200, "body": said}, "error": None}


@pytest.fixture
def batches(priced, service: Service, loopback) -> Batches:
    made = Batches(service)
    loopback.script[:] = [made]
    return made


def test_a_batch_gives_the_scores_of_single_calls_at_its_own_price(priced, service: Service, batches, loopback):
    on_server(priced, loopback.url, EVALUATION, "small", "parameters = { top_p = 0.9 }\n")
    made, _ = measured(priced, "base,prompt", "--batch")
    in_batch = sum(map(len, batches.sent))
    assert all(entry["body"]["top_p"] == 0.9 for entries in batches.sent for entry in entries)
    assert service.calls == service.answered and in_batch == service.calls - 1
    assert service.usd(0) / 2 < spent(priced) < service.usd(0) * 0.55
    again, _ = measured(priced, "base,prompt")
    assert service.calls == in_batch + 1, "single calls find what batches answered"
    assert [arm["score"] for arm in again["arms"]] == [arm["score"] for arm in made["arms"]]
    assert not list((priced.evaluations / ".partial" / "batches").iterdir())


def test_stopped_while_it_waits_the_same_command_fetches_the_batch(priced, service: Service, batches: Batches):
    batches.looks = 10**6
    line = [sys.executable, "-m", "rung", "baseline", "--arms", "base", "--batch"]
    child = subprocess.Popen(line, cwd=priced.root, stderr=subprocess.PIPE, text=True)
    while not batches.seen or batches.seen[0] < 2:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    batches.looks = 0
    measured(priced, "base,prompt", "--batch")
    assert service.served and service.calls == service.answered
    sent = [entry["custom_id"] for entries in batches.sent for entry in entries]
    assert len(sent) == len(set(sent)), "nothing is sent twice"


def test_what_takes_no_batches_says_so(project):
    assert "--budget-usd" in rung(project, "baseline", "--batch", "--budget-usd", "1", code=2).stderr


def test_a_served_run_and_the_judge_are_asked_by_batches_too(project, loopback):
    says = {"small": reply, "clinic": perfect, "judge-1": lambda _: "YES"}
    alone = []

    def answers(handler, request):
        method, _, _, body = request
        if method == "GET":
            listed = [{"id": n, "object": "model", "created": 1, "owned_by": "us", "parent": "small"} for n in says]
            return 200, {"object": "list", "data": listed}
        alone.extend([body["model"]] * (handler is not None))
        return 200, completion(says[body["model"]](Ask(tuple(body["messages"]))))

    batches = Batches(answers)
    loopback.say(batches)
    place = f'provider = "openai"\nbase_url = "{loopback.url}/v1"\n'
    project.settings_file.write_text(
        f'[model]\n{place}base = "small"\n[judge]\n{place}base = "judge-1"\n[evaluation]\nclosed_set = "off"\n'
    )
    (project.root / "judge.md").write_text("The answer names the team.\n")
    finish_run(project, "R-001")

    def asked(*words):
        alone.clear()
        before = len(batches.sent)
        rung(project, *words, code=0)
        return [entry["body"]["model"] for entries in batches.sent[before:] for entry in entries]

    assert set(asked("baseline", "--arms", "base,prompt", "--batch")) == {"small"}
    assert set(asked("evaluate", "R-001", "--served", "clinic", "--batch")) == {"clinic"} and alone == ["clinic"]
    assert set(asked("judge", "R-001", "--batch")) == {"judge-1"} and alone == ["judge-1"]
    assert asked("judge", "R-001") == [] and alone == [], "single calls find what batches answered"
