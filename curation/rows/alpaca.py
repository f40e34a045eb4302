"""Alpaca rows: `instruction`, `input`, `output`; `system` and `history` are read, as LLaMA-Factory has them.

Dolly calls the same `instruction`, `context`, `response`.
"""

from __future__ import annotations

from typing import Any

from curation.example import Example
from curation.rows.jsonline import Malformed, kind_of
from curation.rows.names import CannotHold, free, need_text, others, rest, single


def read(row: dict[str, Any], unanswered: bool = False) -> dict[str, Any]:
    """The question is instruction and input joined by a newline; `input` stays beside, to be parted again."""
    more, said = ("input", "output") if "output" in row else ("context", "response")
    instruction, output = need_text(row, "instruction"), need_text(row, said)
    extra = row.get(more)
    if extra is not None and type(extra) is not str:
        raise Malformed(more, f'"{more}" must be a text, found {kind_of(extra)}.')
    free(row, "messages")
    question = f"{instruction}\n{extra}" if extra else instruction
    messages = [*_system(row), *_history(row), {"role": "user", "content": question}]
    messages.append({"role": "assistant", "content": output})
    kept = {"input": extra} if extra else {}
    return {"messages": messages, **kept, **rest(row, "instruction", more, said, "system", "history")}


def write(example: Example) -> dict[str, Any]:
    """One question and one answer; a key `input` that ends the question is parted from it again."""
    question, answer = single(example, "Alpaca")
    other = others(example)
    for key in ("instruction", "output", "system", "history"):
        if key in other:
            raise CannotHold(key, f'the other key "{key}" is one that an Alpaca row uses itself; rename it.')
    extra = other.pop("input", "")
    if not isinstance(extra, str):
        raise CannotHold("input", 'the other key "input" is no text; Alpaca uses it itself: rename it.')
    instruction = question.removesuffix(f"\n{extra}") if extra else question
    if extra and (instruction == question or not instruction):
        raise CannotHold("input", 'the other key "input" is not the end of the question; rename it.')
    return {"instruction": instruction, "input": extra, "output": answer, **other}


def _system(row: dict[str, Any]) -> list[dict[str, Any]]:
    system = row.get("system")
    if system is None or system == "":
        return []
    return [{"role": "system", "content": need_text(row, "system")}]


def _history(row: dict[str, Any]) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = []
    for number, pair in enumerate(row.get("history") or []):
        if type(pair) is not list or len(pair) != 2 or not all(type(text) is str and text for text in pair):
            raise Malformed(f"history[{number}]", '"history" must hold pairs of texts: question, answer.')
        messages += [{"role": "user", "content": pair[0]}, {"role": "assistant", "content": pair[1]}]
    return messages
