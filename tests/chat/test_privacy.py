"""Privacy: data that may leave the machine, with a real client and a real server on loopback as the remote one."""

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from hosted_replies import HELLO, message

from chat.batching import Batches, in_batches
from chat.open import open_model
from chat.privacy import Guard, SentCalls, is_own, privacy_answers, project_guard, trains
from workspace.errors import Refusal, RungError
from workspace.folder import Project
from workspace.settings import ModelSettings, PrivacySettings, Settings
from workspace.shipped_rules import rule_file
from workspace.trust import is_this_machine


@pytest.fixture
def project(tmp_path, keys) -> Project:
    return Project(tmp_path)


def claude(url="") -> ModelSettings:
    return ModelSettings(base="claude-x", provider="anthropic", base_url=url)


def test_what_came_before_the_mind_changed_is_kept(project: Project, loopback):
    loopback.say((200, message()))
    model = open_model(claude(loopback.url), guard=project_guard(project, Settings()))
    came = []
    with pytest.raises(Refusal):
        for number, reply in model.stream([HELLO] * 9):  # type: ignore[attr-defined]
            came.append((number, reply))
            project.answers_file.write_text('privacy = "no_external_api"\n')
    assert len(came) == len(loopback.requests), "every paid reply was handed over before the refusal"


def test_no_batch_is_sent_after_the_mind_changed(project: Project, loopback):
    model = open_model(claude(loopback.url), guard=project_guard(project, Settings()))
    project.answers_file.write_text('privacy = "no_external_api"\n')
    with pytest.raises(Refusal, match="no_external_api"):
        in_batches(model, project.root / "batches", print).answer([HELLO])
    with pytest.raises(Refusal, match="no_external_api"):
        Batches(model, project.root / "batches").send({"a": HELLO}, {"a": None})
    assert loopback.requests == [] and not (project.root / "batches").exists()


def test_own_hosts_and_this_machine_are_free(project: Project, loopback):
    project.answers_file.write_text('privacy = "no_external_api"\n')
    loopback.say((200, message()))
    own = Settings(privacy=PrivacySettings(own_hosts=(loopback.url.removeprefix("http://"),)))
    assert open_model(claude(loopback.url), guard=project_guard(project, own)).answer([HELLO])[0].text == "Hello."
    here = ModelSettings(base="m", provider="openai", base_url=loopback.url + "/v1")
    assert open_model(here, guard=project_guard(project, Settings())).is_local
    elsewhere = ModelSettings(base="m", provider="openai", base_url="http://gpu.example:8000/v1")
    with pytest.raises(Refusal, match=r"gpu\.example:8000"):
        open_model(elsewhere, guard=project_guard(project, Settings()))


def test_no_training_needs_a_dated_entry(project: Project):
    project.answers_file.write_text('privacy = "no_training"\n')
    today = Guard(lambda: frozenset({"no_training"}), today=lambda: date(2026, 12, 1))
    today.check("anthropic", "api.anthropic.com")
    today.check("openai", "api.openai.com:443")
    with pytest.raises(Refusal, match=r"router\.example"):
        today.check("openai", "router.example")
    later = Guard(lambda: frozenset({"no_training"}), today=lambda: date(2099, 1, 1))
    with pytest.raises(Refusal, match="expired"):
        later.check("anthropic", "api.anthropic.com")
    assert trains("anthropic", "api.anthropic.com", date(2026, 12, 1)) == ""
    (entry,) = [each for each in rule_file("providers.toml")["provider"] if each["id"] == "anthropic"]
    assert trains("anthropic", "api.anthropic.com", entry["expires"]) == "", "its last day"
    assert trains("anthropic", "api.anthropic.com", entry["expires"] + timedelta(1))


def test_an_answer_that_cannot_be_read_forbids(project: Project):
    assert privacy_answers(project.answers_file) == frozenset()
    project.answers_file.write_text("privacy = [broken")
    with pytest.raises(Refusal) as refused:
        project_guard(project, Settings()).check("anthropic", "api.anthropic.com")
    assert refused.value.where == str(project.answers_file)


def test_a_model_elsewhere_is_never_opened_without_a_guard(project: Project):
    with pytest.raises(TypeError):
        open_model(claude())
    with pytest.raises(RungError, match="embedded"):
        open_model(ModelSettings(provider="anthropic"))


def test_this_machine_and_own_hosts_by_name_by_port_and_by_address():
    assert all(map(is_this_machine, ["localhost", "127.0.0.1:8000", "[::1]:80", "127.9.9.9", "LOCALHOST:1"]))
    others = ["localhost.evil.com", "10.0.0.1", "127.0.0.1.evil.com", "0.0.0.0", "example.com", "", "[::1"]
    assert not any(map(is_this_machine, others))
    assert is_own("GPU.internal:8000", ["gpu.internal"])
    assert is_own("gpu.internal:8000", ["http://gpu.internal:8000/v1"])
    assert not is_own("gpu.internal:9000", ["gpu.internal:8000"])
    assert not is_own("evilgpu.internal", ["gpu.internal"])


def test_what_brought_no_reply_is_told_with_all_that_it_cost_and_the_most_that_it_may_have(tmp_path: Path) -> None:
    path = tmp_path / "sent.jsonl"
    lines = [("answered", None), ("broke", None), ("broke", 0.1), ("broke", None), ("broke", 0.2), ("killed", None)]
    path.write_text("".join(json.dumps({"key": key, "cost_usd": cost}) + "\n" for key, cost in lines))
    costs: dict[str, float | None] = {"answered": 0.25, "free": None}
    lost, doubtful = SentCalls(path).notes(["answered", "broke", "killed"], costs)
    assert " $0.3000" in lost and " $0.2500" in doubtful and "1 call " in doubtful
    assert SentCalls(path).notes(["answered"], costs) == []
