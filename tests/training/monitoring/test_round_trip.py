"""Whatever gateway logs an exchange, and however its lines lie among others, the same comes out that went in."""

import itertools
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import settings as budget
from hypothesis import strategies as st

from training.monitoring.log_import import read_logs
from training.monitoring.requests import join


@dataclass(frozen=True)
class Exchange:
    """An exchange that was logged. `cuts` are places at which a stream breaks the answer."""

    name: str
    question: str
    answer: str
    cut: bool
    rating: str | None
    apart: bool
    shape: str
    cuts: tuple[int, ...] = ()

    @property
    def asked(self):
        return [{"role": "system", "content": "House line."}, {"role": "user", "content": self.question}]

    @property
    def end(self):
        return "length" if self.cut else "stop"

    @property
    def whole(self):
        message = {"role": "assistant", "content": self.answer}
        choice = {"index": 0, "message": message, "finish_reason": self.end}
        return {"id": self.name, "object": "chat.completion", "model": "house", "choices": [choice],
                "usage": {"prompt_tokens": 9, "completion_tokens": 3}}  # fmt: skip

    @property
    def pieces(self):
        places = [0, *sorted({cut % (len(self.answer) + 1) for cut in self.cuts}), len(self.answer)]
        return [self.answer[a:b] for a, b in itertools.pairwise(places)]

    @property
    def items(self):
        parts = [{"type": "output_text", "text": piece} for piece in self.pieces]
        why = {"incomplete_details": {"reason": "max_output_tokens"}} if self.cut else {"finish_reason": "stop"}
        return {"id": self.name, "object": "response", "status": "incomplete" if self.cut else "completed", **why,
                "output": [{"type": "reasoning", "summary": []},
                           {"type": "message", "role": "assistant", "content": parts}]}  # fmt: skip


Lines = Callable[[Exchange], list[dict[str, Any]]]
SHAPES: dict[str, Lines] = {
    "litellm": lambda e: [{"id": e.name, "call_type": "acompletion", "status": "success", "model": "house",
                           "startTime": 1_764_000_000.0, "messages": e.asked, "response": e.whole, "error_str": None}],
    "openai": lambda e: [{"request": {"model": "house", "messages": e.asked}, "response": e.whole}],
    "bodies": lambda e: [{"request": {"url": "/v1/chat/completions", "body": json.dumps({"messages": e.asked})},
                          "response": {"status_code": 200, "headers": {}, "body": e.whole}}],
    "langfuse": lambda e: [{"id": e.name, "type": "GENERATION", "level": "DEFAULT", "input": e.asked, "model": "house",
                            "output": {"role": "assistant", "content": e.answer, "finish_reason": e.end},
                            "usage": {"input": 9, "output": 3}, "scores": []}],
    "batch": lambda e: [{"custom_id": e.name, "method": "POST", "url": "/v1/chat/completions",
                         "body": {"model": "house", "messages": e.asked}},
                        {"id": f"b-{e.name}", "custom_id": e.name, "error": None,
                         "response": {"status_code": 200, "body": e.whole}}],
    "responses": lambda e: [{"request": {"instructions": "House line.", "input": e.question}, "response": e.items}],
    "own": lambda e: [{"id": e.name, "messages": e.asked, "response": e.answer, "finish_reason": e.end}],
    "own parts": lambda e: [{"id": e.name, "prompt": json.dumps(e.asked), "input": 9, "completion": e.answer,
                             "output": 3, "stop_reason": "MAX_TOKENS" if e.cut else "end_turn"}],
}  # fmt: skip
SIGNS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(SIGNS, min_size=1, max_size=20) | st.sampled_from([
    '{"code": "E11", "side": "left"}', '["E11", "E13"]', "42", "data: see the table", "event: none", "[DONE]", "null",
    '{"answer": "x", "n": 1}', '{"role": "user"}', '{"content": "x"}', "a\u2028b\x85c\nd", "true", "up", '"', "{", "[",
])  # fmt: skip
EXCHANGES = st.builds(
    Exchange,
    name=st.uuids().map(str),
    question=TEXTS.filter(str.strip),
    answer=TEXTS,
    cut=st.booleans(),
    rating=st.sampled_from([None, "up", "down"]),
    apart=st.booleans(),
    shape=st.sampled_from(sorted(SHAPES)),
    cuts=st.tuples(st.integers(0, 20), st.integers(0, 20)),
)


def written(exchanges: list[Exchange], order):
    """Their lines, those of one exchange in order, else as `order` draws it; ratings inside or on own lines."""
    queues, feedback = [], []
    for each in exchanges:
        lines = SHAPES[each.shape](each)
        if each.rating and each.apart:
            feedback.append([{"id": each.name, "rating": each.rating, "comment": "said later"}])
        elif each.rating:
            lines[0] = {**lines[0], "feedback": {"rating": each.rating, "comment": "said later"}}
        queues.append(lines)
    queues += feedback
    made = []
    while queues:
        place = order.randrange(len(queues))
        made.append(queues[place].pop(0))
        queues = [queue for queue in queues if queue]
    return made


@budget(max_examples=120, deadline=None)
@given(st.lists(EXCHANGES, min_size=1, max_size=6, unique_by=lambda each: each.name), st.randoms(), st.booleans())
def test_what_went_in_comes_out(exchanges: list[Exchange], order, plain):
    lines = written(exchanges, order)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "log.jsonl"
        path.write_bytes(b"".join(json.dumps(x, ensure_ascii=plain).encode() + b"\n" for x in lines))
        made = join(read_logs([path], keep_rejects=False).parts)
    assert made.aside == [] and made.feedback == []
    assert len(made.requests) + made.joined == len(lines)
    found = {name: request for request in made.requests for name in request.ids}
    for each in exchanges:
        request = found[each.name]
        assert [(m["role"], m["content"]) for m in request.messages] == [
            ("system", "House line."),
            ("user", each.question),
        ], each.shape
        assert (request.said.text, request.said.finish, request.said.error) == (each.answer, each.end, ""), each.shape
        rating = {None: None, "up": 1.0, "down": -1.0}[each.rating]
        assert (request.feedback.rating, request.feedback.comment) == (rating, "said later" if each.rating else "")
