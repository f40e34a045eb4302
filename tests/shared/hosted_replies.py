"""Replies as hosted models give them, and a client of each kind."""

from typing import Any

import pytest

from chat.calls import Patience
from chat.claude import Claude
from chat.compatible import Compatible
from chat.hosted import CallOptions, Hosted
from chat.protocols import Ask, ChatError

QUICK = Patience(tries=3, longest=2.0, first=0.01)
HELLO = Ask(({"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}), 16)


def message(text: str = "Hello.", stop: str | None = "end_turn", **other: Any) -> dict[str, Any]:
    usage = {"input_tokens": 11, "output_tokens": 3}
    content = [{"type": "text", "text": text}] if text else []
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-x", "content": content,
            "stop_reason": stop, "stop_sequence": None, "usage": usage, **other}  # fmt: skip


def completion(text: str | None = "Hello.", stop: str | None = "stop", **other: Any) -> dict[str, Any]:
    said = {"role": "assistant", "content": text, **other}
    return {"id": "c1", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": said, "finish_reason": stop, "logprobs": None}],
            "usage": {"prompt_tokens": 11, "completion_tokens": 3, "total_tokens": 14}}  # fmt: skip


def claude_batch(url: str, n: int, *, ended: bool) -> dict[str, Any]:
    """A batch of so many messages, all of them at work or all answered."""
    counts = {"processing": n * (not ended), "succeeded": n * ended, "errored": 0, "canceled": 0, "expired": 0}
    return {"id": "batch_1", "type": "message_batch", "processing_status": "ended" if ended else "in_progress",
            "request_counts": counts, "created_at": "2026-11-25T00:00:00Z", "expires_at": "2026-11-26T00:00:00Z",
            "ended_at": None, "archived_at": None, "cancel_initiated_at": None,
            "results_url": f"{url}/results"}  # fmt: skip


def client(provider: str, url: str, **options: Any) -> Hosted:
    made = CallOptions(**{"patience": QUICK, "timeout": 10.0, "workers": 2, **options})
    if provider == "anthropic":
        return Claude("claude-x", base_url=url, options=made)
    return Compatible("m", base_url=url + "/v1", options=made)


def failure(model: Hosted, ask: Ask = HELLO) -> ChatError:
    """The error in which this ask ends."""
    with pytest.raises(ChatError) as caught:
        model.answer([ask])
    return caught.value
