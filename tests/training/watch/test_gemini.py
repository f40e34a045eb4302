"""Gemini's requests and answers, as batches, Vertex AI's logs and tracers write them; and Langfuse's comments."""

from __future__ import annotations

import json
from typing import Any

import pytest
from as_logged import ASKED, generation, joined

from training.watch.shapes import read_part

ASK = {"contents": [{"role": "user", "parts": [{"text": "q"}]}], "generationConfig": {"temperature": 0}}
SAY = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}],
    "usageMetadata": {"promptTokenCount": 9, "candidatesTokenCount": 3, "totalTokenCount": 12},
    "modelVersion": "gemini-2.0-flash-001", "responseId": "r-1", "createTime": "2026-11-25T10:00:00.5Z",
}  # fmt: skip
SNAKE = {
    "candidates": [{"content": {"role": "model", "parts": [{"text": "a"}]}, "finish_reason": "STOP"}],
    "usage_metadata": {"prompt_token_count": 9, "candidates_token_count": 3}, "model_version": "gemini-2.0-flash-001",
}  # fmt: skip
STREAM = [
    {"candidates": [{"content": {"role": "model", "parts": [{"text": "a"[:0]}]}}]},
    {**SAY, "candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "STOP"}]},
]


@pytest.mark.parametrize(
    "line",
    [
        {"key": "1", "request": ASK, "response": SAY},
        {"status": "", "processed_time": "2026-11-25T10:00:01Z", "request": ASK, "response": SAY},
        {"full_request": ASK, "full_response": SAY, "endpoint": "e", "logging_time": "2026-11-25 10:00:01 UTC"},
        {"full_request": json.dumps(ASK), "full_response": json.dumps(SAY)},
        {"request_body": json.dumps(ASK), "response_body": json.dumps(SAY)},
        {"request": {"contents": "q", "config": {}}, "response": SNAKE},
        {"request": {"contents": ["q"]}, "response": SNAKE},
        {"request": ASK, "response": STREAM},
        {"request": ASK, "response": "".join(f"data: {json.dumps(each)}\n\n" for each in STREAM)},
        {**ASK, **SAY},
        {"input": ASK["contents"], "output": SAY["candidates"][0]["content"], "finish_reason": "STOP"},
        {"payload": {"contents": ASK["contents"], **SAY}},
    ],
)
def test_geminis_shapes_give_question_answer_and_end(line: dict[str, Any]) -> None:
    part = read_part(line)
    assert (part.kind, part.why) == ("whole", "")
    assert [dict(m) for m in part.messages] == ASKED
    assert (part.said.text, part.said.finish, part.said.error) == ("a", "stop", "")


def test_what_is_counted_and_named() -> None:
    part = read_part({"key": "k-1", "request": ASK, "response": SAY})
    assert (part.input_tokens, part.output_tokens, part.model) == (9, 3, "gemini-2.0-flash-001")
    assert part.at is not None and part.at.isoformat() == "2026-11-25T10:00:00.500000+00:00"
    assert set(part.ids) == {"k-1", "r-1"}
    asked, said = {"key": "k-1", "request": ASK}, {"key": "k-1", "response": SAY}
    assert len(joined(asked, said).requests) == 1, "a batch's input and its output, by key"


def test_system_turns_calls_thoughts_and_pictures() -> None:
    request = {
        "system_instruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "look up "}, {"text": "E11"}]},
            {"role": "model", "parts": [{"functionCall": {"name": "look_up", "args": {"code": "E11"}}}]},
            {"role": "user", "parts": [{"functionResponse": {"name": "look_up", "response": {"found": True}}}]},
        ],
    }
    parts = [{"text": "hm", "thought": True}, {"text": "It is there."}]
    part = read_part({"request": request, "response": {"candidates": [{"content": {"parts": parts}}]}})
    assert [m["role"] for m in part.messages] == ["system", "user", "assistant", "tool"]
    assert part.messages[1]["content"] == "look up E11" and part.messages[3]["content"] == '{"found": true}'
    assert json.loads(part.messages[2]["tool_calls"][0]["function"]["arguments"]) == {"code": "E11"}
    assert part.said.text == "It is there."
    picture = {"contents": [{"role": "user", "parts": [{"inlineData": {"mimeType": "image/png", "data": "AA"}}]}]}
    assert "an image, a sound or a file" in read_part({"request": picture, "response": SAY}).why


def test_what_was_refused_cut_or_failed_is_told() -> None:
    cut = {"candidates": [{"content": {"parts": [{"text": "a"}]}, "finishReason": "MAX_TOKENS"}]}
    assert read_part({"request": ASK, "response": cut}).said.finish == "length"
    blocked = read_part({"request": ASK, "response": {"promptFeedback": {"blockReason": "SAFETY"}}})
    assert (blocked.kind, blocked.said.text, blocked.said.finish) == ("whole", "", "content_filter")
    failed = read_part({"request": ASK, "response": {}, "status": "Bad Request: no such model"})
    assert (failed.kind, failed.said.error) == ("whole", "Bad Request: no such model")


def test_contents_and_candidates_of_another_kind_are_left_as_they_are() -> None:
    line = {"contents": "page 3", "candidates": ["x", "y"], "messages": ASKED, "response": "a"}
    assert (read_part(line).said.text, [dict(m) for m in read_part(line).messages]) == ("a", ASKED)


@pytest.mark.parametrize(
    ("output", "text"),
    [
        ({"text": "a", "codes": ["E11"]}, '{"text": "a", "codes": ["E11"]}'),
        ({"text": "a", "usage": {"output": 3}, "finish_reason": "stop"}, "a"),
        ({"answer": "a"}, "a"),
    ],
)
def test_an_object_that_langfuse_logged_as_output_is_kept_whole(output: dict[str, Any], text: str) -> None:
    assert read_part(generation("o-1", output=output)).said.text == text


def test_comments_of_langfuse_find_their_request() -> None:
    comment = {"id": "x-1", "projectId": "p", "createdAt": "2026-11-25T12:00:00Z", "authorUserId": "u",
               "content": "wrong line", "objectType": "OBSERVATION", "objectId": "o-1"}  # fmt: skip
    on_trace = {**comment, "objectType": "TRACE", "objectId": "trace-of-o-1", "content": "see above"}
    for line in (comment, on_trace):
        assert read_part(line).kind == "feedback"
        found = joined(generation("o-1"), generation("o-2"), line)
        assert [each.feedback.comment for each in found.requests] == [line["content"], ""]
    inside = read_part(generation("o-1", comments=[{"content": "wrong line"}, {"content": "and late"}]))
    assert inside.feedback.comment == "wrong line\nand late"
