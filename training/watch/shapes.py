"""What one line of a request log says, in whichever of the usual shapes it is written.

Read are OpenAI-style chat and text completions (as vLLM's batches, LiteLLM, Helicone, Portkey, Langfuse and plain
gateways log them), OpenAI's Responses, Anthropic's Messages, Gemini's contents and candidates, streamed chunks, and
lines that hold feedback alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from training.watch.answers import Said, holds_answer, is_response, said_in
from training.watch.calls import call_of, calls_in
from training.watch.counted import counted
from training.watch.feedback import Feedback, feedback_in
from training.watch.fields import first, first_said, opened, table_at, text_at, texts_in, unboxed
from training.watch.gemini import in_chat_words
from training.watch.masking import masked_text
from training.watch.scores import is_comment, is_score

QUESTIONS = ("messages", "prompt_messages", "input", "prompt", "inputs", "question", "instruction")
ASKING = (*QUESTIONS, "request", "request_body", "body", "proxy_server_request")
SAYING = ("choices", "response", "response_body", "output", "completion", "answer")
JUDGING = ("rating", "feedback", "scores", "edit", "comment")
KNOWN = frozenset((*ASKING, *SAYING, *JUDGING, "contents", "candidates", "full_request", "full_response"))
IDS = ("id", "request_id", "custom_id", "call_id", "completion_id", "litellm_call_id", "request.id")
OTHER_CALLS = ("embedding", "moderation", "rerank", "transcription", "speech", "image")
CHAT_CALLS = ("completion", "completions", "responses", "messages")
"""How calls and addresses end that are no others, whatever their host or deployment is called."""


@dataclass
class Part:
    """What one line tells of a request: `kind` is request, response, whole, chunk, feedback or other (see `why`).

    `ids` are all names under which other lines may speak of the same request, `trace` that of a conversation, which
    may hold several. `seconds` is how long it took.
    """

    kind: str
    ids: tuple[str, ...] = ()
    trace: str = ""
    why: str = ""
    messages: list[dict[str, Any]] = field(default_factory=list)
    said: Said = field(default_factory=Said)
    feedback: Feedback = field(default_factory=Feedback)
    model: str = ""
    at: datetime | None = None
    seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: float | None = None
    line: int = 0
    file: int = 0
    """Which of the files of an import it stands in, from 0."""
    more: tuple[int, ...] = ()
    """Further lines that belong to this request."""


def read_part(line: Mapping[str, Any]) -> Part:
    """What this object says. Never raises: what cannot be used is of the kind `other`, with the reason."""
    obj, why = _generation(unboxed(line, KNOWN))
    obj = in_chat_words(obj)
    body, reply = _body(obj), _reply(obj)
    messages, fault = _asked(body)
    said = said_in(reply, obj)
    feedback = feedback_in(obj)
    kind = _kind(obj, messages, said, feedback)
    part = Part(kind, _ids(obj, reply), _trace(obj), messages=messages, said=said)
    part.feedback = feedback
    if why or fault or kind == "other":
        part.kind, part.why = "other", why or fault or _why_other(obj, feedback)
    part.model = text_at(body, "model") or text_at(obj, "model", "response.model", "providedModelName")
    part.model = part.model or text_at(reply, "model")
    for name, value in counted(obj, reply).items():
        setattr(part, name, value)
    return part


def _generation(obj: Mapping[str, Any]) -> tuple[Mapping[str, Any], str]:
    """Of a trace that holds observations its one generation; of several a reason."""
    observed = obj.get("observations")
    if not isinstance(observed, list):
        return obj, ""
    tables = [each for each in observed if isinstance(each, Mapping)]
    found = [each for each in tables if str(each.get("type")).upper() == "GENERATION"]
    if not found:
        return obj, ""
    if len(found) > 1:
        return obj, f"a trace of {len(found)} generations: export its observations, one a line"
    scores = [score for each in (obj, found[0]) if isinstance(each.get("scores"), list) for score in each["scores"]]
    return {**found[0], "scores": scores, "traceId": obj.get("id")}, ""


def _body(obj: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the request stands: beside the response, below a key, or the object itself."""
    below = table_at(
        obj,
        "request.body",
        "request.json",
        "request",
        "request_body",
        "full_request",
        "proxy_server_request.body",
        "body",
    )
    if below is not None and _holds_question(below):
        return below
    inner = table_at(obj, "input")
    return inner if inner is not None and not _holds_question(obj, but="input") and _holds_question(inner) else obj


def _holds_question(table: Mapping[str, Any], but: str = "") -> bool:
    return bool(first_said(table, *(key for key in QUESTIONS if key != but and table.get(key))))


def _reply(obj: Mapping[str, Any]) -> Any:
    """What came back, as it stands: an object, a text, a list of chunks; None where nothing did."""
    if obj.get("choices") is not None or obj.get("object") in ("response", "chat.completion.chunk"):
        return obj
    below = ("response.body", "response.json", "response", "response_body", "full_response", "response_obj", "output")
    found: Any = first_said(obj, *below, "completion", "completion_message", "answer", "generated_text", "outputs")
    if isinstance(found, Mapping):
        if not found or holds_answer(found) or found is not obj.get("output"):
            return found
        return json.dumps(found, ensure_ascii=False, default=str)
    inside = opened(found)
    return inside if is_response(inside) else found


def _asked(body: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str]:
    """The messages of a request, or why they cannot be kept; an empty list where it asks nothing."""
    raw = first_said(body, *QUESTIONS)
    if isinstance(raw, Mapping | str):
        raw = _talk_in(raw)
    if isinstance(raw, str):
        raw = [{"role": "user", "content": raw}] if raw.strip() else []
    if not isinstance(raw, list):
        return [], ""
    if raw and all(isinstance(each, str) for each in raw):
        return ([{"role": "user", "content": raw[0]}], "") if len(raw) == 1 else ([], "several prompts in one request")
    messages: list[dict[str, Any]] = []
    for each in raw:
        made = _messages(each)
        if isinstance(made, str):
            return [], made
        messages += made
    system = "\n".join(texts_in(first(body, "system", "instructions")))
    head = [{"role": "system", "content": system}] if system.strip() and messages else []
    return head + messages, ""


def _talk_in(raw: Mapping[str, Any] | str) -> Any:
    """The messages or the one text in what a request holds; JSON of another kind is itself the text."""
    found = opened(raw)
    if isinstance(found, Mapping):
        said = first_said(found, "messages", "question", "prompt", "query", "text", "content", "input")
        if said is None or (isinstance(raw, str) and "messages" not in found):
            return raw if isinstance(raw, str) else json.dumps(found, ensure_ascii=False, default=str) if found else ""
        return said
    spoken = isinstance(found, list) and any(isinstance(each, Mapping) and "role" in each for each in found)
    return found if spoken else raw


def _messages(raw: Any) -> list[dict[str, Any]] | str:
    """A message as rows hold it, as several where it holds results of tools; none for what is no message (a reasoning
    item); a sentence where a row cannot hold it.
    """
    if not isinstance(raw, Mapping):
        return "a message is no object"
    if "role" not in raw and isinstance(raw.get("type"), str):
        return _item(raw)
    role = {"developer": "system", "human": "user", "ai": "assistant", "function": "tool"}.get(
        str(raw.get("role")), str(raw.get("role"))
    )
    if role not in ("system", "user", "assistant", "tool"):
        return f'the role "{masked_text(role)[:40]}" is not one of system, user, assistant, tool'
    content = raw.get("content")
    if isinstance(content, list) and any(_is_no_text(part) for part in content):
        return "a message holds an image, a sound or a file, which a row cannot"
    kept: dict[str, Any] = {"role": role, "content": "\n".join(texts_in(content))}
    calls = calls_in(raw)
    kept |= {"tool_calls": list(calls)} if calls else {}
    kept |= {key: raw[key] for key in ("tool_call_id", "name") if raw.get(key)}
    results = [made for part in content if (made := _result(part))] if isinstance(content, list) else []
    return [*results, kept] if kept["content"] or calls or not results else results


def _item(raw: Mapping[str, Any]) -> list[dict[str, Any]]:
    """An item of the Responses API that is no message: a call, its result; none for any other."""
    call, result = call_of(raw), _result(raw)
    if call is not None:
        return [{"role": "assistant", "content": "", "tool_calls": [call]}]
    return [result] if result is not None else []


def _result(part: Any) -> dict[str, Any] | None:
    """What a tool gave back, as a message of its own; None for anything else."""
    if not isinstance(part, Mapping) or part.get("type") not in ("tool_result", "function_call_output"):
        return None
    said = part.get("content") if part["type"] == "tool_result" else part.get("output")
    made: dict[str, Any] = {"role": "tool", "content": "\n".join(texts_in(said))}
    name = part.get("tool_use_id") or part.get("call_id")
    return {**made, "tool_call_id": name} if isinstance(name, str) else made


def _is_no_text(part: Any) -> bool:
    kind = part.get("type", "text") if isinstance(part, Mapping) else "text"
    return kind not in ("text", "input_text", "output_text", "tool_use", "tool_result", "thinking")


def _kind(obj: Mapping[str, Any], messages: Sequence[Any], said: Said, feedback: Feedback) -> str:
    call = str(obj.get("call_type") or obj.get("url") or obj.get("endpoint") or "").lower()
    other = any(word in call for word in OTHER_CALLS) and not call.partition("?")[0].rstrip("/").endswith(CHAT_CALLS)
    if other or str(obj.get("object")) in ("embedding", "list"):
        return "other"
    if obj.get("object") == "chat.completion.chunk":
        return "chunk"
    if messages:
        return "whole" if said else "request"
    if feedback and not said.says:
        return "feedback"
    return "response" if said else "other"


def _why_other(obj: Mapping[str, Any], feedback: Feedback) -> str:
    call = obj.get("call_type") or obj.get("url") or obj.get("object")
    if isinstance(call, str) and call:
        return f"no chat or text completion: {masked_text(call)[:60]}"
    if feedback.unread:
        return "a score that no person gave"
    if isinstance(obj.get("data"), list):
        return "a page of several records: write each on a line of its own"
    return "neither a request, nor an answer, nor feedback"


def _trace(obj: Mapping[str, Any]) -> str:
    if is_comment(obj):
        return text_at(obj, "objectId") if str(obj["objectType"]).upper() == "TRACE" else ""
    return text_at(obj, "trace_id", "traceId")


def _ids(obj: Mapping[str, Any], reply: Any) -> tuple[str, ...]:
    if is_comment(obj):
        return () if _trace(obj) else (text_at(obj, "objectId"),)
    score = ("observationId", "observation_id")
    found = [first(obj, path) for path in (score if is_score(obj) else IDS)]
    if isinstance(reply, Mapping):
        found += [first(reply, "id"), first(reply, "request_id")]
    return tuple(dict.fromkeys(str(each) for each in found if isinstance(each, str | int) and each != ""))
