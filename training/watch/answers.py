"""What a model said, out of a response: a completion, a message, streamed chunks, an error."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from training.watch.calls import call_of, calls_in, whole_calls
from training.watch.fields import first, number_at, opened, text_at, texts_in
from training.watch.gemini import answer_in_chat_words
from training.watch.streams import event_message

FINISHES = {
    "length": ("max_tokens", "max_output_tokens", "length", "model_length", "max_length", "token_limit",
               "model_context_window_exceeded"),
    "stop": ("stop", "end_turn", "stop_sequence", "eos", "eos_token", "end", "complete", "completed", "finished"),
    "content_filter": ("content_filter", "content_filtered", "refusal", "safety", "prohibited_content", "blocklist",
                       "recitation", "spii", "guardrail_intervened"),
    "tool_calls": ("tool_calls", "tool_use", "function_call"),
}  # fmt: skip
"""Why answers end, in OpenAI's words, and in those of others."""
_FINISH = {word: name for name, words in FINISHES.items() for word in words}
PLAIN = ("text", "response", "answer", "generated_text", "completion", "output_text")
ENVELOPE = frozenset(
    (*PLAIN, "id", "model", "object", "created", "created_at", "type", "role", "index", "usage", "finish_reason",
     "stop_reason", "finishReason", "logprobs", "metadata", "response_metadata", "additional_kwargs", "generation_info",
     "latency", "cost")
)  # fmt: skip
"""What may stand beside a plain answer; an object with other keys is the answer itself, whole."""
ENDS = ("finish_reason", "stop_reason", "finishReason", "incomplete_details.reason")


@dataclass(frozen=True, slots=True)
class Said:
    """An answer, or the error in its place. `finish` is as OpenAI names it: stop, length, content_filter, tool_calls.

    `others` counts further answers to the same request, of which only the first is kept.
    """

    text: str = ""
    finish: str = ""
    error: str = ""
    tool_calls: tuple[Any, ...] = ()
    others: int = 0
    given: bool = False
    """Whether a response is there at all: an empty answer is one."""

    def __bool__(self) -> bool:
        return self.given

    @property
    def says(self) -> bool:
        """Whether there is anything in it."""
        return bool(self.text or self.error or self.tool_calls)


def said_in(reply: Any, obj: Mapping[str, Any]) -> Said:
    """The answer in a response and the object that it was logged in; false where there is neither answer nor error."""
    said = _said(reply)
    if said and not said.finish:
        said = replace(said, finish=_finish(obj))
    said = replace(said, tool_calls=whole_calls(said.tool_calls)) if not _is_chunk(reply) else said
    error = _error(reply, obj)
    return replace(said, error=error, given=True) if error else said


def is_response(value: Any) -> bool:
    """Whether a JSON value that stood in a text is a response of a server, and not what the model answered."""
    if isinstance(value, list):
        return any(is_response(each) for each in value)
    if not isinstance(value, Mapping):
        return False
    kind = value.get("type")
    event = isinstance(kind, str) and kind.startswith(("response.", "message_", "content_block_"))
    by_kind = event or value.get("object") in ("response", "chat.completion", "chat.completion.chunk")
    spoken = value.get("role") in ("assistant", "ai") and ("content" in value or "tool_calls" in value)
    return by_kind or spoken or isinstance(value.get("choices"), list) or isinstance(value.get("error"), Mapping)


def holds_answer(table: Mapping[str, Any]) -> bool:
    """Whether an object that was logged as the output has an answer in it, and is not itself the answer."""
    if is_response(table) or any(key in table for key in ("content", "tool_calls", "error")):
        return True
    return any(isinstance(table.get(key), str) for key in PLAIN) and not table.keys() - ENVELOPE


def _is_chunk(reply: Any) -> bool:
    return isinstance(reply, Mapping) and reply.get("object") == "chat.completion.chunk"


def _said(reply: Any) -> Said:
    if isinstance(reply, str):
        return _streamed(reply) or Said(reply, given=True)
    if isinstance(reply, list):
        return _from_list(reply)
    if not isinstance(reply, Mapping):
        return Said()
    if isinstance(reply.get("choices"), list):
        return _chosen(reply["choices"])
    finish = _finish(reply)
    if isinstance(reply.get("output"), list):
        items = [item for item in reply["output"] if isinstance(item, Mapping)]
        spoken = [item for item in items if item.get("type", "message") == "message"]
        text = "".join(part for item in spoken for part in texts_in(item.get("content")))
        return Said(text, finish, "", tuple(call for item in items if (call := call_of(item))), given=True)
    if "content" in reply or "tool_calls" in reply:
        return Said("".join(texts_in(reply.get("content"))), finish, "", calls_in(reply), given=True)
    plain = first(reply, *PLAIN)
    return Said(plain, finish, given=True) if isinstance(plain, str) else Said()


def _finish(table: Mapping[str, Any]) -> str:
    word = text_at(table, *ENDS)
    return _FINISH.get(word.lower(), word)


def _chosen(choices: list[Any]) -> Said:
    """The first choice of a completion, whole or a single chunk; of a chunk of another choice only that it is there."""
    tables = [each for each in choices if isinstance(each, Mapping)]
    if not tables:
        return Said()
    places = [each["index"] for each in tables if isinstance(each.get("index"), int)]
    others = max(len(tables) - 1, *places, 0) if places else len(tables) - 1
    one = next((each for each in tables if each.get("index", 0) == 0), None)
    if one is None and "delta" in tables[0]:
        return Said(others=others, given=True)
    one = one or tables[0]
    message = first(one, "message", "delta")
    if isinstance(message, Mapping):
        text = "".join(texts_in(message.get("content"))) or text_at(message, "refusal")
        return Said(text, _finish(one), "", calls_in(message), others, True)
    plain = one.get("text")
    return Said(plain if isinstance(plain, str) else "", _finish(one), others=others, given=True)


def _from_list(items: list[Any]) -> Said:
    """Chunks, events, or messages whose last one is the assistant's."""
    tables = [answer_in_chat_words(each) for each in map(opened, items) if isinstance(each, Mapping)]
    if any("choices" in each for each in tables):
        return join_chunks(map(_said, tables))
    message = event_message(tables)
    if message is not None:
        return _said(message)
    spoken = [each for each in tables if each.get("role") in ("assistant", "ai")]
    if spoken:
        return _said(spoken[-1])
    texts, calls = "".join(texts_in(items)), calls_in({"content": items})
    return Said(texts, tool_calls=calls, given=bool(texts or calls))


def join_chunks(chunks: Iterable[Said]) -> Said:
    """The answer that chunks make together, in their order."""
    whole = Said()
    for chunk in chunks:
        whole = Said(
            whole.text + chunk.text,
            chunk.finish or whole.finish,
            whole.error or chunk.error,
            whole.tool_calls + chunk.tool_calls,
            max(whole.others, chunk.others),
            whole.given or chunk.given,
        )
    return replace(whole, tool_calls=whole_calls(whole.tool_calls))


def _streamed(text: str) -> Said | None:
    """Server-sent events as they went over the wire; None where the text is something else."""
    if not text.lstrip().startswith(("data:", "event:")):
        return None
    lines = [line.strip("\r ") for line in text.split("\n")]
    found = [opened(line.removeprefix("data:").strip()) for line in lines if line.startswith("data:")]
    tables = [each for each in found if isinstance(each, Mapping)]
    return _from_list(tables) if tables else None


def _error(reply: Any, obj: Mapping[str, Any]) -> str:
    """What went wrong, in the log's own words; empty where nothing did."""
    places = ("error", "error_str", "exception", "error_message", "error_information.error_message")
    for found in (first(table, place) for table in (reply, obj) for place in places):
        if isinstance(found, Mapping) and found:
            found = text_at(found, "message", "error_message", "code", "type") or json.dumps(found, default=str)
        if isinstance(found, str) and found.strip():
            return found.strip()
    status = number_at(obj, "response.status_code", "response.status", "response_status", "status_code", "status")
    if status is not None and 400 <= status < 600:
        return f"HTTP {status:.0f}"
    if str(obj.get("level")).upper() == "ERROR":
        return text_at(obj, "statusMessage", "status_message") or "failed"
    return "failed" if str(obj.get("status")).lower() in ("failure", "failed", "error") else ""
