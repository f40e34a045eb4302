"""A server asked with the standard library alone: whatever it sends is an answer or one plain sentence."""

import pytest

from chat.compatible import Compatible
from chat.endpoint import Endpoint
from chat.open import host_of
from workspace.errors import RungError
from workspace.settings import ModelSettings

NO_ADDRESS = (
    "ftp://x/v1",
    "localhost:8000",
    "http://",
    "http://[::1",
    "http://x:port/v1",
    "http://x:99999",
    "http://x:0",
)
ASK = [{"role": "user", "content": "Hi"}]


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        *((address, address) for address in NO_ADDRESS),
        ("ftp://sam:secret@gpu.example/v1", "ftp://gpu.example/v1"),
        ("https:sam:secret@gpu.example", "gpu.example"),
        ("sam:se/c?ret#@gpu.example:8000", "gpu.example:8000"),
        ("http://sam:secret@", "http://"),
        ("http://sam:se/cret@gpu.example:99999", "http://gpu.example:99999"),
    ],
)
def test_what_is_no_address_is_told_without_its_password(address, shown):
    named = ModelSettings(base="m", provider="openai", base_url=address)
    for make in (lambda: Endpoint(address), lambda: Compatible("m", base_url=address), lambda: host_of(named)):
        with pytest.raises(RungError) as told:
            make()
        assert told.value.found == shown and "secret" not in str(told.value.as_json()) and "ret@" not in str(told.value)


def test_name_and_password_of_an_address_are_told_nowhere():
    address = "http://sam:secret@gpu.example:8000/v1"
    named = ModelSettings(base="m", provider="openai", base_url=address)
    endpoint, model = Endpoint(address + "?x=1"), Compatible("m", base_url=address)
    assert endpoint.host == model.host == host_of(named) == "gpu.example:8000"
    assert endpoint.root == "http://gpu.example:8000" and model.name == "m (gpu.example:8000)"


def completion(**changed):
    choice = {"finish_reason": "stop", "message": {"role": "assistant", "content": "Hello."}}
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **changed}


def test_an_answer_with_and_without_counts(loopback):
    loopback.say((200, completion()), (200, completion(usage=None)))
    counted, bare = (Endpoint(loopback.url, "m").answer(ASK, 8) for _ in range(2))
    assert (counted.text, counted.input_tokens, counted.output_tokens, counted.stopped) == ("Hello.", 3, 2, "end")
    assert bare.input_tokens == bare.output_tokens == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        completion(choices=[]),
        completion(choices=[{"message": None}]),
        completion(choices="none"),
        completion(usage=["many"]),
        completion(usage={"prompt_tokens": "many"}),
        "[" * 100_000,
        "<html>",
        "[]",
    ],
    ids=["empty", "no choice", "no message", "text", "list", "words", "deep", "html", "array"],
)
def test_what_is_no_completion_is_one_sentence(loopback, body):
    loopback.say((200, body))
    with pytest.raises(RungError, match=r"127\.0\.0\.1"):
        Endpoint(loopback.url, "m").answer(ASK, 8)


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": [{}]}, {"data": {"id": "m"}}, {"data": ["m"]}])
def test_a_server_that_lists_no_model(loopback, body):
    loopback.say((200, body))
    with pytest.raises(RungError) as refused:
        Endpoint(loopback.url).answer(ASK, 8)
    assert refused.value.where == loopback.url.removeprefix("http://")


def test_an_answer_that_breaks_off(loopback, torn):
    loopback.say(torn)
    with pytest.raises(RungError, match="no answer"):
        Endpoint(loopback.url, "m").answer(ASK, 8)


@pytest.mark.parametrize("ending", ["", "\r", "\n"])
def test_a_key_is_told_nowhere(loopback, monkeypatch, ending):
    key = "sk-of-the-team-123"
    monkeypatch.setenv("RUNG_API_KEY", key + ending)
    loopback.say((401, {"error": f"Bearer {key} is not known"}))
    with pytest.raises(RungError, match=r"401: .*\[KEY\]") as told:
        Endpoint(loopback.url, "m", keyed=True).answer(ASK, 8)
    assert key not in told.value.message
    assert loopback.requests[0][2]["authorization"] == f"Bearer {key}"
