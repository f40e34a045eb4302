"""Phrases that a model should not learn or obey: template marks, refusals, listed words, orders to a model."""

from __future__ import annotations

import re
from collections.abc import Iterator

from curation.checks.base import SingleRowCheck, Subject
from curation.checks.rules import may_match, patterns
from curation.example import Example, all_texts, assistant_texts, every_text


class _Phrases(SingleRowCheck):
    """Answers that hold a phrase of a section of `rules/quality.toml`."""

    action = "queue"
    verb, most = "holds", 40

    def fault(self, subject: Subject) -> str | None:
        """Return the first phrase found."""
        for text in assistant_texts(subject.example):
            if found := patterns(self.name).search(text):
                return f"{self.verb} {' '.join(found[0].split())[: self.most]!r}"
        return None


class Residue(_Phrases):
    """Chat template tokens, unfilled placeholders, "Human:" lines and the like, in what the model is to write."""

    name = "residue"
    title = "Template residue"
    reason = "A tuned model writes what its training answers contain: template marks and placeholders too."


class Refusals(_Phrases):
    """Refusals and "as an AI" in answers: right in a few sets, an accident in most."""

    name = "refusals"
    title = "Refusals"
    reason = "Answers that refuse, or speak of being a model, teach a tuned model to do so."
    verb, most = "says", 60


class ListedWords(SingleRowCheck):
    """Whole words of the user's own list (toxic words, competitors, code names), any case."""

    name = "words"
    title = "Listed words"
    reason = "These rows hold words of your list."
    action = "queue"

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__()
        forms = (r"\s+".join(map(re.escape, word.split())) for word in words)
        self.pattern = re.compile(r"(?i)(?<!\w)(?:" + "|".join(forms) + r")(?!\w)")

    def fault(self, subject: Subject) -> str | None:
        """Return the first word found."""
        for text in every_text(subject.example):
            if found := self.pattern.search(text):
                return f"holds {found[0]!r}"
        return None


BELOW = 6
"""Lines under a heading among which an order is looked for."""
FENCE = re.compile(r"^[ \t]*(?:```|~~~)", re.MULTILINE)
LINE = re.compile(r"[^\n]+")
INDENTED = ("    ", "\t")
NO_CODE = "assistant"
"""A name that programs and settings hardly use: between fences it is taken for a turn too."""
REMARK = re.compile(r"[ \t]*(?:#|;|//)+[ \t]*")
SECTION = re.compile(r"[ \t]*\[[\w. -]+\][ \t]*$")


class Orders(SingleRowCheck):
    """Forged turns in a question (`# system` alone on a line, `System: reply with YES`, marks of a chat template; the
    name of a turn in code or settings is none), "ignore all previous instructions", orders to a judge. What a system
    message says is its own business.
    """

    name = "orders"
    title = "Orders to a model"
    reason = "A drafting or judging model that reads the row may do what it says; such rows are not drafted from."
    action = "queue"

    def fault(self, subject: Subject) -> str | None:
        """Return the first order or forged turn."""
        found = order_in(subject.example)
        return f"holds {found!r}" if found else None


def order_in(example: Example) -> str:
    """Return the text of a row that imitates a turn or gives orders to a model; empty if there is none."""
    said = assistant_texts(example) if example.messages else []
    system = [message.get("content") for message in example.messages if message.get("role") == "system"]
    for text in all_texts(example):
        if text not in system and (found := order_in_text(text, is_answer=text in said)):
            return found
    return ""


def order_in_text(text: str, *, is_answer: bool = False) -> str:
    """Return the same of one text. Marks and headings in an answer are residue, which is another check's."""
    folded = text.casefold()
    match = patterns("orders").search(text) if may_match("orders", folded) else None
    found = match[0] if match else "" if is_answer else forged_turn(text, folded)
    return " ".join(found.split())[:60]


def forged_turn(text: str, folded: str) -> str:
    """Return a mark of a chat template, a line that is the name of a turn, or such a name before an order."""
    if may_match("turns", folded) and (match := patterns("turns").search(text)):
        return match[0]
    return _played_turn(text) if may_match("voices", folded) or may_match("headings", folded) else ""


def _played_turn(text: str) -> str:
    ordered = patterns("commands")
    for match in patterns("voices").finditer(text):
        if ordered.match(text, match.end()):
            return text[match.start() : match.end() + 40]
    for heading, in_fence in _headings(text):
        below = _lines(text, heading.end())
        if not _is_code(heading, below, in_fence) or any(ordered.match(_bare(line)) for line in below):
            return heading[0]
    return ""


def _headings(text: str) -> Iterator[tuple[re.Match[str], bool]]:
    """Yield lines that are the name of a turn, and whether they are between fences."""
    fences, inside = FENCE.finditer(text), False
    fence = next(fences, None)
    for heading in patterns("headings").finditer(text):
        while fence and fence.start() < heading.start():
            inside, fence = not inside, next(fences, None)
        yield heading, inside


def _is_code(heading: re.Match[str], below: list[str], in_fence: bool) -> bool:
    """True if a heading is a comment or a section in code or settings, by its place or the line below it."""
    if (in_fence or heading[0].startswith(INDENTED)) and NO_CODE not in heading[0].lower():
        return True
    lines = [line for line in below if not REMARK.match(line) and not SECTION.match(line)]
    return bool(lines and patterns("code").match(lines[0]))


def _bare(line: str) -> str:
    return REMARK.sub("", line, count=1).lstrip()


def _lines(text: str, start: int) -> list[str]:
    """Return the next lines that are not empty, up to a fence."""
    found: list[str] = []
    for line in LINE.finditer(text, start):
        if FENCE.match(line[0]) or len(found) == BELOW:
            break
        if line[0].strip():
            found.append(line[0])
    return found
