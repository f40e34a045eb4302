"""Turns into text and tokens, as the model's own chat template says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chat.protocols import Ask, Turn
from chat.tool_calls import calls_of, for_template
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
    last = text[parting(render(tokenizer, turns[:-1], tools), text) :] if calls else ""
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


def parting(one: Sequence[Any], other: Sequence[Any]) -> int:
    """Return the place from which two texts, or lists of tokens, differ."""
    shortest = min(len(one), len(other))
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shortest)


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
    return max(0, min(limit, parting(min(sequences), max(sequences))))


def system_folded(turns: Sequence[Turn]) -> list[Turn]:
    """Return the same turns with the system text at the head of the first user turn."""
    system = "\n".join(str(turn["content"]) for turn in turns if turn["role"] == "system")
    others = [turn for turn in turns if turn["role"] != "system"]
    if not system or not others:
        return list(turns)
    return [{**others[0], "content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]
