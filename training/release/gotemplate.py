"""The part of Go's text/template that our Modelfiles use, rendered as Ollama does: to compare tokens without Ollama.

`{{ range .Messages }}`, `{{ if eq .Role "x" }}`, `{{ else if eq .Role "x" }}`, `{{ else }}`, `{{ end }}`,
`{{ .Content }}` and quoted text; `{{-` and `-}}` trim the white space beside them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from workspace.errors import RungError

TOKEN = re.compile(r"\{\{(-?)\s*(.*?)\s*(-?)\}\}", re.DOTALL)
ROLE = re.compile(r'(?:else )?if eq \.Role ("(?:[^"\\]|\\.)*")')


@dataclass
class _Block:
    """A run of nodes: text, ("content",), or a block of its own; a branch has (role or None, block) pairs."""

    kind: str
    nodes: list[object] = field(default_factory=list)
    branches: list[tuple[str | None, _Block]] = field(default_factory=list)


def render(template: str, turns: Sequence[Mapping[str, str]]) -> str:
    """What Ollama would send for these messages. Raises RungError for anything outside the part that is known."""
    root = _Block("text")
    _parse(_tokens(template), root)
    return _write(root, turns, None)


def quoted(text: str) -> str:
    """A text as a literal of the template, so that no white space or brace of it is ever trimmed or read."""
    return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""


def _tokens(template: str) -> list[tuple[bool, str]]:
    """(is action, text) in order, trimmed as the markers say."""
    found: list[tuple[bool, str]] = []
    place, trim = 0, False
    for match in TOKEN.finditer(template):
        text = template[place : match.start()]
        text = text.lstrip() if trim else text
        found += [(False, text.rstrip() if match[1] else text), (True, match[2])]
        place, trim = match.end(), bool(match[3])
    rest = template[place:]
    return [(action, text) for action, text in [*found, (False, rest.lstrip() if trim else rest)] if text]


def _parse(tokens: list[tuple[bool, str]], root: _Block) -> None:
    open_: list[_Block] = [root]
    for action, text in tokens:
        if not action:
            _place(open_).append(text)
        elif text.startswith('"') or text == ".Content":
            _place(open_).append(json.loads(text) if text.startswith('"') else None)
        else:
            _act(text, open_)
    if len(open_) > 1:
        raise RungError("A Modelfile's template does not end what it begins.")


def _act(text: str, open_: list[_Block]) -> None:
    """What opens, turns or ends a block."""
    if text == "range .Messages":
        _begin(open_, _Block("range"))
    elif text == "end" and len(open_) > 1:
        open_.pop()
    elif (role := ROLE.fullmatch(text)) is not None:
        _branch(open_, json.loads(role[1]), text.startswith("else"))
    elif text == "else" and open_[-1].kind == "if":
        open_[-1].branches.append((None, _Block("text")))
    else:
        raise RungError(f"A Modelfile's template holds {{{{ {text} }}}}, which is not known here.")


def _place(open_: list[_Block]) -> list[object]:
    """Where the next node goes: into the last branch of an `if`."""
    last = open_[-1]
    return last.branches[-1][1].nodes if last.kind == "if" else last.nodes


def _begin(open_: list[_Block], block: _Block) -> None:
    _place(open_).append(block)
    open_.append(block)


def _branch(open_: list[_Block], role: str, further: bool) -> None:
    if not further:
        _begin(open_, _Block("if"))
    elif open_[-1].kind != "if":
        raise RungError("A Modelfile's template has an else without its if.")
    open_[-1].branches.append((role, _Block("text")))


def _write(block: _Block, turns: Sequence[Mapping[str, str]], turn: Mapping[str, str] | None) -> str:
    if block.kind == "if":
        assert turn is not None
        chosen = next((b for role, b in block.branches if role in (None, turn["role"])), None)
        return _write(chosen, turns, turn) if chosen else ""
    each = turns if block.kind == "range" else [turn]
    return "".join(_node(node, turns, one) for one in each for node in block.nodes)


def _node(node: object, turns: Sequence[Mapping[str, str]], turn: Mapping[str, str] | None) -> str:
    if isinstance(node, _Block):
        return _write(node, turns, turn)
    return (turn or {}).get("content", "") if node is None else str(node)
