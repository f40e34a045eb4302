"""`rung baseline --batch`: the ladder by OpenAI's batches, on loopback, paid once whatever happens."""

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
from hosted_replies import completion
from hosted_service import PRICES, Service
from runs_by_hand import finish_run

from chat.protocols import Ask


@dataclass
class Batches:
    """Batches over a service; a batch ends after `looks` looks at it."""

    service: Any
    looks: int = 0
    sent: dict[str, list[Any]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)

    def __call__(self, handler, request):
        method, path, _, body = request
        if path == "/v1/files":
            self.sent["file"] = [json.loads(line) for line in re.findall(rb'^\{"custom_id.*$', body, re.MULTILINE)]
            return 200, {"id": "file", "object": "file"}
        if method == "POST" and path.endswith("/batches"):
            name = f"batch_{len(self.seen)}"
            self.sent[name], self.seen[name] = self.sent["file"], 0
            return 200, self._state(name)
        if path.endswith("/content"):
            name = path.split("/")[-2]
            return 200, "\n".join(map(json.dumps, self._results(name))), {"content-type": "application/x-jsonl"}
        if "/batches/" in path:
            return 200, self._state(path.split("/")[-1])
        return self.service(handler, request)

    def _state(self, name):
        ended, n = self.seen[name] > self.looks, len(self.sent[name])
        self.seen[name] += 1
        return {"id": name, "object": "batch", "status": "completed" if ended else "in_progress",
                "endpoint": "/v1/chat/completions", "input_file_id": "file", "completion_window": "24h",
                "created_at": 1, "output_file_id": name if ended else None,
                "request_counts": {"total": n, "completed": n * ended, "failed": 0}}  # fmt: skip

    def _results(self, name):
        found = []
        for entry in self.sent[name]:
            _, said = self.service(None, ("POST", "/v1/chat/completions", {}, entry["body"]))
            result = {"response": {"status_code": 200, "body": said}, "error": None}
            found.append({"custom_id": entry["custom_id"], **result})
        return found


@pytest.fixture
def batches(project, loopback, kit) -> Batches:
    made = Batches(Service(kit.right, tuple(kit.LABELS.values())))
    loopback.say(made)
    kit.on_server(project, loopback.url, 'closed_set = "on"\nfew_shot = 3', base="small")
    (project.root / "rules").mkdir()
    (project.root / "rules" / "prices.toml").write_text(PRICES)
    return made


def rung(project, *words) -> subprocess.CompletedProcess[str]:
    return in_shell.rung(*words, cwd=project.root, timeout=120, OPENAI_API_KEY="none")


def report(project, *words):
    done = rung(project, "baseline", "--arms", "base,prompt", "--json", *words)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_a_batch_gives_the_scores_of_single_calls_at_its_own_price(project, batches: Batches):
    made = report(project, "--batch")
    in_batch = sum(map(len, (entries for name, entries in batches.sent.items() if name != "file")))
    assert batches.service.calls == batches.service.answered and in_batch == batches.service.calls - 1
    assert batches.service.usd(0) / 2 < sum(r["cost_usd"] for r in kept(project)) < batches.service.usd(0) * 0.55
    again = report(project)
    assert batches.service.calls == in_batch + 1, "single calls find what batches answered"
    assert [arm["score"] for arm in again["arms"]] == [arm["score"] for arm in made["arms"]]
    assert not list((project.evaluations / ".partial" / "batches").iterdir())


def kept(project):
    lines = (project.evaluations / ".partial" / "replies.jsonl").read_text().splitlines()
    return [json.loads(line)["reply"] for line in lines]


def test_stopped_while_it_waits_the_same_command_fetches_the_batch(project, batches: Batches):
    batches.looks = 10**6
    line = [sys.executable, "-m", "rung", "baseline", "--arms", "base", "--batch"]
    child = subprocess.Popen(line, cwd=project.root, stderr=subprocess.PIPE, text=True)
    while len(batches.seen) < 1 or next(iter(batches.seen.values())) < 2:
        assert child.poll() is None
        time.sleep(0.05)
    child.send_signal(signal.SIGINT)
    assert child.wait(timeout=60) == 130
    batches.looks = 0
    report(project, "--batch")
    served = batches.service.served
    assert served and batches.service.calls == batches.service.answered
    sent = [entry["custom_id"] for name, entries in batches.sent.items() if name != "file" for entry in entries]
    assert len(sent) == len(set(sent)), "nothing is sent twice"


def test_what_takes_no_batches_says_so(project):
    done = rung(project, "baseline", "--batch", "--budget-usd", "1")
    assert done.returncode == 2 and "--budget-usd" in done.stderr


def test_a_served_run_and_the_judge_are_asked_by_batches_too(project, loopback, kit):
    says = {"small": kit.reply, "clinic": kit.perfect, "judge-1": lambda _: "YES"}
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
        batches.sent.clear()
        done = rung(project, *words)
        assert done.returncode == 0, done.stderr
        return [entry["body"]["model"] for name, found in batches.sent.items() if name != "file" for entry in found]

    assert set(asked("baseline", "--arms", "base,prompt", "--batch")) == {"small"}
    assert set(asked("evaluate", "R-001", "--served", "clinic", "--batch")) == {"clinic"} and alone == ["clinic"]
    assert set(asked("judge", "R-001", "--batch")) == {"judge-1"} and alone == ["judge-1"]
    assert asked("judge", "R-001") == [] and alone == [], "single calls find what batches answered"
