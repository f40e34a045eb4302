"""Logs as gateways really write them: Langfuse's traces, observations and scores, streams, tool calls, other models."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from as_logged import litellm

from rung.cli.watch_words import imported_lines
from training.watch.joining import Joined, join
from training.watch.keep import Wish
from training.watch.record import read_watched
from training.watch.shapes import Part, read_part
from training.watch.take_in import read_logs, take_in
from workspace.errors import InputError
from workspace.folder import Project

Write = Callable[..., Path]
ASKED = [{"role": "user", "content": "q"}]
CHUNK = {"id": "c-1", "object": "chat.completion.chunk"}
CALL = {"id": "t-1", "type": "function", "function": {"name": "look_up", "arguments": '{"code": "E11"}'}}


def joined(*lines: dict[str, Any], model: str = "") -> Joined:
    parts = [read_part(line) for line in lines]
    for number, part in enumerate(parts, 1):
        part.line = number
    return join(parts, model)


def generation(name: str, **more: Any) -> dict[str, Any]:
    """An observation of Langfuse."""
    return {
        "id": name, "traceId": f"trace-of-{name}", "type": "GENERATION", "name": "answer", "level": "DEFAULT",
        "startTime": "2026-11-25T10:00:00.000Z", "endTime": "2026-11-25T10:00:01.500Z", "model": "house",
        "input": {"messages": ASKED}, "output": {"role": "assistant", "content": "a"},
        "usage": {"input": 9, "output": 3, "total": 12, "unit": "TOKENS"}, "calculatedTotalCost": 0.002, **more,
    }  # fmt: skip


def score(value: Any, **more: Any) -> dict[str, Any]:
    """A score of Langfuse."""
    return {
        "id": "s-1", "timestamp": "2026-11-25T11:00:00.000Z", "name": "user-feedback", "source": "API",
        "dataType": "NUMERIC", "value": value, "stringValue": None, "comment": None, "traceId": "trace-of-o-1",
        "observationId": None, **more,
    }  # fmt: skip


def test_an_observation_of_langfuse_gives_all_its_figures() -> None:
    part = read_part(generation("o-1", modelParameters={}, metadata={"a": 1}, statusMessage=None))
    assert (part.kind, part.ids, part.trace, part.model) == ("whole", ("o-1",), "trace-of-o-1", "house")
    assert (part.seconds, part.input_tokens, part.output_tokens, part.cost_usd) == (1.5, 9, 3, 0.002)
    failed = read_part(generation("o-1", output=None, level="ERROR", statusMessage="rate limit"))
    assert (failed.kind, failed.said.error) == ("whole", "rate limit")
    details = read_part(generation("o-1", usage=None, usageDetails={"input": 5, "output": 2}, calculatedTotalCost=None,
                                   costDetails={"total": 0.5}))  # fmt: skip
    assert (details.input_tokens, details.output_tokens, details.cost_usd) == (5, 2, 0.5)


@pytest.mark.parametrize(
    ("given", "rating", "words"),
    [
        (score(0), 0.0, False),
        (score(1, dataType="BOOLEAN", stringValue="True"), 1.0, True),
        (score(0, dataType="BOOLEAN"), -1.0, True),
        (score(None, dataType="CATEGORICAL", stringValue="bad"), -1.0, True),
        (score(0.5, observationId="o-1", traceId="other"), 0.5, False),
        (score(0.2, name="correctness", source="ANNOTATION"), 0.2, False),
    ],
)
def test_a_score_on_a_line_of_its_own_finds_its_request(
    given: dict[str, Any], rating: float | None, words: bool
) -> None:
    made = joined(generation("o-1"), {**given, "comment": "why"})
    said = made.requests[0].feedback
    assert (said.rating, said.words, said.comment, made.joined) == (rating, words, "why", 1)


@pytest.mark.parametrize(
    "line",
    [
        {"scores": [score(1)]},
        {"scores": [score(0.1, name="toxicity"), score(0.3, source="EVAL"), score(1)]},
        {"user-feedback": [1], "toxicity": [0.1]},
        {"userFeedback": [0, 1]},
        {"scores": {"toxicity": [0.1], "thumbs": [1]}},
        {"scores": {"helicone-score-feedback": {"value": 1, "valueType": "number"}}},
        {"scores": {"value": 1}},
        {"scores": [{"name": "quality", "value": 1}]},
    ],
)
def test_scores_beside_a_request_are_read_where_a_person_gave_them(line: dict[str, Any]) -> None:
    assert read_part(generation("o-1", **line)).feedback.rating == 1.0


def test_scores_of_evaluators_are_counted_and_no_rating(project: Project, write: Write) -> None:
    machine = score(0.1, name="hallucination", source="EVAL", comment="made up by the judge")
    log = write([generation("o-1"), machine, generation("o-2", scores=[score(0.9, name="accuracy")])])
    made = take_in(project, read_logs([log], keep_rejects=False), Wish())
    assert made is not None and made.why_aside == {"a score that no person gave": 1}
    told = "\n".join(imported_lines(made, [], None))
    assert "scores that no person gave are no ratings: hallucination (1), accuracy (1)" in told
    assert [(r.rating, r.comment) for r in read_watched(project).requests] == [(None, ""), (None, "")]


def test_a_rating_that_cannot_be_read_is_told_and_a_sentence_is_a_comment(project: Project, write: Write) -> None:
    said = [{"metadata": {"rating": "4/5"}}, {"feedback": {"rating": "meh"}}, {"feedback": "the side is wrong"},
            {"feedback": {"type": "survey"}}]  # fmt: skip
    lines = [litellm(n, "q", "a", **more) for n, more in enumerate(said)]
    made = take_in(project, read_logs([write(lines)], keep_rejects=False), Wish())
    assert made is not None and made.ratings_unclear == {"4/5": 1, "meh": 1}
    assert "! ratings that cannot be read: 4/5 (1), meh (1)" in "\n".join(imported_lines(made, [], None))
    assert [r.comment for r in read_watched(project).requests] == ["", "", "the side is wrong", ""]


def test_a_trace_with_its_generation_is_one_request_and_its_scores_find_it(project: Project, write: Write) -> None:
    trace = {
        "id": "t-1", "timestamp": "2026-11-25T10:00:00Z", "name": "chat", "input": {"args": [1]}, "output": None,
        "scores": [score(-1, traceId="t-1")], "totalCost": 0.01, "latency": 2.5,
    }  # fmt: skip
    part = read_part({**trace, "observations": [generation("o-1", traceId="t-1"), {"id": "x", "type": "SPAN"}]})
    assert (part.kind, part.ids, part.trace, part.feedback.rating) == ("whole", ("o-1",), "t-1", -1.0)
    assert part.messages == ASKED and part.said.text == "a"
    several = read_part({**trace, "observations": [generation("o-1"), generation("o-2")]})
    assert (several.kind, several.why) == ("other", "a trace of 2 generations: export its observations, one a line")
    plain = {**trace, "input": ASKED, "output": "a", "scores": []}
    imported = take_in(project, read_logs([write([plain])], keep_rejects=False), Wish())
    assert imported is not None and imported.kept == 1
    later = write([score(0, traceId="t-1", dataType="BOOLEAN")], "scores.jsonl")
    take_in(project, read_logs([later], keep_rejects=False), Wish())
    assert [r.rating for r in read_watched(project).requests] == [-1.0]


def test_a_page_of_records_says_what_to_do() -> None:
    part = read_part({"data": [generation("o-1")], "meta": {"page": 1}})
    assert part.why == "a page of several records: write each on a line of its own"


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (json.dumps([litellm(1, "q", "a")]), "jq -c '.[]' {} > lines.jsonl"),
        (json.dumps([litellm(1, "q", "a")], indent=1), "jq -c '.[]' {} > lines.jsonl"),
        (json.dumps(litellm(1, "q", "a"), indent=1), "jq -c . {} > lines.jsonl"),
    ],
)
def test_json_that_is_no_lines_is_refused_with_the_command_that_makes_lines(
    write: Write, text: str, command: str
) -> None:
    log = write([text])
    with pytest.raises(InputError, match="no request log") as error:
        read_logs([log], keep_rejects=True)
    assert error.value.hint == command.format(log)


def test_of_several_streamed_choices_the_first_is_kept_and_the_others_are_counted() -> None:
    def chunk(index: int, **delta: Any) -> dict[str, Any]:
        return {**CHUNK, "choices": [{"index": index, "delta": delta, "finish_reason": delta.pop("end", None)}]}

    lines = [chunk(1, content="x"), chunk(0, content="Hel"), chunk(1, content="y"), chunk(0, content="lo"),
             chunk(1, end="stop"), chunk(0, end="length")]  # fmt: skip
    for made in (
        joined({"id": "c-1", "messages": ASKED}, *lines).requests[0].said,
        read_part({"messages": ASKED, "response": lines}).said,
        read_part({"messages": ASKED, "response": "".join(f"data: {json.dumps(x)}\n\n" for x in lines)}).said,
    ):
        assert (made.text, made.finish, made.others) == ("Hello", "length", 1)


def deltas(*calls: dict[str, Any]) -> list[dict[str, Any]]:
    return [{**CHUNK, "choices": [{"index": 0, "delta": {"tool_calls": [call]}}]} for call in calls]


def test_tool_calls_that_were_streamed_are_put_together_by_index() -> None:
    second = {"id": "t-2", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    lines = deltas(
        {"index": 0, "id": "t-1", "type": "function", "function": {"name": "look_up", "arguments": ""}},
        {"index": 0, "function": {"arguments": '{"code"'}},
        {"index": 1, **second},
        {"index": 0, "function": {"arguments": ': "E11"}'}},
    )
    assert joined({"id": "c-1", "messages": ASKED}, *lines).requests[0].said.tool_calls == (CALL, second)
    assert read_part({"messages": ASKED, "response": lines}).said.tool_calls == (CALL, second)
    same_place = deltas({"index": 0, **CALL}, {"index": 0, **second})
    assert read_part({"messages": ASKED, "response": same_place}).said.tool_calls == (CALL, second), "ids tell apart"


CONTENT = [
    {"type": "text", "text": "a"},
    {"type": "tool_use", "id": "t-1", "name": "look_up", "input": {"code": "E11"}},
]
ITEMS = [
    {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
    {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
    {"type": "function_call", "call_id": "t-1", "name": "look_up", "arguments": '{"code": "E11"}'},
]
EVENTS = [
    {"type": "message_start", "message": {"id": "m-1", "model": "claude", "content": []}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "a"}},
    {"type": "content_block_start", "index": 1,
     "content_block": {"type": "tool_use", "id": "t-1", "name": "look_up", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"code": '}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '"E11"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "max_tokens"}, "usage": {"output_tokens": 5}},
]  # fmt: skip
RESPONSES = [
    {"type": "response.output_text.delta", "delta": "a"},
    {"type": "response.incomplete", "response": {"object": "response", "output": ITEMS, "status": "incomplete",
                                                 "incomplete_details": {"reason": "max_output_tokens"}}},
]  # fmt: skip


@pytest.mark.parametrize(
    "reply",
    [
        {"type": "message", "role": "assistant", "content": CONTENT, "stop_reason": "max_tokens"},
        {"object": "response", "output": ITEMS, "incomplete_details": {"reason": "max_output_tokens"}},
        {"choices": [{"message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "MAX_TOKENS"}]},
        {"choices": [{"message": {"content": "a", "tool_calls": [CALL]}, "finish_reason": "length"}]},
        EVENTS,
        "".join(f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in EVENTS),
        RESPONSES,
    ],
)
def test_whoever_wrote_it_text_calls_and_a_cut_end_are_the_same(reply: Any) -> None:
    said = read_part({"request": {"messages": ASKED}, "response": reply}).said
    assert (said.text, said.finish) == ("a", "length")
    assert [(c["id"], c["function"]["name"], json.loads(c["function"]["arguments"])) for c in said.tool_calls] == [
        ("t-1", "look_up", {"code": "E11"})
    ]


@pytest.mark.parametrize(
    ("word", "end"),
    [("max_tokens", "length"), ("MAX_TOKENS", "length"), ("length", "length"), ("STOP", "stop"), ("eos", "stop"),
     ("SAFETY", "content_filter"), ("tool_use", "tool_calls"), ("function_call", "tool_calls"), ("odd", "odd")],
)  # fmt: skip
def test_ends_have_one_word(word: str, end: str) -> None:
    for line in (
        {"messages": ASKED, "response": "a", "finish_reason": word},
        {"messages": ASKED, "choices": [{"message": {"content": "a"}, "finish_reason": word}]},
        {"messages": ASKED, "response": {"content": "a", "stop_reason": word}},
    ):
        assert read_part(line).said.finish == end


def test_an_older_function_call_and_results_of_tools_are_kept() -> None:
    older = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert read_part({"messages": ASKED, "response": {"choices": [{"message": older}]}}).said.tool_calls == (
        {"type": "function", "function": {"name": "f", "arguments": "{}"}},
    )
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t-1", "content": "E11.9"}]}
    claude = [*ASKED, {"role": "assistant", "content": CONTENT}, result]
    items = [*ASKED, ITEMS[2], {"type": "function_call_output", "call_id": "t-1", "output": "E11.9"}]
    for asked in (claude, items):
        messages = read_part({"input": asked, "response": "b"}).messages
        assert [m["role"] for m in messages] == ["user", "assistant", "tool"]
        assert messages[1]["tool_calls"][0]["function"]["name"] == "look_up"
        assert messages[2] == {"role": "tool", "content": "E11.9", "tool_call_id": "t-1"}


def test_counts_of_tokens_are_no_texts_and_texts_no_counts() -> None:
    part = read_part({"prompt": "q", "input": 12, "completion": "a", "output": 3})
    assert (part.messages, part.said.text, part.input_tokens, part.output_tokens) == (ASKED, "a", 12, 3)
    part = read_part({"messages": ASKED, "response": "a", "usage": {"input": 12, "output": 3}})
    assert (part.said.text, part.input_tokens, part.output_tokens) == ("a", 12, 3)
    part = read_part({"input": "42", "output": "7"})
    assert (part.messages[0]["content"], part.said.text, part.input_tokens, part.output_tokens) == (
        "42",
        "7",
        None,
        None,
    )
    part = read_part({"messages": ASKED, "response": 200, "answer": "a", "output": True})
    assert part.said.text == "a"


@pytest.mark.parametrize("answer", ['{"code": "E11", "side": "left"}', '["E11", "E13"]', '{"answer": "E11", "n": 1}'])
def test_an_answer_and_a_question_that_are_json_stay_what_they_are(answer: str) -> None:
    for line in ({"messages": ASKED, "response": answer}, {"prompt": "q", "completion": answer}):
        assert read_part(line).said.text == answer
    for key in ("input", "prompt"):
        assert read_part({key: answer, "response": "a"}).messages == [{"role": "user", "content": answer}]
    parsed = read_part(generation("o-1", output={"code": "E11", "side": "left"}, input={"note": "n", "age": 3}))
    assert json.loads(parsed.said.text) == {"code": "E11", "side": "left"}
    assert json.loads(parsed.messages[0]["content"]) == {"note": "n", "age": 3}


def test_an_empty_answer_is_one_and_feedback_beside_an_empty_answer_is_feedback() -> None:
    part = read_part({"messages": ASKED, "response": ""})
    assert (part.kind, part.said.text, part.said.error) == ("whole", "", "")
    assert read_part({"id": "x", "response": "", "rating": "up"}).kind == "feedback"


def test_feedback_goes_with_its_request_before_another_model_is_left_out(project: Project, write: Write) -> None:
    """By one trace: the rating of the other model's answer must not land on this one's."""
    lines = [
        litellm(1, "q", "a", trace_id="t"),
        litellm(2, "q", "b", trace_id="t", model="other"),
        litellm(3, "q", "c", trace_id="u", model="other"),
        {"id": "chatcmpl-2", "rating": "down"},
        {"trace_id": "t", "rating": "down"},
        {"trace_id": "u", "rating": "down"},
        {"id": "chatcmpl-1", "rating": "up"},
    ]
    made = take_in(project, read_logs([write(lines)], keep_rejects=False), Wish(model="house"))
    assert made is not None and made.why_aside == {
        "of a request to other": 4,
        "feedback on a trace of several requests, none of which it names": 1,
    }
    assert made.lines == made.requests + made.joined + made.aside + made.rejected + made.empty + made.feedback
    assert (made.requests, made.joined, made.feedback) == (1, 1, 0)
    take_in(
        project, read_logs([write([{"trace_id": "t", "rating": "down"}], "later.jsonl")], keep_rejects=False), Wish()
    )
    watched = read_watched(project)
    assert [(r.answer, r.rating) for r in watched.requests] == [("a", 1.0)] and watched.unmatched == 1


def test_a_model_that_only_one_half_names_is_still_the_requests() -> None:
    halves = [{"custom_id": "a", "body": {"messages": ASKED}},
              {"custom_id": "a", "response": {"body": {"model": "other", "choices": [{"message": {"content": "x"}}]}}},
              {"custom_id": "b", "body": {"messages": ASKED, "model": "house"}},
              {"custom_id": "b", "response": {"body": {"choices": [{"message": {"content": "y"}}]}}}]  # fmt: skip
    made = joined(*halves, model="house")
    assert [r.said.text for r in made.requests] == ["y"] and [line for line, _ in made.aside] == [1, 2]
    assert made.joined == 1


def test_parts_know_the_lines_that_belong_to_them() -> None:
    made = joined({"id": "x", "messages": ASKED}, {"id": "x", "response": "a"}, {"id": "x", "rating": "up"})
    assert [(request.line, request.more) for request in made.requests] == [(1, (2, 3))]
    assert isinstance(made.requests[0], Part)
