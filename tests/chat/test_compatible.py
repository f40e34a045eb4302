"""Servers by OpenAI's protocol: Gemini, Azure OpenAI and Bedrock as docs/models.md names them, and any by its address.

Gemini: https://ai.google.dev/gemini-api/docs/openai; its errors are a list, its usage leaves thinking out of
`completion_tokens`. Azure: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter. Bedrock:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html; the content begins with reasoning.
"""

import pytest
from hosted_replies import HELLO, QUICK, client, completion, failure
from loopback_server import torn

from chat.compatible import Compatible
from chat.endpoint import Endpoint
from chat.hosted import CallOptions
from chat.open import host_of
from chat.protocols import Ask
from workspace.errors import RungError
from workspace.settings import ModelSettings

SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}


def answer(text, model, usage, **choice):
    found = completion(text)
    found["choices"][0].update(choice)
    return {**found, "model": model, "usage": usage}


def told(body):
    return (body[0] if isinstance(body, list) else body)["error"]["message"]


ROUTES = {
    "gemini": (
        "/v1beta/openai/",
        "gemini-3.8-flash",
        answer('{"answer": "card"}', "gemini-3.8-flash",
               {"completion_tokens": 6, "prompt_tokens": 21, "total_tokens": 87}),
        (429, [{"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}]}}]),
        [{"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT"}}],
    ),
    "azure": (
        "/openai/v1/",
        "my-deployment",
        {**answer('{"answer": "card"}', "gpt-5.2-2026-01-01",
                  {"completion_tokens": 66, "prompt_tokens": 21, "total_tokens": 87,
                   "completion_tokens_details": {"reasoning_tokens": 60}}, content_filter_results=SAFE),
         "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]},
        (429, {"error": {"code": "429", "message": "Requests have exceeded call rate limit."}}, {"retry-after": "0.3"}),
        {"error": {"message": "The response was filtered due to the prompt triggering Azure OpenAI's content policy.",
                   "type": None, "param": "prompt", "code": "content_filter", "status": 400,
                   "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE}}},
    ),
    "bedrock": (
        "/openai/v1",
        "openai.gpt-oss-20b-1:0",
        answer('<reasoning>The user lost a card.</reasoning>{"answer": "card"}', "openai.gpt-oss-20b-1:0",
               {"completion_tokens": 66, "prompt_tokens": 21, "total_tokens": 87}),
        (429, {"error": {"message": "Too many requests", "type": "ThrottlingException"}}, {"retry-after": "0.3"}),
        {"error": {"message": "Input is too long for requested model.", "type": "invalid_request_error"}},
    ),
}  # fmt: skip


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(("path", "name", "good", "limit", "refusal"), ROUTES.values(), ids=ROUTES.keys())
def test_a_provider_is_read_by_its_compatible_route(loopback, monkeypatch, path, name, good, limit, refusal):
    monkeypatch.setenv("RUNG_API_KEY", "key-of-the-provider")
    model = Compatible(name, base_url=loopback.url + path, options=CallOptions(patience=QUICK))
    loopback.say(limit)
    limited = failure(model)
    assert (limited.kind, limited.wait) == ("rate", 0.3), "a wait in the body is kept as one in a header"
    assert told(limit[1]) in limited.message
    loopback.script[:] = [limit, (200, good), (400, refusal)]
    (reply,) = model.answer([Ask(HELLO.turns, 16, choices=("card", "pin"))])
    assert (reply.text, reply.stopped) == ("card", "choice")
    assert (reply.input_tokens, reply.output_tokens) == (21, 66), "thinking is billed as output"
    refused = failure(model)
    assert refused.kind == "request" and told(refusal) in refused.message
    _, asked, headers, body = loopback.requests[0]
    assert asked == path.rstrip("/") + "/chat/completions" and body["model"] == name
    assert headers["authorization"] == "Bearer key-of-the-provider"


def test_an_answer_in_tags_of_its_own_is_kept_whole(loopback):
    """A prompt may ask for `<reasoning>`; only gpt-oss on Bedrock thinks in it."""
    asked = "<reasoning>2 and 2</reasoning><answer>4</answer>"
    loopback.say((200, completion(asked)))
    assert client("openai", loopback.url).answer([HELLO])[0].text == asked


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    "said",
    [
        [{"error": {"code": 400, "message": 'Invalid JSON payload received. Unknown name "seed": Cannot find field.'}}],
        {"error": {"message": "Unsupported parameter: 'seed' is not supported with this model.", "param": "seed"}},
    ],
    ids=["gemini", "azure"],
)
def test_a_parameter_is_left_out_as_each_refuses_it(loopback, said):
    loopback.say(lambda _, asked: (400, said) if "seed" in asked[3] else (200, completion()))
    model = Compatible("m", base_url=loopback.url + "/v1", options=CallOptions(patience=QUICK))
    assert model.answer([HELLO])[0].text == "Hello." and model.refused == {"seed"}


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("localhost:8000", "localhost:8000"),
        ("http://[::1", "http://[::1"),
        ("http://x:port/v1", "http://x:port/v1"),
        ("http://x:0", "http://x:0"),
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


def test_an_answer_with_and_without_counts(loopback):
    loopback.say((200, completion()), (200, completion() | {"usage": None}))
    counted, bare = (Endpoint(loopback.url, "m").answer(HELLO.turns, 8) for _ in range(2))
    assert (counted.text, counted.input_tokens, counted.output_tokens, counted.stopped) == ("Hello.", 11, 3, "end")
    assert bare.input_tokens == bare.output_tokens == 0


@pytest.mark.parametrize(
    "body",
    [
        {},
        completion() | {"choices": []},
        completion() | {"choices": [{"message": None}]},
        completion() | {"choices": "none"},
        completion() | {"usage": ["many"]},
        completion() | {"usage": {"prompt_tokens": "many"}},
        "[" * 100_000,
        "<html>",
        "[]",
    ],
    ids=["empty", "no choice", "no message", "text", "list", "words", "deep", "html", "array"],
)
def test_what_is_no_completion_is_one_sentence(loopback, body):
    loopback.say((200, body))
    with pytest.raises(RungError, match=r"127\.0\.0\.1"):
        Endpoint(loopback.url, "m").answer(HELLO.turns, 8)


@pytest.mark.parametrize("body", [{}, {"data": []}, {"data": [{}]}, {"data": {"id": "m"}}, {"data": ["m"]}])
def test_a_server_that_lists_no_model(loopback, body):
    loopback.say((200, body))
    with pytest.raises(RungError) as refused:
        Endpoint(loopback.url).answer(HELLO.turns, 8)
    assert refused.value.where == loopback.url.removeprefix("http://")


def test_an_answer_that_breaks_off(loopback):
    loopback.say(torn)
    with pytest.raises(RungError, match="no answer"):
        Endpoint(loopback.url, "m").answer(HELLO.turns, 8)


@pytest.mark.parametrize("ending", ["", "\r", "\n"])
def test_a_key_is_told_nowhere(loopback, monkeypatch, ending):
    key = "sk-of-the-team-123"
    monkeypatch.setenv("RUNG_API_KEY", key + ending)
    loopback.say((401, {"error": f"Bearer {key} is not known"}))
    with pytest.raises(RungError, match=r"401: .*\[KEY\]") as told:
        Endpoint(loopback.url, "m", keyed=True).answer(HELLO.turns, 8)
    assert key not in told.value.message
    assert loopback.requests[0][2]["authorization"] == f"Bearer {key}"
    loopback.script[:] = [(302, "", {"location": loopback.url + "/elsewhere"})]
    with pytest.raises(RungError):
        Endpoint(loopback.url, "m", keyed=True).answer(HELLO.turns, 8)
    assert len(loopback.requests) == 2, "it follows no redirect with the key"
