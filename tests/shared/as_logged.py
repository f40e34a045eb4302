"""Requests as gateways log them."""

from __future__ import annotations

from typing import Any


def litellm(number: int, question: str, answer: str, **more: Any) -> dict[str, Any]:
    """A request as LiteLLM's standard payload logs it."""
    return {
        "id": f"chatcmpl-{number}",
        "call_type": "acompletion",
        "status": "success",
        "model": "house",
        "startTime": 1_764_000_000.0 + 60 * number,
        "endTime": 1_764_000_000.5 + 60 * number,
        "response_cost": 0.001,
        "messages": [{"role": "user", "content": question}],
        "response": {
            "id": f"chatcmpl-{number}",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": answer}}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        },
        **more,
    }
