"""Tool calls in what a local model writes, in the forms of the chat templates that Rung can read back.

Two forms: an object of JSON with name and arguments (Qwen, Hermes, Llama, Granite), and `<function=NAME>` with
`<parameter=KEY>` (Qwen3.5, Qwen3-Coder, Nemotron). Whether a model's own template writes one of them is tried, not
looked up: a call that it renders must be read back as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from chat.local.prompt import encode, parting, render, render_whole
from chat.tool_calls import Call, canonical, with_calls
from workspace.errors import RungError

_decode = json.JSONDecoder().raw_decode
_FUNCTION = re.compile(r"<function=([^>\n]+)>(.*?)</function>", re.S)
_PARAMETER = re.compile(r"<parameter=([^>\n]+)>\n?(.*?)\n?</parameter>", re.S)
_MARKS = re.compile(r"(?:\s*(?:<[^<>\s]{1,40}>|\[[A-Z_]{3,}\]|```\w*|\[))+\s*\Z")
"""Marks of a template, and an open bracket, between what is said and the first call."""
PROBE_TOOL = {
    "type": "function",
    "function": {
        "name": "probe_tool", "description": "A probe.", "parameters": {
            "type": "object", "properties": {"words": {"type": "string"}, "count": {"type": "integer"}},
            "required": ["words"],
        },
    },
}  # fmt: skip
PROBE = (
    {"name": "probe_tool", "arguments": {"count": 3, "words": 'say "12", then\nstop'}},
    {"name": "probe_tool", "arguments": {"words": "7"}},
)


def read_answer(text: str, tools: Any) -> str:
    """Return a model's answer with its calls as one line of JSON (`chat.tool_calls.with_calls`)."""
    named = {name: made for tool in tools or () if (made := _function(tool)) and (name := str(made.get("name")))}
    found = list(_calls(text, named))
    if not found:
        return text
    said = _MARKS.sub("", text[: found[0][0]]).strip()
    return with_calls(said, [call for _, call in found])


def is_read(tokenizer: Any, decode: Callable[[list[int]], str]) -> str:
    """Return why calls of the model cannot be read; empty where what its template renders is read back as it was.

    `decode` turns tokens that a model wrote into its answer.
    """
    question = {"role": "user", "content": "Probe."}
    for number in (1, 2):
        calls = [{"type": "function", "id": f"probe000{n}", "function": dict(PROBE[n])} for n in range(number)]
        answer = {"role": "assistant", "content": None, "tool_calls": calls}
        try:
            asked = render(tokenizer, [question], [PROBE_TOOL])
            whole = render_whole(tokenizer, [question, answer], [PROBE_TOOL])
        except RungError as error:
            return str(error) if number == 1 else ""  # a template may take one call at a time
        if "probe_tool" not in asked:
            return "The model's chat template does not show tools to the model."
        written = whole[parting(asked, whole) :]
        if read_answer(decode(encode(tokenizer, written)), [PROBE_TOOL]) != with_calls("", PROBE[:number]):
            return "Rung cannot read the form in which the model's chat template writes tool calls."
    return ""


def _function(tool: Any) -> Mapping[str, Any]:
    made = tool.get("function", tool) if isinstance(tool, Mapping) else {}
    return made if isinstance(made, Mapping) else {}


def _calls(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Call]]:
    """Yield each call with the place where it begins."""
    if tagged := list(_FUNCTION.finditer(text)):
        for found in tagged:
            kinds = (tools.get(found[1].strip(), {}).get("parameters") or {}).get("properties") or {}
            pairs = _PARAMETER.findall(found[2])
            arguments = {key.strip(): _typed(value, kinds.get(key.strip())) for key, value in pairs}
            yield found.start(), canonical({"name": found[1].strip(), "arguments": arguments})
        return
    place = 0
    while (start := text.find("{", place)) >= 0:
        value, place = _object(text, start)
        if call := _call_in(value):
            yield start, call


def _object(text: str, start: int) -> tuple[Any, int]:
    try:
        return _decode(text, start)
    except (ValueError, RecursionError):
        return None, start + 1


def _call_in(value: Any) -> Call | None:
    """The call that an object of JSON is, as OpenAI or as Llama writes it."""
    if not isinstance(value, dict):
        return None
    arguments = value.get("arguments", value.get("parameters"))
    if not isinstance(value.get("name"), str) or not isinstance(arguments, dict):
        return None
    return canonical({"name": value["name"], "arguments": arguments})


def _typed(value: str, kind: Any) -> Any:
    """Return the value of a parameter: the text if its schema names a string, otherwise the parsed JSON."""
    if isinstance(kind, Mapping) and kind.get("type") == "string":
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value
