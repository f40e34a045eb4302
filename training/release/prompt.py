"""The commonest honest ending: the best prompted arm, as files that run without a language model of one's own.

`messages(question)` gives what the model is sent; `answer(question, url, model)` asks an OpenAI-style endpoint.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chat.protocols import Turn
from curation.example import Example
from evaluation.arms.material import Material, Prompt, with_examples
from evaluation.arms.registry import ARMS
from evaluation.documents import Chunk
from workspace.errors import RungError

PARTS = "prompt.json"
PLACE = "{{question}}"
MANY = 1_000_000
"""Validation items, so that every setting that an arm ever tries is among its variants."""

FUNCTION = '''"""The released prompt as a function. Needs the program that made it: pip install rung

>>> from answer import messages, answer
>>> messages("...")                                                   # what the model is sent
>>> answer("...", "http://localhost:8000/v1", "model-name")           # asks an OpenAI-style endpoint
"""

from pathlib import Path

from training.release.prompt import load_prompt

PROMPT = load_prompt(Path(__file__).parent)
messages = PROMPT.messages
answer = PROMPT.answer
'''


class ReleasedPrompt:
    """A prompted arm with its text, examples, passages and settings."""

    def __init__(self, parts: dict[str, Any]) -> None:
        self.parts = parts
        self._render = _render(parts)

    def messages(self, question: str | Sequence[Turn]) -> list[dict[str, Any]]:
        """What the model is sent: for a text, or for turns up to where the assistant speaks."""
        turns = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
        return [dict(turn) for turn in self._render(turns)]

    def request(self, question: str | Sequence[Turn], model: str) -> dict[str, Any]:
        """The body of an OpenAI-style request, greedy as it was measured."""
        return {
            "model": model,
            "messages": self.messages(question),
            "temperature": 0,
            "max_tokens": self.parts["max_tokens"],
        }

    def answer(self, question: str | Sequence[Turn], url: str, model: str, key: str = "none") -> str:
        """Ask `url` (an endpoint's base, as http://localhost:8000/v1) and return the text of its answer."""
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
        body = json.dumps(self.request(question, model)).encode()
        asked = urllib.request.Request(f"{url.rstrip('/')}/chat/completions", body, headers)
        with urllib.request.urlopen(asked, timeout=120) as reply:  # nosec B310  the address that the caller named
            return str(json.load(reply)["choices"][0]["message"]["content"])


def load_prompt(folder: Path) -> ReleasedPrompt:
    """The prompt released in this folder."""
    return ReleasedPrompt(json.loads((folder / PARTS).read_text(encoding="utf-8")))


def parts_of(arm: str, settings: dict[str, Any], material: Material, max_tokens: int) -> dict[str, Any]:
    """Everything that the arm needs, as JSON. Examples and documents only where the arm uses them.

    Raises RungError where no setting of the arm today is the one that was measured: its files changed since.
    """
    parts: dict[str, Any] = {"arm": arm, "settings": settings, "max_tokens": max_tokens}
    prompt = _measured(settings, material)
    parts["prompt"] = None if prompt is None else {"name": prompt.name, "text": prompt.text}
    uses_rows, uses_documents = "k" in settings, "passages" in settings
    parts["examples"] = [dict(row.row) for row in _shown(settings, material)] if uses_rows else []
    parts["documents"] = [[c.id, c.file, c.text] for c in material.documents] if uses_documents else []
    parts["few_shot"], parts["retrieved"] = material.few_shot, material.retrieved
    _render(parts)
    return parts


def _shown(settings: dict[str, Any], material: Material) -> Sequence[Example]:
    """The rows that the arm shows: those it was measured with, in their order, where it names them; else all.

    A freeze may have moved other rows since, so static examples are found by their hash and not chosen again.
    """
    if "examples" not in settings:
        return material.examples
    known = {row.content_hash[:8]: row for row in material.examples}
    return [known[name] for name in settings["examples"] if name in known]


def _measured(settings: dict[str, Any], material: Material) -> Prompt | None:
    """The instruction that the settings name."""
    known = [p for p in (*material.prompts, *material.proposals, material.base) if p is not None]
    return next((prompt for prompt in known if prompt.name == settings.get("prompt")), None)


def _render(parts: dict[str, Any]) -> Any:
    prompt = Prompt(**parts["prompt"]) if parts["prompt"] else None
    named = parts["settings"].get("examples", ())
    if named and len(parts["examples"]) == len(named):
        shown = tuple(Example(row) for row in parts["examples"])
        return lambda turns: with_examples(turns, prompt, shown)
    material = Material(
        base=prompt,
        prompts=(prompt,) if prompt else (),
        proposals=(prompt,) if prompt else (),
        examples=tuple(Example(row) for row in parts["examples"]),
        documents=tuple(Chunk(*chunk) for chunk in parts["documents"]),
        few_shot=parts["few_shot"],
        retrieved=parts["retrieved"],
        choosing=MANY,
        instructions=(prompt,),
    )
    for variant in ARMS[parts["arm"]].variants(material):
        if json.loads(json.dumps(dict(variant.settings))) == parts["settings"] and variant.render is not None:
            return variant.render
    raise RungError(
        f"The arm {parts['arm']} as it was measured cannot be made from today's prompts and rows: {parts['settings']}.",
        "rung baseline",
    )
