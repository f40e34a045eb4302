"""The commonest honest ending: the best prompted arm, as files that run without a language model of one's own.

`messages(question)` gives what the model is sent; `answer(question, url, model)` asks an OpenAI-style endpoint.
"""

import json
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from chat.protocols import Turn
from curation.example import Example
from curation.split.manifest import load_split
from evaluation.arms.arm_material import ArmMaterial, PromptVersion, read_prompts, read_proposals, with_examples
from evaluation.arms.registry import ARMS
from evaluation.bench import rows_for
from evaluation.measurement_report import Report
from evaluation.retrieval import Passage, read_documents
from training.release.releases import ReleasedForm, folder_bytes
from workspace.errors import Refusal, RungError
from workspace.files import says, write_text
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import Settings

PARTS = "prompt.json"
PLACE = "{{question}}"
MANY = 1_000_000
"""Validation items, so that every setting that an arm ever tries is among its variants."""

FUNCTION = '''"""The released prompt as a function. Needs Rung, the program that made it

>>> from answer import messages, answer
>>> messages("...")                                                   # what the model is sent
>>> answer("...", "http://localhost:8000/v1", "model-name")           # asks an OpenAI-style endpoint
"""

from pathlib import Path

from training.release.released_prompt import load_prompt

PROMPT = load_prompt(Path(__file__).parent)
messages = PROMPT.messages
answer = PROMPT.answer
'''


class PromptParts(TypedDict, total=False):
    """`prompt.json`: the arm with all that it needs. `documents` are (id, file, text)."""

    arm: str
    settings: Mapping[str, Any]
    max_tokens: int
    prompt: dict[str, str] | None
    examples: list[JsonObject]
    documents: list[list[str]]
    few_shot: int
    retrieved: int
    note: str


class ReleasedPrompt:
    """A prompted arm with its text, examples, passages and settings."""

    def __init__(self, parts: PromptParts) -> None:
        self.parts = parts
        self._render = _render(parts)

    def messages(self, question: str | Sequence[Turn]) -> list[JsonObject]:
        """Return the messages for the model: for a text, or for turns up to the assistant's."""
        turns = [{"role": "user", "content": question}] if isinstance(question, str) else list(question)
        return [dict(turn) for turn in self._render(turns)]

    def request(self, question: str | Sequence[Turn], model: str) -> JsonObject:
        """Return the body of an OpenAI-style request, greedy as it was measured."""
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
    """Return the prompt released in this folder."""
    return ReleasedPrompt(json.loads((folder / PARTS).read_text(encoding="utf-8")))


def parts_of(arm: str, settings: Mapping[str, Any], material: ArmMaterial, max_tokens: int) -> PromptParts:
    """Return all that the arm needs, as JSON. Examples and documents only if the arm uses them.

    Raises RungError if no setting of the arm today is the one that was measured: its files changed since.
    """
    prompts = (*material.prompts, *material.proposals, material.base)
    prompt = next((each for each in prompts if each is not None and each.name == settings.get("prompt")), None)
    examples: Sequence[Example] = material.examples if "k" in settings else ()
    if "examples" in settings:  # by their hash: a freeze may have moved other rows since they were chosen
        known = {row.content_hash[:8]: row for row in examples}
        examples = [known[name] for name in settings["examples"] if name in known]
    parts: PromptParts = {
        "arm": arm,
        "settings": settings,
        "max_tokens": max_tokens,
        "prompt": None if prompt is None else {"name": prompt.name, "text": prompt.text},
        "examples": [dict(row.row) for row in examples],
        "documents": [[c.id, c.file, c.text] for c in material.documents] if "passages" in settings else [],
        "few_shot": material.few_shot,
        "retrieved": material.retrieved,
    }
    _render(parts)
    return parts


def _render(parts: PromptParts) -> Any:
    prompt = PromptVersion(parts["prompt"]["name"], parts["prompt"]["text"]) if parts["prompt"] else None
    named = parts["settings"].get("examples", ())
    if named and len(parts["examples"]) == len(named):
        shown = tuple(Example(row) for row in parts["examples"])
        return lambda turns: with_examples(turns, prompt, shown)
    material = ArmMaterial(
        base=prompt,
        prompts=(prompt,) if prompt else (),
        proposals=(prompt,) if prompt else (),
        examples=tuple(Example(row) for row in parts["examples"]),
        documents=tuple(Passage(*chunk) for chunk in parts["documents"]),
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


def make_prompt(project: Project, settings: Settings, report: Report, folder: Path) -> ReleasedForm:
    """Return the chosen arm's text, examples, settings, function, request. Refusal for a changed prompt file."""
    arm = next(result for result in report.arms if result.arm == report.chosen)
    for name, digest in report.made_from.items():
        if name.startswith("prompts/") and not says(project.root / name, digest):
            raise Refusal(f"{name} changed since {report.id} measured it.", "rung baseline")
    material = _material(project, settings, report, named="examples" in arm.settings)
    parts = parts_of(arm.arm, arm.settings, material, settings.model.max_tokens)
    if arm.form == "held":
        parts["note"] = "Measured with the answer held to the closed set; an endpoint needs guided choice for that."
    write_text(folder / PARTS, json.dumps(parts, ensure_ascii=False, indent=1) + "\n")
    write_text(folder / "answer.py", FUNCTION)
    request = ReleasedPrompt(parts).request(PLACE, report.model)
    write_text(folder / "request.json", json.dumps(request, ensure_ascii=False, indent=1) + "\n")
    if parts["prompt"]:
        write_text(folder / "prompt.md", parts["prompt"]["text"] + "\n")
    facts: JsonObject = {name: getattr(arm, name) for name in ("arm", "form", "score", "low", "high", "n", "settings")}
    facts |= {"examples": len(parts["examples"]), "passages": len(parts["documents"])}
    size = folder_bytes(folder)
    return ReleasedForm(form="prompt", folder="prompt", bytes=size, against="is the arm", facts=facts)


def _material(project: Project, settings: Settings, report: Report, *, named: bool) -> ArmMaterial:
    """Return an arm's material; validation rows too if the report names examples: a freeze may have moved one."""
    base, prompts = read_prompts(project)
    folder = project.datasets / report.dataset
    rows = rows_for(project, settings, folder, load_split(folder, "test"))
    return ArmMaterial(
        base=base,
        prompts=prompts,
        proposals=read_proposals(project),
        examples=(*rows.examples, *rows.validation) if named else rows.examples,
        documents=read_documents(project.documents),
        few_shot=settings.evaluation.few_shot,
        retrieved=settings.evaluation.retrieved,
    )
