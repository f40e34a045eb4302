"""What a strategy is: orders out of material, and a row out of each reply."""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from chat.protocols import Ask
from curation.generate.material import LABELS_LISTED, Material, Passage, last_user, shown
from curation.generate.template import Prompt
from curation.store import StoredRow
from workspace.errors import RungError, did_you_mean

VARIATIONS = (
    "",
    "Make it shorter, as someone in a hurry writes.",
    "Make it longer and more complete, without a new fact.",
    "Write it as a beginner in the field would.",
    "Write it as an expert would, with the usual abbreviations.",
    "Begin with another part of the sentence.",
    "Use plain everyday words.",
    "Write it as a note to a colleague.",
)
WARMTH = 0.7
"""Temperature from the second round over the seeds on, where the model takes one; the first round is greedy."""


class Misfit(Exception):
    """A reply that is not a row: `str(misfit)` is the reason, as it is counted."""


@dataclass(frozen=True)
class Order:
    """One request: what is asked, and what the reply is put together with."""

    strategy: str
    ask: Ask
    prompt: Prompt
    seed: StoredRow | None = None
    passage: Passage | None = None
    label: str = ""
    place: Mapping[str, Any] = field(default_factory=dict)
    learnt: int = 0
    """Reviewed drafts that the prompt shows, as examples or as counter-examples."""


@dataclass(frozen=True, slots=True)
class Subject:
    """What one order is about, before the prompt is filled."""

    seed: StoredRow | None = None
    passage: Passage | None = None
    label: str = ""


class Strategy(ABC):
    """Base of all strategies: subjects in turn, round after round, each round with another variation."""

    name: ClassVar[str] = ""
    about: ClassVar[str] = ""
    max_tokens: ClassVar[int] = 160
    schema: ClassVar[Mapping[str, Any] | None] = None
    once: ClassVar[bool] = False
    """Whether a second round over the same subjects makes no sense."""

    @abstractmethod
    def subjects(self, material: Material) -> list[Subject]:
        """What there is to work on, in order. Raises Refusal where there is nothing."""

    @abstractmethod
    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The candidate row. Raises Misfit."""

    def closed(self, material: Material) -> tuple[str, ...]:
        """The set that replies must come from; empty for free replies."""
        return ()

    def limit(self, subject: Subject) -> int:
        """Most tokens of a reply."""
        return self.max_tokens

    def survives_cut(self, order: Order, text: str) -> bool:
        """Whether a reply that the token limit cut is whole all the same."""
        return False

    def orders(self, material: Material, prompt: Prompt, count: int) -> Iterator[Order]:
        """Up to `count` orders, always the same ones for the same material."""
        subjects = self.subjects(material)
        for number in range(min(count, len(subjects)) if self.once else count):
            turn, place = divmod(number, len(subjects))
            subject = subjects[place]
            values = {**self.values(material, subject), "variation": VARIATIONS[turn % len(VARIATIONS)]}
            meta: dict[str, Any] = {"schema": self.schema} if self.schema else {}
            if turn:
                meta |= {"temperature": WARMTH, "seed": turn}
            examples = kept_pairs(material, self.name) if prompt.shows("examples") else ()
            ask = Ask(prompt.turns(values, examples), self.limit(subject), self.closed(material), meta)
            shows = sum(values[place].count("\n") for place in ("examples", "avoid") if prompt.shows(place))
            yield Order(self.name, ask, prompt, subject.seed, subject.passage, subject.label, learnt=shows)

    def values(self, material: Material, subject: Subject) -> dict[str, str]:
        """What the template may show."""
        seed = subject.seed
        labels = material.labels
        values = {
            "question": last_user(seed) if seed else "",
            "answer": (seed.example.answer or "") if seed else "",
            "label": subject.label,
            "labels": _listed(labels),
            "samples": shown([row for row in material.seeds if row is not seed]),
            "guideline": f"Guideline:\n{material.guideline.strip()}" if material.guideline.strip() else "",
            "document": subject.passage.text if subject.passage else "",
            "examples": learnt(material, self.name),
            "avoid": warned(material, self.name),
        }
        return values


def kept_pairs(material: Material, strategy: str) -> list[tuple[str, str]]:
    """Drafts that reviewers kept, with the text they were made from; what an edit made of one stands in its place."""
    pairs = [(str(row.meta.get("seed_text", "")), last_user(row)) for row in material.accepted(strategy)[:3]]
    return [(before, after) for before, after in pairs if before]


def learnt(material: Material, strategy: str) -> str:
    """Kept drafts as lines, for prompts that cannot hold them as turns."""
    lines = [f"{before} -> {after}" for before, after in kept_pairs(material, strategy)]
    return "Good examples:\n" + "\n".join(lines) if lines else ""


def warned(material: Material, strategy: str) -> str:
    """What reviewers rejected: as counter-examples with their reasons, or the reasons alone for a local model.

    A small model copies a counter-example that it is shown (benchmarks/learning.py).
    """
    refused = material.refused(strategy)
    reasons = [material.reasons.get(row.decision or 0, "") for row in refused]
    if material.reasons_alone:
        told = [reason for reason, _ in Counter(filter(None, reasons)).most_common(3)]
        return "Reviewers rejected drafts for this:\n" + "\n".join(told) if told else ""
    lines = []
    for row, reason in list(zip(refused, reasons, strict=True))[:3]:
        before = row.meta.get("seed_text", "")
        lines.append(f"{before} -> {last_user(row)}" + (f"  ({reason})" if reason else ""))
    return "Reviewers rejected these; do not make the same mistake:\n" + "\n".join(lines) if lines else ""


def _listed(labels: tuple[str, ...]) -> str:
    if not labels or len(labels) > LABELS_LISTED:
        return ""
    return "Possible answers: " + " | ".join(sorted(labels))


def object_of(text: str, *keys: str) -> dict[str, str]:
    """The JSON object in a reply, fenced or not, with these keys as texts. Raises Misfit."""
    start, end = text.find("{"), text.rfind("}")
    try:
        found = json.loads(text[start : end + 1])
    except ValueError as error:
        raise Misfit("not the asked form") from error
    if not isinstance(found, dict) or not all(isinstance(found.get(key), str) for key in keys):
        raise Misfit("not the asked form")
    if not all(found[key].strip() for key in keys):
        raise Misfit("empty")
    return {key: found[key].strip() for key in keys}


def plain(text: str, like: str = "") -> str:
    """A reply without the wrapping that models put around a text: a label, quotes; one line where `like` is one.

    Raises Misfit where nothing is left.
    """
    text = text.strip()
    if is_one_line(like):
        text = next((line for line in text.splitlines() if line.strip()), "")
    text = re.sub(r"^(?:new input|input|rewritten text|paraphrase|answer|output)\s*:\s*", "", text.strip(), flags=re.I)
    for opening, closing in (('"', '"'), ("'", "'"), ("“", "”"), ("«", "»")):
        if len(text) > 1 and text[0] == opening and text[-1] == closing and opening not in text[1:-1]:
            text = text[1:-1].strip()
    if not text:
        raise Misfit("empty")
    return text


def is_one_line(text: str) -> bool:
    """Whether a text is a single line, so that the first line of a reply is all that counts."""
    return "\n" not in text.strip()


def with_question(row: StoredRow, question: str, answer: str | None = None) -> dict[str, Any]:
    """The seed's row with another last user message (and another answer); system, earlier turns and keys stay."""
    turns = [dict(turn) for turn in row.example.asked]
    last = max(place for place, turn in enumerate(turns) if turn.get("role") == "user")
    turns[last]["content"] = question
    said = row.example.answer if answer is None else answer
    return {**row.example.row, "messages": [*turns, {"role": "assistant", "content": said}]}


def fresh_row(material_row: StoredRow | None, question: str, answer: str) -> dict[str, Any]:
    """A new single-turn row with the system message of the project's rows; their other keys do not fit it."""
    system = material_row.example.system if material_row else ""
    turns = [{"role": "system", "content": system}] if system else []
    return {"messages": [*turns, {"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def find_strategy(name: str) -> Strategy:
    """The strategy of that name. Raises RungError with "did you mean"."""
    known = strategies()
    if name not in known:
        raise RungError(
            f'"{name}" is not a strategy.{did_you_mean(name, known)}', f"One of: {', '.join(known)}", found=name
        )
    return known[name]


def strategies() -> dict[str, Strategy]:
    """All strategies by name, in the order in which they are shown."""
    from curation.generate.answer_input import AnswerInput
    from curation.generate.critique import Critique
    from curation.generate.edge_cases import EdgeCases
    from curation.generate.from_documents import FromDocuments
    from curation.generate.new_input import NewInput
    from curation.generate.paraphrase import Paraphrase
    from curation.generate.preference import Preference

    every = (Paraphrase(), NewInput(), EdgeCases(), AnswerInput(), FromDocuments(), Critique(), Preference())
    return {strategy.name: strategy for strategy in every}
