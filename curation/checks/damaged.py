"""Rows that are damaged: unreadable lines, empty texts, answers that break off, rows too long, wrong characters."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from importlib import import_module

from curation.checks.base import (
    EVIDENCE_KEPT,
    DataFinding,
    FindingEvidence,
    Options,
    Pile,
    QualityCheck,
    SingleRowCheck,
    Subject,
    Survey,
    excerpt,
)
from curation.example import all_texts, every_text
from curation.rows import Reject
from workspace.extras import installed
from workspace.folder import folder_named
from workspace.settings import Settings

LONGEST_LINE = 8 << 10
"""Bytes of a line that an excerpt is made of."""


class MalformedLines(QualityCheck):
    """Lines that could not be read: no JSON, wrong roles, empty content."""

    name = "malformed"
    title = "Malformed lines"
    severity = "blocks"
    reason = "These lines cannot be read; nothing of them would be in the dataset."

    def __init__(self) -> None:
        self.pile = Pile()

    def reject(self, reject: Reject) -> None:
        """Add a rejected line."""
        self.pile.count += 1
        if len(self.pile.evidence) < EVIDENCE_KEPT:
            place = f"{reject.file}:{reject.line}"
            note = f"{reject.reason} {reject.hint[:1].upper()}{reject.hint[1:]}".strip()
            text = excerpt(reject.raw[:LONGEST_LINE].decode("utf-8", "replace"))
            found = FindingEvidence(key=str(reject.line), places=(place,), note=note, texts=(text,))
            self.pile.evidence.append(found)

    def end_of_file(self) -> DataFinding | None:
        """Return all of them."""
        return self.piled(self.pile)

    def at_import(self, rejected: int) -> DataFinding | None:
        """Return what a project's imports rejected, with the reasons in their own files."""
        reason = "These lines could not be read at import; they are in the rejects files with their reasons."
        kept = "kept in the rejects file"
        finding = self.finding([], rows=rejected, reason=reason, severity="handled", what_to_do=kept)
        return finding if rejected else None


class Empty(SingleRowCheck):
    """A question or answer of white space only; the reader has already rejected an empty one."""

    name = "empty"
    title = "Empty texts"
    severity = "blocks"
    reason = "An answer without a word teaches to say nothing."
    action = "exclude"

    def fault(self, subject: Subject) -> str | None:
        """Return the text that has no visible character."""
        example = subject.example
        if not example.question.strip():
            return "the question is white space"
        if example.answer is not None and not example.answer.strip() and not example.messages[-1].get("tool_calls"):
            return "the answer is white space"
        return None


_END = re.compile(r"[.!?:;。！？।…\"”’')\]}>`*|_\d%]\s*$|[\U0001F300-\U0001FAFF]\s*$")
_SENTENCE = re.compile(r"[.!?。！？]\s+\S")
LONG = 20
"""Words from which an answer is expected to end like a sentence."""


class Truncated(QualityCheck):
    """An open code fence or bracket; the middle of a sentence, where the other answers end like sentences."""

    name = "truncated"
    title = "Answers that break off"
    reason = "A model that learns from answers that break off learns to break off."
    action = "queue"

    def __init__(self) -> None:
        self.open = Pile()
        self.cut = Pile()
        self.prose = 0

    def see(self, subject: Subject) -> None:
        """Put the row on a pile."""
        answer = subject.example.answer
        if not answer:
            return
        if note := _left_open(answer):
            self.open.add(note, subject, [_tail(answer)])
        elif len(answer.split()) >= LONG and _SENTENCE.search(answer):
            self.prose += 1
            if not _END.search(answer):
                self.cut.add("ends in the middle of a sentence", subject, [_tail(answer)])

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the open ones; the cut ones too where fewer than one in five long answers ends so."""
        cut = self.cut if self.cut.count * 5 < self.prose else Pile()
        evidence: list[FindingEvidence] = self.open.evidence + cut.evidence
        if not evidence:
            return None
        return self.finding(evidence, rows=self.open.count + cut.count, ids=self.open.ids + cut.ids)


def _left_open(answer: str) -> str:
    if answer.count("```") % 2:
        return "a code fence is left open"
    start = answer.lstrip()[:1]
    if start in ("{", "[") and answer.count(start) > answer.count("}" if start == "{" else "]"):
        return f"the {start} at its start is never closed"
    if re.search(r"\w(?:\.\.\.|…)$", answer.rstrip()) and len(answer) > 40:
        return "ends in an ellipsis"
    return ""


def _tail(answer: str) -> str:
    return "…" + answer[-80:] if len(answer) > 80 else answer


_BROKEN = re.compile("�|[\x80-\x9f]|Ã[\x80-\xbf€-™]|Â[\xa0-\xbf]|â€|ï»¿|Ð[\x80-\xbf]Ð")


class Encoding(SingleRowCheck):
    """Mojibake (`Ã©` for `é`), replacement characters and control characters; with ftfy the repaired text beside."""

    name = "encoding"
    title = "Damaged characters"
    reason = "Text decoded with the wrong table teaches the damage."
    action = "queue"

    def __init__(self) -> None:
        super().__init__()
        self.repair: Callable[[str], str] = import_module("ftfy").fix_encoding if installed("ftfy") else str

    def fault(self, subject: Subject) -> str | None:
        """Return the damage, and the text after a repair; None if there is none."""
        for text in every_text(subject.example):
            if text.isascii():
                continue
            if found := _BROKEN.search(text):
                piece = text[max(0, found.start() - 12) : found.end() + 12]
                repaired = self.repair(piece)
                return f"{piece!r} is probably {repaired!r}" if repaired != piece else f"damaged at {piece!r}"
        return None


CHARACTERS_A_TOKEN = 3.5
"""Used without a tokenizer: English prose has about four characters a token, codes and other scripts fewer."""
TURN_TOKENS = 5
"""Tokens that a chat template adds to each message."""


class OverLong(SingleRowCheck):
    """Rows over the context length, counted by the model's own tokenizer if there is one, else estimated."""

    name = "over_long"
    title = "Over-long rows"
    reason = "What is longer than the context is cut in training: the end of the answer is never learnt."
    action = "queue"

    def __init__(self, options: Options) -> None:
        super().__init__()
        self.context = options.context or 2048
        self.count = options.count_tokens

    def fault(self, subject: Subject) -> str | None:
        """Return the number of tokens, and the number that fits."""
        texts = all_texts(subject.example)
        extra = TURN_TOKENS * len(texts)
        most = sum(len(text.encode()) for text in texts) + extra
        if most <= self.context:
            return None
        if self.count is None:
            tokens = int(sum(map(len, texts)) / CHARACTERS_A_TOKEN) + extra
            return f"about {tokens:,} tokens (estimated), {self.context:,} fit" if tokens > self.context else None
        tokens = sum(map(self.count, texts)) + extra
        return f"{tokens:,} tokens, {self.context:,} fit" if tokens > self.context else None


def own_context(settings: Settings) -> tuple[int, Callable[[str], int] | None]:
    """Return tokens that fit (0: unknown) and a counter (None: none at hand) of the model that a project's settings
    name, where it lies on this machine.
    """
    folder = folder_named(settings.model.base)
    if settings.model.provider != "local" or not (folder / "config.json").is_file():
        return 0, None
    try:
        config = json.loads((folder / "config.json").read_text())
        fits = int(config.get("max_position_embeddings") or config.get("n_positions") or 0)
    except (OSError, ValueError, AttributeError):
        return 0, None
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file() or not installed("tokenizers"):
        return fits, None
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(tokenizer))
    return fits, lambda text: len(made.encode(text, add_special_tokens=False).ids)
