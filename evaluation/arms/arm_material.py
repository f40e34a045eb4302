"""Material of an arm: what its prompts may use, and the prompts. Never holds a test row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chat.protocols import Turn
from curation.example import Example
from evaluation.retrieval import Meanings, Passage
from workspace.files import read_utf8, sha256_bytes, write_bytes
from workspace.folder import Project
from workspace.settings import EvaluationSettings

OLD = "old"
Render = Callable[[Sequence[Turn]], tuple[Turn, ...]]
"""Maps an item's turns, up to the assistant's (never its answer), to the messages for the model."""


@dataclass(frozen=True, slots=True)
class PromptVersion:
    """A version of an instruction: `name` is its file, `text` becomes the system message.

    `search` is how it was just found: answers asked for, and the best score on validation by then.
    """

    name: str
    text: str
    search: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True, slots=True)
class ArmMaterial:
    """Prompts, example rows and documents. `examples` are rows that may be shown: reviewed or frozen train rows that
    the leakage check cleared. `instructions` are those that the arms above `prompt` are tried with, the best one last;
    `choosing` is the number of validation items, `optimise` has the limits of the arm `optimised`, `bigger` is the name
    of another model that may be asked; with `meanings` rows and passages are searched by embeddings too. Classifiers
    are calibrated on `validation`; `encoder` embeds texts for one of them, with `tune_encoder` also after it was tuned
    on the rows.
    """

    base: PromptVersion | None = None
    prompts: tuple[PromptVersion, ...] = ()
    examples: tuple[Example, ...] = ()
    documents: tuple[Passage, ...] = ()
    few_shot: int = 8
    retrieved: int = 4
    closed: bool = False
    choosing: int = 0
    instructions: tuple[PromptVersion | None, ...] = (None,)
    proposals: tuple[PromptVersion, ...] = ()
    bigger: str = ""
    optimise: EvaluationSettings | None = None
    meanings: Meanings | None = None
    validation: tuple[Example, ...] = ()
    encoder: Meanings | None = None
    tune_encoder: bool = False

    def knowing(self, *instructions: PromptVersion | None) -> ArmMaterial:
        """Return the same, with the instructions that validation left."""
        return replace(self, instructions=tuple(dict.fromkeys(instructions)))


@dataclass(frozen=True, slots=True)
class Variant:
    """One setting of an arm. Prompted arms have `render`; a classifier has `predict`, from questions to answers, and
    `sure`, the probability of each of them.

    `shown` gives the ids of the documents that `render` puts before the model, for retrieval recall.
    """

    settings: Mapping[str, Any]
    render: Render | None = None
    predict: Callable[[Sequence[str]], list[str]] | None = None
    sure: Callable[[Sequence[str]], list[float]] | None = None
    prompt: PromptVersion | None = None
    shown: Callable[[Sequence[Turn]], Sequence[Passage]] | None = None


def question_of(turns: Sequence[Turn]) -> str:
    """Return the contract's question of an item, from its turns."""
    return Example({"messages": list(turns)}).question


def instructed(turns: Sequence[Turn], prompt: PromptVersion | None) -> tuple[Turn, ...]:
    """Return the turns with `prompt` instead of their system message; with None as they are."""
    if prompt is None:
        return tuple(turns)
    return ({"role": "system", "content": prompt.text}, *(t for t in turns if t.get("role") != "system"))


def with_examples(
    turns: Sequence[Turn], prompt: PromptVersion | None, examples: Sequence[Example], *, before: str = ""
) -> tuple[Turn, ...]:
    """System message, the examples as finished exchanges, then the item; `before` is put before its last message."""
    whole = list(instructed(turns, prompt))
    head = [t for t in whole if t.get("role") == "system"]
    tail = [dict(t) for t in whole if t.get("role") != "system"]
    if before and tail:
        tail[-1]["content"] = f"{before}\n\n{tail[-1].get('content', '')}"
    shown = [t for example in examples for t in example.messages if t.get("role") != "system"]
    return (*head, *shown, *tail)


def prompt_name(prompt: PromptVersion | None) -> str:
    """Return the name of an instruction in settings and reports; the row's own if there is no file."""
    return prompt.name if prompt else "as in the row"


def read_prompts(project: Project) -> tuple[PromptVersion | None, tuple[PromptVersion, ...]]:
    """`prompts/base.md`, and every version of the prompt: `prompts/prompt.md`, `prompts/prompt.*.md`."""
    files = [p for p in sorted(project.prompts.glob("prompt*.md")) if p.stem.split(".")[0] == "prompt"]
    base = project.prompts / "base.md"
    return _read(base) if base.is_file() else None, tuple(filter(None, map(_read, files)))


def keep_versions(project: Project) -> None:
    """Copy each prompt file to `prompts/old/NAME.HASH.md`: a report names its hash, and it may be edited later."""
    for path in filter(Path.is_file, sorted(project.prompts.glob("*.md"))):
        keep_version(path, path.read_bytes())


def keep_version(path: Path, text: bytes) -> Path:
    """Keep a text of this file as `old/NAME.HASH` beside it; returns where."""
    kept = path.parent / OLD / f"{path.stem}.{sha256_bytes(text)[:8]}{path.suffix}"
    if not kept.exists():
        write_bytes(kept, text)
    return kept


def read_proposals(project: Project) -> tuple[PromptVersion, ...]:
    """`prompts/optimised.*.md`: instructions that a model proposed."""
    return tuple(filter(None, map(_read, sorted(project.prompts.glob("optimised.*.md")))))


def _read(path: Path) -> PromptVersion | None:
    text = read_utf8(path).strip()
    return PromptVersion(path.name, text) if text else None
