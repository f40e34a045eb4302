"""Hosted models: answers, streams and batches, what is tried again, what is told; one failure loses nothing else."""

import json
import time
from datetime import date

import pytest
from hosted_replies import HELLO, claude_batch, client, completion, failure, message
from loopback_server import slow, torn

from chat.batching import Batches, sent_batches
from chat.calls import Patience
from chat.claude import Claude
from chat.compatible import Compatible
from chat.hosted import settled
from chat.prices import TokenPrice
from chat.protocols import Ask, ChatError, Reply
from workspace.errors import RungError

PRICE = TokenPrice(1.0, 5.0, 0.1, 1.25, 0.5, date(2026, 11, 1), date(2027, 5, 1))
MAKE = {"anthropic": message, "openai": completion}
pytestmark = pytest.mark.usefixtures("keys")


@pytest.fixture(params=["anthropic", "openai"])
def provider(request):
    return str(request.param)


def test_an_answer_a_refusal_a_cut_and_nothing(provider, loopback):
    script = {
        "anthropic": [message(), message("", "refusal"), message("Hel", "max_tokens"), message("", "end_turn")],
        "openai": [completion(), completion(None, refusal="I will not."), completion("Hel", "length"), completion("")],
    }[provider]
    loopback.say(*[(200, body) for body in script])
    replies = client(provider, loopback.url, workers=1).answer([HELLO] * 4)
    assert [reply.text for reply in replies] == ["Hello.", "", "Hel", ""]
    assert [reply.stopped for reply in replies] == ["end", "refused", "length", "empty"]
    assert (replies[0].input_tokens, replies[0].output_tokens) == (11, 3)
    method, path, headers, body = loopback.requests[0]
    assert method == "POST" and body["messages"][-1] == {"role": "user", "content": "Hi"}
    if provider == "anthropic":
        assert path.startswith("/v1/messages") and "temperature" not in body
        assert body["system"] == [{"type": "text", "text": "Be brief."}] and body["max_tokens"] == 16
        assert "key-for-tests-1234" not in json.dumps(headers), "the key of Anthropic goes to Anthropic only"
    else:
        assert path == "/v1/chat/completions" and body["temperature"] == 0.0 and body["seed"] == 0
        assert "key-of-openai" not in headers["authorization"], "the key of OpenAI goes to OpenAI only"


def test_replies_keep_their_numbers_and_one_failure_loses_nothing_else(provider, loopback):
    def echo(handler, request):
        text = request[3]["messages"][-1]["content"]
        time.sleep(0.05 if text == "0" else 0)
        if text == "2":
            return 400, {"error": {"message": "bad"}}
        return 200, MAKE[provider](text)

    loopback.say(echo)
    asks = [Ask(({"role": "user", "content": str(number)},), 8) for number in range(5)]
    model = client(provider, loopback.url)
    came = {number: reply.text for number, reply in model.stream(asks) if isinstance(reply, Reply)}
    assert came == {number: str(number) for number in (0, 1, 3, 4)}
    with pytest.raises(ChatError) as caught:
        model.answer(asks)
    assert [reply and reply.text for reply in caught.value.replies[:2]] == ["0", "1"]


def test_retry_after_is_obeyed_and_an_hour_is_not_waited_for(provider, loopback):
    later = {"error": {"message": "slow down"}}
    loopback.say((429, later, {"retry-after": "0.4"}), (429, later, {"retry-after": "3600"}))
    started = time.monotonic()
    error = failure(client(provider, loopback.url))
    assert 0.4 <= time.monotonic() - started < 30 and len(loopback.requests) == 2
    assert error.kind == "rate" and error.again and "3,600 s" in error.message and "slow down" in error.message


@pytest.mark.parametrize(
    ("status", "kind", "calls"),
    [(429, "rate", 3), (529, "busy", 3), (500, "busy", 3), (400, "request", 1), (401, "key", 1), (404, "model", 1),
     (413, "request", 1), (402, "money", 1)],
)  # fmt: skip
def test_what_stays_is_told(provider, loopback, status, kind, calls):
    loopback.say((status, {"type": "error", "error": {"type": "x", "message": "because so"}}))
    error = failure(client(provider, loopback.url))
    assert (error.kind, len(loopback.requests)) == (kind, calls)
    assert "because so" in error.message and str(status) in error.message and "127.0.0.1" in error.message


def test_a_torn_connection_and_a_timeout_are_tried_again(provider, loopback):
    loopback.say(torn, slow, (200, MAKE[provider]()))
    model = client(provider, loopback.url, timeout=2.5)
    model.price = PRICE
    assert model.answer([HELLO])[0].text == "Hello."
    assert len(loopback.requests) == 3 and model.unsure == 2, "both tries may have been paid"
    loopback.script[:] = [torn]
    assert failure(client(provider, loopback.url)).kind == "connection"
    before = len(loopback.requests)
    with pytest.raises(ChatError):
        client(provider, loopback.url).send_batch({"a": HELLO})
    assert len(loopback.requests) == before + 1, "a batch that may have arrived is not sent again"
    loopback.script[:] = [slow]
    assert failure(client(provider, loopback.url, timeout=0.1)).kind == "timeout"


def test_nobody_listens(provider):
    error = failure(client(provider, "http://127.0.0.1:9"))
    assert error.kind == "connection" and "Tried 3 times" in error.message and not error.may_be_paid


@pytest.mark.parametrize("body", ["<html>Please log in</html>", "{broken", {"hello": 1}, "[]", ""])
def test_a_200_that_is_no_answer(provider, loopback, body):
    kind = "text/html" if "<html>" in body else "application/json"
    loopback.say((200, body, {"content-type": kind}))
    error = failure(client(provider, loopback.url))
    assert error.kind == "garbled" and not error.again and len(loopback.requests) == 1


def with_odd(value, odd):
    """Yield each copy of a JSON document in which one part is `odd`."""
    yield odd
    for key, part in enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, dict) else ():
        for hurt in with_odd(part, odd):
            copy = value.copy()
            copy[key] = hurt
            yield copy


@pytest.mark.parametrize("odd", [None, {}, -1, "x", ["x"]], ids=repr)
def test_a_reply_in_which_anything_is_odd_is_an_answer_or_a_failure_in_words(provider, loopback, odd):
    model = client(provider, loopback.url)
    for hurt in with_odd(MAKE[provider](), odd):
        loopback.script[:] = [(200, hurt)]
        found = [reply for _, reply in model.stream([HELLO])]
        if provider == "openai":
            found.append(model.read_result(HELLO, {"response": {"body": hurt}}))
        assert all(isinstance(reply, Reply | ChatError) for reply in found), hurt


def test_an_answer_that_counts_no_tokens_has_no_known_cost(loopback):
    model = client("openai", loopback.url)
    model.price, model.is_local = PRICE, False
    loopback.say((200, completion()), (200, completion() | {"usage": {}}), (200, completion() | {"usage": None}))
    counted, empty, bare = (model.answer([HELLO])[0] for _ in range(3))
    assert counted.cost_usd and empty.text == "Hello." and empty.cost_usd is bare.cost_usd is None


def test_a_garbled_line_of_a_batch_costs_its_own_result_alone(loopback):
    model = client("openai", loopback.url)
    ended = {"id": "b", "object": "batch", "status": "completed", "output_file_id": "f", "error_file_id": None}
    entries = [
        {"custom_id": key, "response": {"body": completion(text)}} for key, text in (("a", "Aye\u2028"), ("c", "C"))
    ]
    lines = [json.dumps(entry, ensure_ascii=False) for entry in entries]
    file = "\n".join([lines[0], '{"custom_id": "b", "resp', "[1]", '{"id": 1}', '{"custom_id": ["a"]}', "", lines[1]])
    loopback.say((200, ended), (200, file, {"content-type": "application/octet-stream"}))
    found = dict(model.batch_results("b", dict.fromkeys("abc", HELLO)))
    assert {key: reply.text for key, reply in found.items()} == {"a": "Aye\u2028", "c": "C"}


def test_a_redirect_is_not_followed_with_the_rows(provider, loopback):
    loopback.say((307, "", {"location": loopback.url + "/elsewhere"}), (200, MAKE[provider]()))
    failure(client(provider, loopback.url))
    assert [request[1] for request in loopback.requests if "elsewhere" in request[1]] == []


def test_a_model_that_was_cut_while_it_thought_is_asked_again_with_room(provider, loopback):
    """Once seen to think, everything is asked with room; what was paid for the cut reply is counted."""
    cut, done = {"anthropic": ("max_tokens", "end_turn"), "openai": ("length", "stop")}[provider]

    def respond(_, request):
        has_room = request[3]["max_tokens"] > 1000
        text, stop = ("<think>\nHm.\n</think>\n\ncard", done) if has_room else ("", cut)
        return 200, MAKE[provider](text, stop)

    loopback.say(respond)
    model = client(provider, loopback.url, workers=1)
    assert [reply.text for reply in model.answer([HELLO] * 3)] == ["card"] * 3
    assert [request[3]["max_tokens"] > 1000 for request in loopback.requests] == [False, True, True, True]
    none = Ask(HELLO.turns, 16, meta={"thinking_tokens": 0})
    (short,) = client(provider, loopback.url).answer([none])
    assert (short.text, short.stopped) == ("", "length")


def test_thinking_is_switched_where_the_model_is_asked(provider, loopback):
    loopback.say((200, MAKE[provider]()))
    named = set()
    for way in (None, False, True):
        model = client(provider, loopback.url)
        model.enable_thinking = way
        model.answer([HELLO])
        named.add(model.name)
    sent = [request[3] for request in loopback.requests]
    if provider == "anthropic":
        assert [body.get("thinking", {}).get("type") for body in sent] == [None, "disabled", "enabled"]
        assert sent[2]["max_tokens"] > sent[2]["thinking"]["budget_tokens"]
    else:
        assert [body.get("chat_template_kwargs") for body in sent] == [
            None, {"enable_thinking": False}, {"enable_thinking": True}]  # fmt: skip
    assert len(named) == 3


def test_an_answer_without_a_reason_to_stop_was_cut_on_its_way_and_paid(provider, loopback):
    cut = MAKE[provider]("Hel", None)
    model = client(provider, loopback.url)
    model.price = PRICE
    loopback.say((200, cut), (200, MAKE[provider]()), (200, cut))
    once = (11 * PRICE.input + 3 * PRICE.output) / 1e6
    assert model.answer([HELLO])[0].cost_usd == pytest.approx(2 * once) and model.unsure == 0
    error = failure(model)
    assert error.kind == "connection" and error.cost_usd == pytest.approx(3 * once) and not error.may_be_paid


def test_a_closed_set_is_a_schema_and_a_reply_outside_it_is_said(provider, loopback):
    ask = Ask(HELLO.turns, 8, choices=("E10 eye", "E11 eye"))
    loopback.say(*((200, MAKE[provider](json.dumps({"answer": said}))) for said in ("E11 eye", "E12")))
    model = client(provider, loopback.url, workers=1)
    (reply,) = model.answer([ask])
    assert (reply.text, reply.stopped) == ("E11 eye", "choice")
    assert "E10 eye" in json.dumps(loopback.requests[0][3])
    (outside,) = model.answer([ask])
    assert (outside.text, outside.stopped) == (json.dumps({"answer": "E12"}), "outside")


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ('Here it is:\n```json\n{"answer": "card"}\n```', ("card", "choice")),
        ('"CARD".', ("card", "choice")),
        ("Many would say card.", ("Many would say card.", "outside")),
        ("", ("", "outside")),
        ('{"answer": 3}', ('{"answer": 3}', "outside")),
    ],
)
def test_an_answer_is_read_where_a_person_would_read_it(text, read):
    assert settled(Ask(HELLO.turns, 8, choices=("card", "pin")), text, "end") == read


@pytest.mark.parametrize("status", [401, 402, 404])
def test_a_refused_key_an_empty_account_or_an_unknown_model_stops_the_rest(provider, loopback, status):
    loopback.say((status, {"error": {"message": "no"}}))
    came = list(client(provider, loopback.url, workers=1).stream([HELLO] * 50))
    assert len(came) == 1 and len(loopback.requests) == 1


def test_leaving_the_stream_ends_the_waiting(provider, loopback):
    loopback.say((200, MAKE[provider]()), (429, {"error": {"message": "x"}}, {"retry-after": "50"}))
    stream = client(provider, loopback.url, workers=1, patience=Patience(tries=3, longest=60.0)).stream([HELLO] * 9)
    next(stream)
    started = time.monotonic()
    stream.close()  # type: ignore[attr-defined]
    assert time.monotonic() - started < 25


def test_a_missing_key_is_said_in_plain_words(provider, monkeypatch, tmp_path):
    for name in ("ANTHROPIC_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(RungError) as missing:
        Claude("claude-x") if provider == "anthropic" else Compatible("m")
    assert missing.value.where == f"{provider.upper()}_API_KEY"


def test_a_long_answer_is_streamed_and_a_cut_stream_is_no_answer(loopback):
    busy = {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}
    parts = [
        {"type": "message_start", "message": message("", None)},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Long."}},
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]

    def streamed(*sent):
        events = (f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in sent)
        return 200, "".join(events), {"content-type": "text/event-stream"}

    loopback.say(streamed(parts[0], busy), streamed(*parts[:3]), streamed(*parts))
    long = Ask(HELLO.turns, 40_000)
    (reply,) = client("anthropic", loopback.url).answer([long])
    assert (reply.text, reply.stopped, len(loopback.requests)) == ("Long.", "end", 3)
    assert loopback.requests[0][3]["stream"] is True
    loopback.script[:] = [streamed(*parts[:3])]
    assert "cut off" in str(failure(client("anthropic", loopback.url), long))


def test_the_long_static_part_is_marked_for_the_cache_and_its_tokens_are_counted(loopback):
    used = {"input_tokens": 5, "output_tokens": 3, "cache_read_input_tokens": 1200, "cache_creation_input_tokens": 30}
    loopback.say((200, message(usage=used)))
    ask = Ask(({"role": "system", "content": "Guideline. " * 600}, {"role": "user", "content": "Hi"}), 8)
    (reply,) = client("anthropic", loopback.url).answer([ask])
    assert loopback.requests[0][3]["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert (reply.input_tokens, reply.cached_tokens) == (1235, 1200)


def test_a_model_near_its_end_brings_a_notice(loopback):
    from anthropic.resources.messages import DEPRECATED_MODELS

    end = DEPRECATED_MODELS["claude-opus-4-5"]
    told, other = (Claude(name, base_url=loopback.url).notices for name in ("claude-opus-4-5", "claude-x"))
    assert any(end in each for each in told) and not any(end in each for each in other)


def test_a_batch_comes_back_by_its_ids_and_a_part_leaves_the_rest(loopback, tmp_path):
    batch = claude_batch(loopback.url, 3, ended=True)
    results = [
        {"custom_id": "b", "result": {"type": "errored", "error": {
            "type": "error", "request_id": "r", "error": {"type": "invalid_request_error", "message": "too long"}}}},
        {"custom_id": "a", "result": {"type": "succeeded", "message": message("Batched.")}},
        {"custom_id": "c", "result": {"type": "expired"}},
        {"custom_id": "stranger", "result": {"type": "expired"}},
    ]  # fmt: skip
    lines = "\n".join(json.dumps(line) for line in [*results, results[1]])
    fetched = (200, lines, {"content-type": "application/x-jsonl"})
    loopback.say((200, batch), (200, batch), (200, batch), fetched, (200, batch), fetched)
    batches = Batches(client("anthropic", loopback.url), tmp_path)
    asks = {"a": HELLO, "b": HELLO, "c": HELLO, "d": HELLO}
    assert batches.send(asks, dict.fromkeys(asks)) == "batch_1"
    assert [entry["custom_id"] for entry in loopback.requests[0][3]["requests"]] == list(asks)
    (sent,) = sent_batches(tmp_path)
    state = batches.state(sent)
    assert state.ended and state.done == 3
    ((key, reply),) = batches.results(sent, {"a": HELLO})
    assert key == "a" and isinstance(reply, Reply) and reply.text == "Batched."
    (sent,) = sent_batches(tmp_path)
    found = dict(batches.results(sent, {key: HELLO for key in sent.orders}))
    assert "too long" in str(found["b"]) and "expired" in str(found["c"]) and isinstance(found["d"], ChatError)
    assert set(found) == {"b", "c", "d"} and sent_batches(tmp_path) == []
