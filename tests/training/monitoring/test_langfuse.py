"""Objects and comments as Langfuse logs them."""

from __future__ import annotations

from typing import Any

import pytest
from as_logged import generation, joined

from training.monitoring.log_lines import read_part


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
