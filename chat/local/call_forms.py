"""Tool calls in what a local model writes, in the forms of the chat templates that Rung can read back.

An object of JSON with name and arguments (Qwen, Hermes, Llama, Granite); `<function=NAME>` with `<parameter=KEY>`
(Qwen3.5, Qwen3-Coder, Nemotron); `<arg_key>` with `<arg_value>` (GLM); `[name(key='value')]` (LFM2); `call:name{...}`
(Gemma 4); a channel to `functions.name` (gpt-oss). Whether a model's own template writes one of them is tried, not
looked up: a call that it renders must be read back as it was.
"""

from __future__ import annotations

import ast
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
_GLM = re.compile(
    r"<tool_call>([^\s<{]+)\s*((?:<arg_key>.*?</arg_key>\s*<arg_value>.*?</arg_value>\s*)*)</tool_call>", re.S
)
_GLM_PAIR = re.compile(r"<arg_key>(.*?)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.S)
_LFM = re.compile(r"<\|tool_call_start\|>(.*?)(?:<\|tool_call_end\|>|\Z)", re.S)
_GEMMA = re.compile(r"<\|tool_call>call:([^{\s]+)(\{.*?)<tool_call\|>", re.S)
_GEMMA_TEXT, _BARE_KEY = '<|"|>', re.compile(r"(?<=[{,])\s*([^\s\"{}\[\],:]+)\s*:")
_CHANNEL = re.compile(r"to=functions\.([^\s<]+)[^{]*<\|message\|>(\{.*?)(?:<\|call\|>|\Z)", re.S)
_MARKS = re.compile(r"(?:\s*(?:<[^<>\s]{1,40}>|\[[A-Z_]{3,}\]|```\w*|\[))+\s*\Z")
"""Marks of a template, and an open bracket, between what is said and the first call."""
CALL_MARKS = (_GEMMA_TEXT, "tool_call", "arg_key", "arg_value")
"""Special tokens of tool calls: kept when an answer that may hold a call is decoded."""
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
    said = (
        ""
        if _CHANNEL.search(text)
        else text[: found[0][0]] + text.rpartition("<tool_call|>")[2] * ("<tool_call|>" in text)
    )
    return with_calls(_MARKS.sub("", said).strip(), [call for _, call in found])


def is_read(tokenizer: Any, decode: Callable[[list[int]], str]) -> str:
    """Return why the model's calls cannot be read; empty if its rendered template is read back (by `decode`)."""
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
        read = read_answer(decode(encode(tokenizer, written)), [PROBE_TOOL])
        if number == 2 and read == with_calls("", PROBE[:1]):
            return ""  # a template may write the first call alone (gpt-oss)
        if read != with_calls("", PROBE[:number]):
            return "Rung cannot read the form in which the model's chat template writes tool calls."
    return ""


def _function(tool: Any) -> Mapping[str, Any]:
    made = tool.get("function", tool) if isinstance(tool, Mapping) else {}
    return made if isinstance(made, Mapping) else {}


def _calls(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Call]]:
    if tagged := list(_FUNCTION.finditer(text)):
        for found in tagged:
            yield found.start(), _by_schema(found[1].strip(), _PARAMETER.findall(found[2]), tools)
        return
    for form in (_glm, _lfm, _gemma, _channel):
        if calls := list(form(text, tools)):
            yield from calls
            return
    place = 0
    while (start := text.find("{", place)) >= 0:
        value, place = _object(text, start)
        if call := _call_in(value):
            yield start, call


def _by_schema(name: str, pairs: list[tuple[str, str]], tools: Mapping[str, Mapping[str, Any]]) -> Call:
    """Return a call whose values are written bare: the tool's schema says which of them are texts."""
    kinds = (tools.get(name, {}).get("parameters") or {}).get("properties") or {}
    arguments = {key.strip(): _typed(value, kinds.get(key.strip())) for key, value in pairs}
    return canonical({"name": name, "arguments": arguments})


def _glm(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Call]]:
    for found in _GLM.finditer(text):
        yield found.start(), _by_schema(found[1], _GLM_PAIR.findall(found[2]), tools)


def _lfm(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Call]]:
    """Yield calls written as Python, whose nested values may be written as JSON. Nothing is run."""
    for found in _LFM.finditer(text):
        try:
            calls = ast.parse(found[1].strip(), mode="eval").body
            for call in calls.elts if isinstance(calls, ast.List) else [calls]:
                if not isinstance(call, ast.Call) or call.args:
                    return
                arguments = {str(each.arg): ast.literal_eval(_JsonNames().visit(each.value)) for each in call.keywords}
                yield found.start(), canonical({"name": ast.unparse(call.func), "arguments": arguments})
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return


class _JsonNames(ast.NodeTransformer):
    """`null`, `true` and `false` as Python has them."""

    def visit_Name(self, node: ast.Name) -> ast.AST:
        known = {"null": None, "true": True, "false": False}
        return ast.Constant(known[node.id]) if node.id in known else node


def _gemma(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Call]]:
    """Yield calls whose keys are bare and whose texts are between marks of their own: JSON, once both are quoted."""
    for found in _GEMMA.finditer(text):
        parts = found[2].split(_GEMMA_TEXT)
        bare = [_BARE_KEY.sub(r'"\1":', part).replace("None", "null") for part in parts[::2]]
        texts = [json.dumps(part) for part in parts[1::2]]
        joined = "".join(part for pair in zip(bare, [*texts, ""], strict=False) for part in pair)
        arguments, _ = _object(joined, 0)
        if isinstance(arguments, dict):
            yield found.start(), canonical({"name": found[1], "arguments": arguments})


def _channel(text: str, tools: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[int, Call]]:
    for found in _CHANNEL.finditer(text):
        arguments, _ = _object(found[2], 0)
        if isinstance(arguments, dict):
            yield found.start(), canonical({"name": found[1], "arguments": arguments})


def _object(text: str, start: int) -> tuple[Any, int]:
    try:
        return _decode(text, start)
    except (ValueError, RecursionError):
        return None, start + 1


def _call_in(value: Any) -> Call | None:
    """Return the call that an object of JSON is, as OpenAI or as Llama writes it."""
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
