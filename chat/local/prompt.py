"""Turns into text and tokens, as the model's own chat template says; and tool calls in what a model writes, read back.

An object of JSON with name and arguments (Qwen, Hermes, Llama, Granite); `<function=NAME>` with `<parameter=KEY>`
(Qwen3.5, Qwen3-Coder, Nemotron); `<arg_key>` with `<arg_value>` (GLM); `[name(key='value')]` (LFM2); `call:name{...}`
(Gemma 4); a channel to `functions.name` (gpt-oss). Whether a model's own template writes one of them is tried, not
looked up: a call that it renders must be read back as it was.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chat.protocols import Ask, Turn
from chat.tool_calls import Call, calls_of, canonical, for_template, functions_of, with_calls
from workspace.errors import RungError


def render(tokenizer: Any, turns: Sequence[Turn], tools: Any = None) -> str:
    """Return the template's text, open for the assistant. Without a system role the first turn holds that text.

    Raises RungError if the model has no chat template or its template refuses the turns.
    """
    return _rendered(tokenizer, turns, tools, opened=True)


def render_whole(tokenizer: Any, turns: Sequence[Turn], tools: Any = None) -> str:
    """Return the template's text of finished turns, closed as the template closes it.

    Raises RungError as `render` does, and where the template leaves out a tool call of the last turn.
    """
    text, calls = _rendered(tokenizer, turns, tools, opened=False), calls_of(turns[-1])
    last = text[common_beginning([render(tokenizer, turns[:-1], tools), text]) :] if calls else ""
    for call in calls:
        missing = [name for name in (call["name"], *call["arguments"]) if str(name) not in last]
        if missing:
            raise RungError(
                f'The model\'s chat template writes no tool calls: "{missing[0]}" of the answer is not in its text.',
                "Name a model whose template has tool calls, or take the rows whose answer is a call out.",
            )
    return text


def _rendered(tokenizer: Any, turns: Sequence[Turn], tools: Any, *, opened: bool) -> str:
    """Return the first text that the template makes of the turns. Where there are calls it is given their arguments as
    objects, and as texts of JSON if it cannot write objects: templates are made for one of the two.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise RungError(
            "The model has no chat template, so it is not made for questions and answers.",
            "Name an instruct model, or put chat_template.jinja into its folder.",
        )
    first_error: Exception | None = None
    called = [call for turn in turns for call in calls_of(turn)]
    written = {str(call["arguments"]) for call in called if call["arguments"]}
    for version in (for_template(turns), *([for_template(turns, as_text=True)] if called else [])):
        for shape in (version, system_folded(version)):
            try:
                text = str(
                    tokenizer.apply_chat_template(shape, tools=tools, tokenize=False, add_generation_prompt=opened)
                )
            except Exception as error:  # a template raises whatever its author chose
                first_error = first_error or error
                continue
            if not any(python in text for python in written):
                return text
            first_error = first_error or ValueError("it writes the arguments of tool calls as Python, not as JSON")
    told = f"The model's chat template refuses these messages: {first_error}"
    raise RungError(told, where="chat_template") from first_error


def common_beginning(parts: Sequence[Any]) -> int:
    """Return the length that texts, or lists of tokens, begin alike: what the first and the last in order share."""
    low, high = min(parts), max(parts)
    return next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), min(len(low), len(high)))


def encode(tokenizer: Any, text: str) -> list[int]:
    """Return the token ids of rendered text; the template has put the special tokens in."""
    return list(tokenizer.encode(text, add_special_tokens=False))


def encode_ask(tokenizer: Any, ask: Ask) -> list[int]:
    """Token ids of one ask's prompt."""
    return encode(tokenizer, render(tokenizer, ask.turns, ask.meta.get("tools")))


def encode_after(tokenizer: Any, prompt: str, answers: Sequence[str]) -> list[list[int]]:
    """Token ids of each answer as it follows `prompt`: some tokenizers begin a text differently than they go on."""
    start = encode(tokenizer, prompt)
    found = []
    for answer in answers:
        whole = encode(tokenizer, prompt + answer)
        fits = whole[: len(start)] == start and len(whole) > len(start)
        found.append(whole[len(start) :] if fits else encode(tokenizer, answer))
    return found


def shared_prefix(sequences: Sequence[list[int]]) -> int:
    """Return the number of leading tokens that all sequences share, leaving each at least one of its own."""
    if not sequences:
        return 0
    limit = min(len(sequence) for sequence in sequences) - 1
    return max(0, min(limit, common_beginning(sequences)))


def system_folded(turns: Sequence[Turn]) -> list[Turn]:
    """Return the same turns with the system text at the head of the first user turn."""
    system = "\n".join(str(turn["content"]) for turn in turns if turn["role"] == "system")
    others = [turn for turn in turns if turn["role"] != "system"]
    if not system or not others:
        return list(turns)
    return [{**others[0], "content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]


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
    named = {str(made.get("name")): made for made in functions_of(tools)}
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
        written = whole[common_beginning([asked, whole]) :]
        read = read_answer(decode(encode(tokenizer, written)), [PROBE_TOOL])
        if number == 2 and read == with_calls("", PROBE[:1]):
            return ""  # a template may write the first call alone (gpt-oss)
        if read != with_calls("", PROBE[:number]):
            return "Rung cannot read the form in which the model's chat template writes tool calls."
    return ""


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
