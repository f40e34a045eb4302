"""The strategies of drafting: which rows or passages each starts from, what it asks, and the row that a reply makes."""

from __future__ import annotations

import json
import random
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from chat.protocols import Ask
from curation.documents import ENDINGS, listed
from curation.example import chat_row
from curation.generate.material import (
    LABELS_LISTED,
    DocumentPassage,
    DraftMaterial,
    PromptTemplate,
    last_user,
    need,
    shown,
)
from curation.likeness.words import normal, same_answer
from curation.store import StoredRow
from workspace.errors import RungError, did_you_mean
from workspace.json_types import JsonObject

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
DISTRACTORS = 3
"""Passages beside the right one: the rag arm shows four."""
WARMTH = 0.7
"""Temperature from the second round over the seeds on, where the model takes one; the first round is greedy."""


class Misfit(Exception):
    """A reply that is not a row: `str(misfit)` is the reason, as it is counted."""


@dataclass(frozen=True)
class DraftRequest:
    """One request: what is asked, and what the reply is put together with."""

    strategy: str
    ask: Ask
    prompt: PromptTemplate
    seed: StoredRow | None = None
    passage: DocumentPassage | None = None
    label: str = ""
    beside: tuple[DocumentPassage, ...] = ()
    """Other passages that the row shows."""


@dataclass(frozen=True, slots=True)
class DraftTopic:
    """Subject of one order, before the prompt is filled."""

    seed: StoredRow | None = None
    passage: DocumentPassage | None = None
    label: str = ""


class Strategy(ABC):
    """Base of all strategies: subjects in turn, round after round, each round with another variation."""

    name: ClassVar[str] = ""
    max_tokens: ClassVar[int] = 160
    schema: ClassVar[Mapping[str, Any] | None] = None
    once: ClassVar[bool] = False
    """True if a second round over the same subjects is useless."""

    def subjects(self, material: DraftMaterial) -> list[DraftTopic]:
        """Return what there is to work on, in order: the seeds. Raises Refusal if there is nothing."""
        need(material.seeds, "no row with an answer", "rung data import FILE")
        return [DraftTopic(seed) for seed in material.seeds]

    @abstractmethod
    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the candidate row. Raises Misfit."""

    def closed(self, material: DraftMaterial) -> tuple[str, ...]:
        """Return the set that replies must come from; empty for free replies."""
        return ()

    def limit(self, subject: DraftTopic) -> int:
        """Most tokens of a reply."""
        return self.max_tokens

    def survives_cut(self, order: DraftRequest, text: str) -> bool:
        """True if a reply is complete although the token limit cut it."""
        return False

    def orders(self, material: DraftMaterial, prompt: PromptTemplate, count: int) -> Iterator[DraftRequest]:
        """Up to `count` orders, always the same ones for the same material."""
        subjects = self.subjects(material)
        for number in range(min(count, len(subjects)) if self.once else count):
            turn, place = divmod(number, len(subjects))
            subject = subjects[place]
            values = {**self.values(material, subject), "variation": VARIATIONS[turn % len(VARIATIONS)]}
            meta: JsonObject = {"schema": self.schema} if self.schema else {}
            if turn:
                meta |= {"temperature": WARMTH, "seed": turn}
            examples = kept_pairs(material, self.name) if prompt.shows("examples") else ()
            ask = Ask(prompt.turns(values, examples), self.limit(subject), self.closed(material), meta)
            beside = self.beside(material, subject)
            yield DraftRequest(self.name, ask, prompt, subject.seed, subject.passage, subject.label, beside)

    def beside(self, material: DraftMaterial, subject: DraftTopic) -> tuple[DocumentPassage, ...]:
        """Return the other passages that the row shows."""
        return ()

    def values(self, material: DraftMaterial, subject: DraftTopic) -> dict[str, str]:
        """Return the values for the template's placeholders."""
        seed = subject.seed
        listed = " | ".join(sorted(material.labels)) if len(material.labels) <= LABELS_LISTED else ""
        return {
            "question": last_user(seed) if seed else "",
            "answer": (seed.example.answer or "") if seed else "",
            "label": subject.label,
            "labels": f"Possible answers: {listed}" if listed else "",
            "samples": shown([row for row in material.seeds if row is not seed]),
            "guideline": f"Guideline:\n{material.guideline.strip()}" if material.guideline.strip() else "",
            "document": subject.passage.text if subject.passage else "",
            "examples": learnt(material, self.name),
            "avoid": warned(material, self.name),
        }


def kept_pairs(material: DraftMaterial, strategy: str) -> list[tuple[str, str]]:
    """Return drafts that reviewers kept, with the text they were made from; an edited one as the edit left it."""
    kept = [row for row in material.drafts_of(strategy) if row.is_reviewed]
    pairs = [(str(row.meta.get("seed_text", "")), last_user(row)) for row in kept[:3]]
    return [(before, after) for before, after in pairs if before]


def learnt(material: DraftMaterial, strategy: str) -> str:
    """Kept drafts as lines, for prompts that cannot hold them as turns."""
    lines = [f"{before} -> {after}" for before, after in kept_pairs(material, strategy)]
    return "Good examples:\n" + "\n".join(lines) if lines else ""


def warned(material: DraftMaterial, strategy: str) -> str:
    """Return the rejected drafts as counter-examples with their reasons; for a local model the reasons alone.

    A small model copies a counter-example that it is shown (benchmarks/learning.py).
    """
    refused = [row for row in material.drafts_of(strategy) if row.state == "rejected"]
    reasons = [material.reasons.get(row.decision or 0, "") for row in refused]
    if material.reasons_alone:
        told = [reason for reason, _ in Counter(filter(None, reasons)).most_common(3)]
        return "Reviewers rejected drafts for this:\n" + "\n".join(told) if told else ""
    lines = []
    for row, reason in list(zip(refused, reasons, strict=True))[:3]:
        before = row.meta.get("seed_text", "")
        lines.append(f"{before} -> {last_user(row)}" + (f"  ({reason})" if reason else ""))
    return "Reviewers rejected these; do not make the same mistake:\n" + "\n".join(lines) if lines else ""


def object_of(text: str, *keys: str) -> dict[str, str]:
    """Return the JSON object in a reply, fenced or not, with these keys as texts. Raises Misfit."""
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
    """Return a reply without a model's wrapping (label, quotes), one line if `like` is one. Raises Misfit if empty."""
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
    """True if a text is a single line: then only the first line of a reply is used."""
    return "\n" not in text.strip()


def fresh_row(seed: StoredRow | None, question: str, answer: str) -> JsonObject:
    """Return a new single-turn row with the system message of the seed; its other keys do not fit it."""
    return chat_row(question, answer, seed.example.system if seed else "")


class Paraphrase(Strategy):
    """The seed's input in other words; answer, system message and other keys (a group, a code) stay the seed's."""

    name = "paraphrase"

    def limit(self, subject: DraftTopic) -> int:
        """Twice what the seed may need: two characters a token is dense text."""
        return min(1024, 24 + len(last_user(subject.seed)) if subject.seed else self.max_tokens)

    def survives_cut(self, order: DraftRequest, text: str) -> bool:
        """True: small models do not stop, and of a one-line text the first line is the reply."""
        return order.seed is not None and is_one_line(last_user(order.seed)) and "\n" in text.strip()

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the seed with another last user message."""
        assert order.seed is not None
        before = last_user(order.seed)
        after = plain(text, before)
        if normal(after) == normal(before):
            raise Misfit("unchanged")
        seed = order.seed.example
        turns = [dict(turn) for turn in seed.asked]
        last = max(place for place, turn in enumerate(turns) if turn.get("role") == "user")
        turns[last]["content"] = after
        return {**seed.row, "messages": [*turns, {"role": "assistant", "content": seed.answer}]}


class NewInput(Strategy):
    """An input whose answer is a given class; needs answers that repeat."""

    name = "new_input"

    def subjects(self, material: DraftMaterial) -> list[DraftTopic]:
        """Return one row of each class, rarest class first."""
        need(material.labels, "the answers are no classes (hardly any repeats)", "--strategy paraphrase")
        return [DraftTopic(material.by_answer[label][0], label=label) for label in material.labels]

    def values(self, material: DraftMaterial, subject: DraftTopic) -> dict[str, str]:
        """Samples are inputs of the class alone."""
        same = [last_user(row) for row in material.by_answer[subject.label][:4]]
        return {**super().values(material, subject), "samples": "\n".join(f"- {text}" for text in same)}

    def survives_cut(self, order: DraftRequest, text: str) -> bool:
        """True: small models do not stop, and the first line is the reply."""
        return "\n" in text.strip()

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the new input with the class as its answer."""
        return fresh_row(order.seed, plain(text), order.label)


def texts(*keys: str) -> JsonObject:
    """Return the JSON schema of an object that holds these texts and nothing else."""
    properties = {key: {"type": "string"} for key in keys}
    return {"type": "object", "properties": properties, "required": [*keys], "additionalProperties": False}


class EdgeCases(Strategy):
    """The seed's input, changed as little as possible so that another answer is right."""

    name = "edge_cases"
    schema = texts("input", "output")

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the changed row. A pair whose answer stayed the same is no minimal pair."""
        assert order.seed is not None
        found = object_of(text, "input", "output")
        if same_answer(found["output"], order.seed.example.answer):
            raise Misfit("not a minimal pair: the answer stayed")
        return fresh_row(order.seed, found["input"], found["output"])


class AnswerInput(Strategy):
    """A draft answer for each unanswered row; held to the closed set where the project has one."""

    name = "answer_input"
    max_tokens = 512
    once = True

    def subjects(self, material: DraftMaterial) -> list[DraftTopic]:
        """Return the unanswered rows."""
        need(material.unanswered, "no unanswered row", "rung data import FILE  (rows that end with the user's message)")
        return [DraftTopic(row) for row in material.unanswered]

    def closed(self, material: DraftMaterial) -> tuple[str, ...]:
        """Return the project's labels."""
        return material.labels

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the row with its answer."""
        assert order.seed is not None
        return dict(order.seed.example.with_answer(plain(text, "\n")).row)


class FromDocuments(Strategy):
    """Rows whose source is a passage; file and line stay with each."""

    name = "from_documents"
    schema = EdgeCases.schema
    max_tokens = 400

    def subjects(self, material: DraftMaterial) -> list[DraftTopic]:
        """Return the passages; the first seed lends its system message."""
        need(
            material.passages,
            f"documents/ holds no file that ends in {', '.join(ENDINGS)}",
            "Put files into documents/",
        )
        first = material.seeds[0] if material.seeds else None
        return [DraftTopic(first, passage) for passage in material.passages]

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the new row."""
        found = object_of(text, "input", "output")
        return fresh_row(order.seed, found["input"], found["output"])


class Raft(FromDocuments):
    """Rows that show the passage of their answer among others, as the rag arm shows passages.

    The others are those that share most words with it: what a search finds. Zhang et al. 2024, arXiv:2403.10131.
    """

    name = "raft"

    def subjects(self, material: DraftMaterial) -> list[DraftTopic]:
        """Return the passages, where there are several."""
        found = super().subjects(material)
        need(found[1:], "documents/ holds one passage, and a row shows others beside it", "Put more into documents/")
        return found

    def beside(self, material: DraftMaterial, subject: DraftTopic) -> tuple[DocumentPassage, ...]:
        """Return the DISTRACTORS passages most like the subject's."""
        right = material.passages.index(subject.passage)
        shared = [len(words & material.words[right]) for words in material.words]
        others = sorted((n for n in range(len(shared)) if n != right), key=lambda n: (-shared[n], n))
        return tuple(material.passages[n] for n in others[:DISTRACTORS])

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the new row: the passages in mixed order, and the question below them."""
        assert order.passage is not None
        found = object_of(text, "input", "output")
        shown = [order.passage, *order.beside]
        random.Random(order.passage.place).shuffle(shown)
        passages = listed([(passage.name, passage.text) for passage in shown])
        return fresh_row(order.seed, f"{passages}\n\n{found['input']}", found["output"])


class Critique(Strategy):
    """A candidate with the repaired answer, where the critique changed it."""

    name = "critique"
    max_tokens = 512
    once = True
    schema = texts("critique", "output")

    def subjects(self, material: DraftMaterial) -> list[DraftTopic]:
        """Return the seeds, those that nobody reviewed first: there the faults are."""
        return sorted(super().subjects(material), key=lambda topic: topic.seed is not None and topic.seed.is_reviewed)

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the row with the repaired answer."""
        assert order.seed is not None
        found = object_of(text, "critique", "output")
        if same_answer(found["output"], order.seed.example.answer):
            raise Misfit("nothing to repair")
        return dict(order.seed.example.with_answer(found["output"]).row)


class PreferencePair(Strategy):
    """A row `{prompt, chosen, rejected}`: chosen is the seed's answer, rejected the worse one."""

    name = "preference"
    max_tokens = 512

    def row(self, order: DraftRequest, text: str) -> JsonObject:
        """Return the pair. A worse answer that is the same answer is none."""
        assert order.seed is not None
        answer = order.seed.example.answer or ""
        worse = plain(text, answer)
        if same_answer(worse, answer):
            raise Misfit("not worse: the same answer")
        return {
            "prompt": [dict(turn) for turn in order.seed.example.asked],
            "chosen": [{"role": "assistant", "content": answer}],
            "rejected": [{"role": "assistant", "content": worse}],
        }


STRATEGIES: Mapping[str, Strategy] = {
    each.name: each()
    for each in (Paraphrase, NewInput, EdgeCases, AnswerInput, FromDocuments, Raft, Critique, PreferencePair)
}
"""All strategies by name, in the order in which they are shown."""


def find_strategy(name: str) -> Strategy:
    """Return the strategy of that name. Raises RungError with "did you mean"."""
    if found := STRATEGIES.get(name):
        return found
    hint = f"One of: {', '.join(STRATEGIES)}"
    raise RungError(f'"{name}" is not a strategy.{did_you_mean(name, STRATEGIES)}', hint, found=name)
