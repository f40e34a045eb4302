"""Gemini, Azure OpenAI and Bedrock by the routes that docs/models.md names: a server that answers as each publishes.

Gemini: https://ai.google.dev/gemini-api/docs/openai; its errors are a list, its usage leaves thinking out of
`completion_tokens`. Azure: https://learn.microsoft.com/azure/ai-foundry/openai/concepts/content-filter. Bedrock:
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-openai.html; the content begins with reasoning.
"""

from dataclasses import dataclass
from typing import Any

import pytest
from hosted_replies import HELLO, QUICK, completion

from chat.compatible import Compatible
from chat.hosted import CallOptions
from chat.protocols import Ask, ChatError

SAFE = {kind: {"filtered": False, "severity": "safe"} for kind in ("hate", "self_harm", "sexual", "violence")}
CHOICES = Ask(HELLO.turns, 16, choices=("card", "pin"))


def answer(text, model, usage, **choice):
    found = completion(text)
    found["choices"][0].update(choice)
    return {**found, "model": model, "usage": usage}


@dataclass(frozen=True)
class Route:
    """Replies of one provider. `limit` is its answer to too many requests, `refusal` to what it will not answer."""

    path: str
    model: str
    good: dict[str, Any]
    limit: tuple[Any, ...]
    refusal: Any
    says: str


FILTERED = "The response was filtered due to the prompt triggering Azure OpenAI's content management policy."
ROUTES = {
    "gemini": Route(
        "/v1beta/openai/",
        "gemini-3.8-flash",
        answer('{"answer": "card"}', "gemini-3.8-flash",
               {"completion_tokens": 6, "prompt_tokens": 21, "total_tokens": 87}),
        (429, [{"error": {"code": 429, "message": "Quota exceeded.", "status": "RESOURCE_EXHAUSTED", "details": [
            {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "0.3s"}]}}]),
        [{"error": {"code": 400, "message": "Request contains an invalid argument.", "status": "INVALID_ARGUMENT"}}],
        "Request contains an invalid argument.",
    ),
    "azure": Route(
        "/openai/v1/",
        "my-deployment",
        {**answer('{"answer": "card"}', "gpt-5.2-2026-01-01",
                  {"completion_tokens": 66, "prompt_tokens": 21, "total_tokens": 87,
                   "completion_tokens_details": {"reasoning_tokens": 60}}, content_filter_results=SAFE),
         "prompt_filter_results": [{"prompt_index": 0, "content_filter_results": SAFE}]},
        (429, {"error": {"code": "429", "message": "Requests have exceeded call rate limit."}}, {"retry-after": "0.3"}),
        {"error": {"message": FILTERED, "type": None, "param": "prompt", "code": "content_filter", "status": 400,
                   "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": SAFE}}},
        FILTERED,
    ),
    "bedrock": Route(
        "/openai/v1",
        "openai.gpt-oss-20b-1:0",
        answer('<reasoning>The user lost a card.</reasoning>{"answer": "card"}', "openai.gpt-oss-20b-1:0",
               {"completion_tokens": 66, "prompt_tokens": 21, "total_tokens": 87}),
        (429, {"error": {"message": "Too many requests", "type": "ThrottlingException"}}, {"retry-after": "0.3"}),
        {"error": {"message": "Input is too long for requested model.", "type": "invalid_request_error"}},
        "Input is too long for requested model.",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize("route", ROUTES.values(), ids=ROUTES.keys())
def test_a_provider_is_read_by_its_compatible_route(loopback, monkeypatch, route: Route):
    monkeypatch.setenv("RUNG_API_KEY", "key-of-the-provider")
    options = CallOptions(patience=QUICK, timeout=10.0)
    model = Compatible(route.model, base_url=loopback.url + route.path, options=options)
    loopback.say(route.limit, (200, route.good), (400, route.refusal))
    (reply,) = model.answer([CHOICES])
    assert (reply.text, reply.stopped) == ("card", "choice")
    assert (reply.input_tokens, reply.output_tokens) == (21, 66), "thinking is billed as output"
    with pytest.raises(ChatError) as refused:
        model.answer([HELLO])
    assert refused.value.kind == "request" and route.says in refused.value.message
    _, path, headers, body = loopback.requests[0]
    assert path == route.path.rstrip("/") + "/chat/completions" and body["model"] == route.model
    assert headers["authorization"] == "Bearer key-of-the-provider"


def test_an_answer_in_tags_of_its_own_is_kept_whole(loopback):
    """A prompt may ask for `<reasoning>`; only gpt-oss on Bedrock thinks in it."""
    asked = "<reasoning>2 and 2</reasoning><answer>4</answer>"
    loopback.say((200, completion(asked)))
    model = Compatible("m", base_url=loopback.url + "/v1", options=CallOptions(patience=QUICK))
    assert model.answer([HELLO])[0].text == asked


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


def test_a_wait_in_the_body_is_kept_as_one_in_a_header(loopback):
    loopback.say(ROUTES["gemini"].limit)
    model = Compatible("m", base_url=loopback.url + "/v1", options=CallOptions(patience=QUICK))
    with pytest.raises(ChatError) as limited:
        model.answer([HELLO])
    assert limited.value.kind == "rate" and limited.value.wait == 0.3 and "Quota exceeded." in limited.value.message
