"""Hosted models: streams, the cache, counts before money is spent, notices, batches."""

import json

import pytest
from hosted_replies import HELLO, claude_batch, client, failure, message

from chat.batching import Batches, sent_batches
from chat.claude import Claude
from chat.protocols import Ask, ChatError, Reply

pytestmark = pytest.mark.usefixtures("keys")


def test_a_long_answer_is_streamed_and_a_cut_stream_is_no_answer(loopback):
    def events(*kinds):
        data = {
            "message_start": {"message": message("", None)},
            "content_block_start": {"index": 0, "content_block": {"type": "text", "text": ""}},
            "content_block_delta": {"index": 0, "delta": {"type": "text_delta", "text": "Long."}},
            "content_block_stop": {"index": 0},
            "message_delta": {
                "delta": {"stop_reason": "end_turn", "stop_sequence": None}, "usage": {"output_tokens": 9}
            },
            "message_stop": {},
            "error": {"error": {"type": "overloaded_error", "message": "busy"}},
        }  # fmt: skip
        return "".join(f"event: {kind}\ndata: {json.dumps({'type': kind, **data[kind]})}\n\n" for kind in kinds)

    whole = ("message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
             "message_stop")  # fmt: skip
    sse = {"content-type": "text/event-stream"}
    loopback.say(
        (200, events("message_start", "error"), sse), (200, events(*whole[:3]), sse), (200, events(*whole), sse)
    )
    long = Ask(HELLO.turns, 40_000)
    (reply,) = client("anthropic", loopback.url).answer([long])
    assert (reply.text, reply.stopped, len(loopback.requests)) == ("Long.", "end", 3)
    assert loopback.requests[0][3]["stream"] is True
    loopback.script[:] = [(200, events(*whole[:3]), sse)]
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
