"""`rung train --on NAME` at a provider, against a server on loopback that answers in the provider's published form."""

import importlib.util
import io
import json
import re
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import in_shell
import pytest
from loopback_server import Loopback, serving
from once import once

from curation.store import open_store
from training.remote.providers import LONGEST, PROVIDERS, Provider
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import load_settings

FILE = {"bytes": 1, "created_at": 1, "filename": "x", "FileType": "jsonl", "object": "file", "purpose": "fine-tune"}
DATED = {"user_id": "u", "created_at": "2026-11-29T00:00:00Z", "updated_at": "2026-11-29T00:00:00Z"}


@dataclass
class Cloud:
    """Both providers: jobs that end after `polls` questions, and the faults that a test switches on."""

    server: Loopback
    adapter: Path
    polls: int = 1
    usd: float | None = 1.25
    end: str = "completed"
    slow: float = 0.0
    """Seconds before the next answer; the ones after it come at once."""
    away: int = 0
    """Answers with 503 that come first."""
    refused: str = ""
    link: str | None = None
    """Target of a link that its archives hold."""
    rows: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: int = 0

    def __call__(self, handler, request):
        method, path, headers, body = request
        if "signed" not in path and headers.get("authorization") != "Bearer secret-of-provider":
            return 401, {"error": {"message": f"no key like {headers.get('authorization')}"}}
        if self.slow:
            wait, self.slow = self.slow, 0.0
            time.sleep(wait)
        if self.away:
            self.away -= 1
            return 503, {"error": {"message": "busy"}}, {"retry-after": "0"}
        starts = ("/v1/fine-tunes", f"{A}/supervisedFineTuningJobs")
        if self.refused and method == "POST" and path.partition("?")[0] in starts:
            return 400, {"error": {"message": f"{self.refused} secret-of-provider"}}
        for (verb, pattern), answer in ROUTES.items():
            if method == verb and (found := re.fullmatch(pattern, path.partition("?")[0])):
                return answer(self, body, *found.groups())
        raise AssertionError(request)

    def state(self, name):
        job = self.jobs[name]
        if job.get("cancelled"):
            return "cancelled"
        self.asked += 1
        return self.end if self.asked > self.polls else "running"


def _together_file(cloud: Cloud, body):
    name = re.search(rb'name="checksum"\r\n\r\n(\w+)', body)
    assert name is not None
    place = {"Location": f"{cloud.server.url}/signed/{name[1].decode()}", "X-Together-File-Id": "file-1"}
    return 302, b"", place


def _together_job(cloud: Cloud, _, name):
    job = cloud.jobs[name]
    kind = {"type": "Lora", "lora_r": 4, "lora_alpha": 8}
    known = {"id": name, "user_id": "u", "training_type": kind, "x_model_output_name": None, **job["shown"]}
    return 200, {**known, "status": cloud.state(name), "total_price": int((cloud.usd or 0) * 1e9)}


def _together_start(cloud: Cloud, body):
    name = f"ft-{len(cloud.jobs) + 1}"
    cloud.jobs[name] = {"asked": body, "shown": {"model_output_name": f"me/base-{body['suffix']}-9"}}
    return 200, {"id": name, "status": "pending", **DATED}


def _packed(folder, link=None):
    """The adapter's folder as Together packs it, with a link in it if one is asked for."""
    import zstandard

    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        if link:
            inside = tarfile.TarInfo("adapter/adapter_model.safetensors")
            inside.type, inside.linkname = tarfile.SYMTYPE, link
            tar.addfile(inside)
        tar.add(folder, "adapter")
    return zstandard.compress(made.getvalue())


def _cancel(cloud: Cloud, _, name):
    cloud.jobs[name]["cancelled"] = True
    return 200, {"id": name, "status": "cancelled", **DATED}


def _kept(cloud: Cloud, body, name):
    cloud.rows[name] = body
    return 200, {}


def _dataset(cloud: Cloud, body):
    if body["datasetId"] in cloud.rows:
        return 409, {"error": {"message": "exists"}}
    cloud.rows[body["datasetId"]] = b""
    return 200, body["dataset"]


def _fireworks_start(cloud: Cloud, body):
    name = body["outputModel"].rpartition("/")[2]
    if name in cloud.jobs:
        return 409, {"error": {"message": "exists"}}
    cloud.jobs[name] = {"asked": body}
    return 200, {"name": name, "dataset": body["dataset"], "state": "JOB_STATE_CREATING"}


def _fireworks_job(cloud: Cloud, _, name):
    job, state = cloud.jobs[name], cloud.state(name).upper().replace("ERROR", "FAILED")
    usd = cloud.usd
    cost = usd and {"currencyCode": "USD", "units": str(int(usd)), "nanos": round(usd % 1 * 1e9)}
    known = {"name": name, "dataset": "d", "outputModel": job["asked"]["outputModel"], "estimatedCost": cost}
    return 200, {**known, "state": f"JOB_STATE_{state}", "status": {"code": "OK", "message": ""}}


def _fireworks_files(cloud: Cloud, _, name):
    names = [path.name for path in sorted(cloud.adapter.iterdir()) if path.suffix != ".bin"]
    return 200, {"filenameToSignedUrls": {each: f"{cloud.server.url}/signed/{each}" for each in names}}


A = "/v1/accounts/us"
ROUTES: dict[tuple[str, str], Callable[..., Any]] = {
    ("POST", "/v1/files"): _together_file,
    ("PUT", r"/signed/(\w+)"): _kept,
    ("POST", r"/v1/files/file-1/preprocess"): lambda cloud, _: (200, {"id": "file-1", **FILE}),
    ("POST", "/v1/fine-tunes/estimate-price"): lambda cloud, _: (200, {
        "estimation_available": True, "allowed_to_proceed": True, "estimated_total_price": cloud.usd}),
    ("GET", "/v1/fine-tunes/models/limits"): lambda cloud, _: (200, {
        "model_name": "them/small", "default_gradient_accumulation_steps": 1, "max_num_checkpoints": 10,
        "max_num_epochs": 20, "max_num_evals": 100, "max_learning_rate": 1, "min_learning_rate": 1e-8,
        "max_seq_length_sft": 8192, "max_seq_length_dpo": 8192, "min_max_seq_length": 8, "merge_output_lora": True,
        "supports_vision": False, "supports_tools": True, "supports_reasoning": False, "supports_full_training": False,
        "lora_training": {"max_batch_size": 128, "max_batch_size_dpo": 64, "min_batch_size": 1, "max_rank": 64,
                          "default_rank": 8, "target_modules": ["q_proj"]}}),
    ("GET", "/v1/fine-tunes"): lambda cloud, _: (200, {"data": [
        {"id": name, "status": "running", **DATED, **job["shown"]} for name, job in cloud.jobs.items()]}),
    ("POST", "/v1/fine-tunes"): _together_start,
    ("GET", r"/v1/fine-tunes/(ft-\d+)"): _together_job,
    ("POST", r"/v1/fine-tunes/(ft-\d+)/cancel"): _cancel,
    ("GET", "/v1/finetune/download"): lambda cloud, _: (
        200, _packed(cloud.adapter, cloud.link), {"content-type": "application/octet-stream"}),
    ("POST", f"{A}/datasets"): _dataset,
    ("GET", rf"{A}/datasets/([\w-]+)"): lambda cloud, _, name: (
        200, {"name": name, "state": "READY" if cloud.rows[name] else "UPLOADING"}),
    ("POST", rf"{A}/datasets/([\w-]+):upload"): _kept,
    ("POST", f"{A}/supervisedFineTuningJobs"): _fireworks_start,
    ("GET", f"{A}/supervisedFineTuningJobs"): lambda cloud, _: (200, {"supervisedFineTuningJobs": []}),
    ("GET", rf"{A}/supervisedFineTuningJobs/([\w-]+)"): _fireworks_job,
    ("POST", rf"{A}/supervisedFineTuningJobs/([\w-]+):cancel"): _cancel,
    ("GET", rf"{A}/models/([\w-]+):getDownloadEndpoint"): _fireworks_files,
    ("GET", r"/signed/([\w.]+)"): lambda cloud, _, name: (200, (cloud.adapter / name).read_bytes()),
}  # fmt: skip


@pytest.fixture(scope="session")
def together(tmp_path_factory):
    """A folder with Together's SDK, which holds rich below the version of the terminal program."""
    if importlib.util.find_spec("together"):
        return ""
    folder = once(tmp_path_factory, "together", lambda made: subprocess.run(
        [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(made / "sdk"),
         "together>=3.1", "detect-agent", "filelock"], check=True))  # fmt: skip
    return str(folder / "sdk")


@pytest.fixture(params=["fireworks", pytest.param("together", marks=pytest.mark.slow)])
def provider(request):
    return str(request.param)


@pytest.fixture
def cloud(provider, clinic_lora, loopback: Loopback) -> Cloud:
    found = Cloud(loopback, clinic_lora)
    loopback.say(found)
    return found


@pytest.fixture
def train(provider, cloud: Cloud, ready: Project, tiny, request):
    """`train("--json")`: the command at the provider, in the trusted project, with the tiny model."""
    table = f'[model]\nbase = "{tiny}"\n[remotes.cloud]\nprovider = "{provider}"\nbase = "them/small"\n'
    ready.settings_file.write_text(ready.settings_file.read_text() + table)
    variables = {f"{provider.upper()}_BASE_URL": cloud.server.url, f"{provider.upper()}_API_KEY": "secret-of-provider"}
    variables["FIREWORKS_ACCOUNT_ID"] = "us"
    if provider == "together":
        variables["PYTHONPATH"] = request.getfixturevalue("together")
    in_shell.rung("trust", "--yes", cwd=ready.root)

    def call(*words, command="train", **more) -> subprocess.CompletedProcess[str]:
        return in_shell.rung(command, *words, cwd=ready.root, timeout=300, **{**variables, **more})

    return call


ON = ("--on", "cloud", "--json")


def sent_rows(sent):
    return [json.loads(line) for line in sent.splitlines() if line.startswith('{"messages"')]


def test_a_job_is_sent_followed_and_comes_home_as_a_run_of_these_rows(train, cloud: Cloud, ready: Project, provider):
    done = train(*ON, code=0)
    run = json.loads(done.stdout)
    assert (run["id"], run["plan"], run["method"]) == ("R-001", "P-001", "lora")
    assert run["adopted"]["rows"].startswith("v001") and any(
        "them/small" in each for each in run["adopted"]["unchecked"]
    )
    frozen = [json.loads(line) for line in (ready.datasets / "v001" / "train.jsonl").read_text().splitlines()]
    sent = b"".join(cloud.rows.values()).decode()
    for row in frozen:
        assert json.dumps(row["messages"][-1]["content"])[1:-1] in sent
    for line in (ready.datasets / "v001" / "test.jsonl").read_text().splitlines():
        assert json.loads(line)["messages"][0]["content"] not in sent, "the test set stays"
    weights = [[turn.get("weight") for turn in row["messages"]] for row in sent_rows(sent)]
    alone = {"fireworks": [None] * 3, "together": [0, 0, 1]}[provider]
    assert weights and all(each == alone for each in weights), "only answers train"
    asked = cloud.jobs[next(iter(cloud.jobs))]["asked"]
    rank = asked["loraRank"] if provider == "fireworks" else asked["training_type"]["lora_r"]
    assert rank == 4 and (asked.get("baseModel") or asked["model"]) == "them/small"
    with open_store(ready, load_settings(ready.settings_file)) as store:
        (event,) = store.events(kind="sent", ref="P-001")
    assert event.detail["to"] in cloud.server.url and "train.jsonl" in event.detail["files"], "the log says what left"
    assert "secret-of-provider" not in "".join(p.read_text() for p in (ready.root / "exports").rglob("*.json"))
    again = json.loads(train(*ON).stdout)
    assert again["id"] == "R-001" and len(cloud.jobs) == 1, "the same plan is trained once"
    assert json.loads(train("list", "--json", command="runs").stdout)
    wrong = train("check", "cloud", command="remote", **{f"{provider.upper()}_API_KEY": "wrong-key-entirely"})
    assert wrong.returncode == 1 and "401" in wrong.stderr and "wrong-key-entirely" not in wrong.stderr
    assert train("check", "cloud", command="remote").returncode == 0


def test_what_was_cut_between_two_steps_starts_no_second_job(train, cloud: Cloud, ready: Project):
    assert json.loads(train(*ON, "--detach").stdout)["state"] in ("waiting", "running")
    job = ready.root / "exports" / "P-001-cloud" / "job.json"
    job.write_text(json.dumps(json.loads(job.read_text()) | {"id": ""}))
    whole = job.read_text()
    job.write_text(whole[:40])
    torn = train(*ON)
    assert torn.returncode == 2 and "P-001-cloud" in torn.stderr.splitlines()[-1], "it says which file to move away"
    job.unlink()
    assert json.loads(train(*ON).stdout)["id"] == "R-001"
    assert len(cloud.jobs) == 1


def test_a_provider_that_is_away_for_a_while_is_asked_again(train, cloud: Cloud):
    assert train(*ON, "--detach").returncode == 0
    cloud.away, cloud.slow = 4, 400.0
    done = train(*ON, RUNG_MODEL__TIMEOUT="0.5")
    assert done.returncode == 0 and json.loads(done.stdout)["state"] == "finished", done.stderr


def test_the_provider_says_no_or_the_job_fails(train, cloud: Cloud, ready: Project):
    cloud.refused = "unknown-base"
    done = train(*ON)
    assert done.returncode == 1 and "unknown-base" in done.stderr and "secret-of-provider" not in done.stderr
    cloud.refused, cloud.end = "", "error"
    done = train(*ON)
    assert done.returncode == 2 and not list(ready.runs.glob("R-*"))
    cloud.end, cloud.asked = "completed", 0
    assert json.loads(train(*ON).stdout)["id"] == "R-001" and len(cloud.jobs) == 2, "a failed job is tried again"


@pytest.mark.parametrize("provider", ["fireworks"], indirect=True)
def test_a_job_over_the_stated_price_does_not_run(train, cloud: Cloud, ready: Project):
    """Whenever the provider says the price: only after a while, here."""
    settings = ready.settings_file.read_text()
    ready.settings_file.write_text(settings.replace("them/small", "them/wrong") + "usd_at_most = 1.0\n")
    in_shell.rung("trust", "--yes", cwd=ready.root)
    cloud.usd, cloud.refused, cloud.polls = None, "no such base", 100
    assert train(*ON).returncode == 1
    ready.settings_file.write_text(settings + "usd_at_most = 1.0\n")
    in_shell.rung("trust", "--yes", cwd=ready.root)
    cloud.refused = ""
    assert train(*ON, "--detach").returncode == 0
    assert [job["asked"]["baseModel"] for job in cloud.jobs.values()] == ["them/small"], "what was corrected is asked"
    cloud.usd = 1.25
    assert train(*ON).returncode == 1
    assert all(job.get("cancelled") for job in cloud.jobs.values())


def test_a_job_is_cancelled(train, cloud: Cloud):
    assert train(*ON, "--cancel").returncode == 1, "there is none yet"
    assert train("--on", "clod", "--cancel").returncode == 2, "no such place"
    train(*ON, "--detach")
    done = train(*ON, "--cancel", RUNG_TRAINING__RANK="2")
    assert json.loads(done.stdout)["state"] == "cancelled", "whatever plan rung.toml asks for by now"
    assert [job.get("cancelled") for job in cloud.jobs.values()] == [True]


def test_a_closed_gate_a_sealed_project_and_one_without_trust_send_nothing(train, cloud: Cloud, ready: Project):
    answers = ready.answers_file.read_text()
    ready.answers_file.write_text(answers.replace('privacy = "none"', 'privacy = "no_external_api"'))
    assert train(*ON).returncode == 1
    ready.answers_file.write_text(answers)
    ready.settings_file.write_text(ready.settings_file.read_text().replace("them/small", "them/other"))
    assert train(*ON).returncode == 1, "what was trusted has changed"
    in_shell.rung("trust", "--yes", cwd=ready.root)
    frozen = ready.datasets / "v001" / "train.jsonl"
    frozen.write_text(frozen.read_text() + frozen.read_text().splitlines()[0] + "\n")
    assert train(*ON).returncode == 1
    assert not cloud.rows and not cloud.jobs
    assert not list(ready.plans.glob("*")), "a plan that nothing could come of is not kept"


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["together"], indirect=True)
def test_an_archive_with_a_link_is_refused_before_a_byte_is_written(train, cloud: Cloud, ready: Project):
    cloud.link = "/etc/passwd"
    done = train(*ON)
    assert done.returncode == 1 and not list(ready.root.rglob("adapter_model.safetensors"))
    cloud.link = None
    assert train(*ON).returncode == 0, "the job is still there"


@pytest.fixture
def fireworks(loopback: Loopback, monkeypatch) -> Provider:
    """The provider alone, at a server that says what a test tells it."""
    named = {"BASE_URL": loopback.url, "API_KEY": "secret-of-provider", "ACCOUNT_ID": "us"}
    for name, value in named.items():
        monkeypatch.setenv(f"FIREWORKS_{name}", value)
    return PROVIDERS["fireworks"](60.0)


def test_what_a_provider_says_of_a_job_is_kept_short_and_without_keys(fireworks: Provider, loopback: Loopback):
    for answer in (
        {"state": "JOB_STATE_RUNNING", "status": {"message": "key secret-of-provider is tired " * 1000}},
        {"state": 7, "status": "fine"},
        {"state": "RUNNING", "estimatedCost": {"units": "many"}},
        {"state": "RUNNING", "estimatedCost": "a lot"},
        ["RUNNING"],
    ):
        loopback.script[:] = [(200, answer)]
        try:
            said = fireworks.poll("rung-1").said
        except Refusal as refused:
            said = refused.message
        assert len(said) <= LONGEST and "secret-of-provider" not in said, answer


def test_a_provider_leads_no_row_elsewhere(fireworks: Provider, loopback: Loopback, tmp_path):
    rows = tmp_path / "train.jsonl"
    rows.write_text("{}\n")
    with serving() as other:
        other.say((200, {"state": "READY"}))
        loopback.say((200, {}), (200, {"state": "UPLOADING"}), (307, b"", {"Location": f"{other.url}/taken"}))
        with pytest.raises(Refusal):
            fireworks.upload("rung-1-train", rows, 1)
        assert not other.requests


def test_files_without_end_leave_nothing_and_no_address_is_told(fireworks: Provider, loopback: Loopback, small_disk):
    files = {"filenameToSignedUrls": {"adapter.safetensors": f"{loopback.url}/it?signature=s3cret"}}
    loopback.say((200, {"outputModel": "a/m"}), (200, files), (403, b""))
    with pytest.raises(RungError) as refused:
        fireworks.fetch("rung-1", small_disk)
    assert "403" in refused.value.message and "s3cret" not in refused.value.message
    loopback.script[:] = [(200, {"outputModel": "a/m"}), (200, files), (200, bytes(4 << 20))]
    with pytest.raises(Refusal):
        fireworks.fetch("rung-1", small_disk)
    assert not list(small_disk.iterdir())
