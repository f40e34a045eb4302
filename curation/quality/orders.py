"""Texts that play a turn of the chat or order a model about."""

from __future__ import annotations

from curation.example import Example
from curation.quality.base import RowCheck, Subject, all_texts, assistant_texts
from curation.quality.rules import patterns


class Orders(RowCheck):
    """Forged headings (`# system`), marks of a chat template in a question, "ignore all previous instructions"; what a
    system message says is its own business.
    """

    name = "orders"
    title = "Orders to a model"
    reason = "A drafting or judging model that reads the row may do what it says; such rows are not drafted from."
    action = "queue"

    def fault(self, subject: Subject) -> str | None:
        """The first order or forged turn."""
        found = order_in(subject.example)
        return f"holds {found!r}" if found else None


def order_in(example: Example) -> str:
    """What a row's texts say that plays a turn or orders a model about; empty where nothing does."""
    said = assistant_texts(example) if example.messages else []
    system = [message.get("content") for message in example.messages if message.get("role") == "system"]
    for text in all_texts(example):
        if text not in system and (found := order_in_text(text, is_answer=text in said)):
            return found
    return ""


def order_in_text(text: str, *, is_answer: bool = False) -> str:
    """The same of one text. Marks and headings in an answer are residue, which is another check's."""
    found = patterns("orders").search(text) or (None if is_answer else patterns("turns").search(text))
    return " ".join(found[0].split())[:60] if found else ""
