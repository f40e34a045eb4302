"""Turns into text and tokens, as the model's own chat template says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chat.protocols import Ask, Turn
from workspace.errors import RungError


def render(tokenizer: Any, turns: Sequence[Turn], tools: Any = None) -> str:
    """The template's text, open for the assistant. A template without a system role gets it inside the first turn.

    Raises RungError where the model has no chat template or its template refuses the turns.
    """
    if not getattr(tokenizer, "chat_template", None):
        raise RungError(
            "The model has no chat template, so it is not made for questions and answers.",
            "Name an instruct model, or put chat_template.jinja into its folder.",
        )
    first_error: Exception | None = None
    for version in (list(turns), system_folded(turns)):
        try:
            text = tokenizer.apply_chat_template(version, tools=tools, tokenize=False, add_generation_prompt=True)
            return str(text)
        except Exception as error:  # a template raises whatever its author chose
            first_error = first_error or error
    raise RungError(f"The model's chat template refuses these messages: {first_error}") from first_error


def encode(tokenizer: Any, text: str) -> list[int]:
    """Token ids of rendered text; the template has put the special tokens in."""
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
    """How many leading tokens all sequences share, leaving each at least one of its own."""
    if not sequences:
        return 0
    low, high = min(sequences), max(sequences)
    limit = min(len(sequence) for sequence in sequences) - 1
    for place in range(max(limit, 0)):
        if low[place] != high[place]:
            return place
    return max(limit, 0)


def system_folded(turns: Sequence[Turn]) -> list[Mapping[str, Any]]:
    """The same turns with the system text at the head of the first user turn."""
    system = "\n".join(str(turn["content"]) for turn in turns if turn["role"] == "system")
    others = [turn for turn in turns if turn["role"] != "system"]
    if not system or not others:
        return list(turns)
    return [{**others[0], "content": f"{system}\n\n{others[0]['content']}"}, *others[1:]]
