"""Streams that are no chat completion chunks: Anthropic's events and those of OpenAI's Responses, as one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from training.watch.calls import call_of, whole_calls
from training.watch.fields import table_in

ENDED = ("response.completed", "response.incomplete", "response.failed")


def event_message(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The message that these events make together; None where they are of another kind."""
    kinds = [str(event.get("type")) for event in events]
    if any(kind.startswith("response.") for kind in kinds):
        return _responses(events)
    if any(kind in ("content_block_delta", "content_block_start", "message_delta") for kind in kinds):
        return _anthropic(events)
    return None


def _responses(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    for event in reversed(events):
        if event.get("type") in ENDED and isinstance(event.get("response"), Mapping):
            return event["response"]  # type: ignore[no-any-return]
    said = (event.get("delta") for event in events if event.get("type") == "response.output_text.delta")
    return {"content": "".join(part for part in said if isinstance(part, str))}


def _anthropic(events: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    text, pieces = "", []
    made: dict[str, Any] = {}
    for event in events:
        delta, began, opening = (table_in(event, key) for key in ("delta", "content_block", "message"))
        made |= {key: opening[key] for key in ("id", "model") if key in opening}
        text += "".join(each["text"] for each in (began, delta) if isinstance(each.get("text"), str))
        call = call_of({**began, "input": ""})
        if call is not None:
            pieces.append({**call, "index": event.get("index")})
        elif isinstance(delta.get("partial_json"), str):
            pieces.append({"index": event.get("index"), "function": {"arguments": delta["partial_json"]}})
        if delta.get("stop_reason"):
            made["stop_reason"] = delta["stop_reason"]
    return {**made, "content": text, "tool_calls": list(whole_calls(pieces))}
