"""The families of rows: how each is recognised, read into a canonical row, and written from one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from curation.example import Example
from curation.rows import labelling, pairs
from curation.rows.jsonline import Malformed
from curation.rows.names import ANSWERS, QUESTIONS, answer_key, first_of
from curation.rows.turns import read_chat, read_sharegpt, write_chat, write_sharegpt
from workspace.errors import RungError, did_you_mean

Read = Callable[[dict[str, Any], bool], dict[str, Any]]
"""`read(object, unanswered)` gives the canonical row or raises Malformed."""


@dataclass(frozen=True, slots=True)
class Family:
    """One kind of row. `marks`: sets of keys, one of which a row of this family has."""

    name: str
    marks: tuple[frozenset[str], ...]
    read: Read


def _family(name: str, read: Read, *marks: str) -> Family:
    return Family(name, tuple(frozenset(mark.split()) for mark in marks), read)


FAMILIES = (
    _family("chat", read_chat, "messages"),
    _family("sharegpt", read_sharegpt, "conversations"),
    _family("label_studio", labelling.read_task, "data annotations"),
    _family("argilla", labelling.read_record, "fields responses"),
    _family("preference", pairs.read_preference, "chosen rejected", "preferred_output non_preferred_output"),
    _family("prompt_completion", pairs.read_prompt_completion, "prompt completion"),
    _family("alpaca", pairs.read_alpaca, "instruction output", "instruction response"),
    _family("qa", pairs.read_question_answer, "question answer", "query response", "input output"),
    _family("text", pairs.read_text, "text"),
)
"""Formats in the order of trial: the first all of whose keys are in a row is its format."""
LABELLED = Family("labelled", (), pairs.read_labelled)
"""A text and its label. Known by a key beside the text, so it is tried for rows that would be plain text."""

FORMATS = (*(family.name for family in FAMILIES), "csv", "tsv", "parquet")
WRITERS: Mapping[str, Callable[[Example], dict[str, Any]]] = {
    "chat": write_chat,
    "sharegpt": write_sharegpt,
    "alpaca": pairs.write_alpaca,
    "label_studio": labelling.write_task,
}
FORMED: Mapping[str, Callable[[Example, bool], dict[str, Any]]] = {
    "prompt_completion": pairs.write_prompt_completion,
    "preference": pairs.write_preference,
}
"""Targets that come as strings or as lists of messages."""
TARGETS = ("chat", "sharegpt", "alpaca", "prompt_completion", "preference", "label_studio")

_BY_NAME = {family.name: family for family in FAMILIES}
_KEYS = sorted({key for family in FAMILIES for mark in family.marks for key in mark})


def named(name: str) -> Family | None:
    """Return the family of that name; None for `auto` and for the tables, which are recognised by their file."""
    if name not in (*FORMATS, "auto"):
        raise RungError(
            f'"{name}" is not a format.{did_you_mean(name, FORMATS)}', "one of: auto, " + ", ".join(FORMATS), found=name
        )
    return _BY_NAME.get(name)


def family_of(row: Mapping[str, Any]) -> Family | None:
    """Return the family that a row's keys tell, or None."""
    if "messages" in row and not pairs.is_beside(row):
        return FAMILIES[0]
    for family in FAMILIES:
        for mark in family.marks:
            if mark <= row.keys():
                return LABELLED if family.name == "text" and answer_key(row) else family
    return None


def read_object(row: dict[str, Any], family: Family | None, unanswered: bool = False) -> dict[str, Any]:
    """Return the canonical row of one JSON object, by `family` or by what its keys tell. Raises Malformed."""
    found = family or family_of(row)
    if found is None or (family is None and found.name in ("text", "labelled")):
        if record := labelling.unflattened(row):
            return labelling.read_record(record, unanswered)
        fault = labelling.check_export(row) or (None if found else _unknown_keys(row))
        if fault:
            raise fault
    assert found is not None
    return found.read(row, unanswered)


def to_format(example: Example, fmt: str, *, plain: bool = True) -> dict[str, Any]:
    """Return the row as `fmt` writes it, other keys kept.

    With `plain`, prompt_completion and preference are pairs of strings; without, lists of messages. Raises
    CannotHold with the reason where the format has no place for something.
    """
    return FORMED[fmt](example, plain) if fmt in FORMED else WRITERS[fmt](example)


def _unknown_keys(row: Mapping[str, Any]) -> Malformed:
    """Return the fault of a row that is of no family: which key is missing, and the nearest way to have it read."""
    found = ", ".join(f'"{key}"' for key in list(row)[:12]) or "none"
    partly = (mark - row.keys() for family in FAMILIES for mark in family.marks if not mark.isdisjoint(row))
    missing = min((key for keys in partly for key in keys), default="messages")
    question, answer = first_of(row, QUESTIONS), first_of(row, (*ANSWERS, "answers"))
    hint = "name the format with --format, or its columns with --question and --answer"
    if question and answer:
        hint = f"name the columns: --question {shlex.quote(question)} --answer {shlex.quote(answer)}"
    else:
        known = [key for key in _KEYS if key not in row]
        for key in row:
            if key not in _KEYS and (near := did_you_mean(key, known)):
                missing = near.split('"')[1]
                hint = f'did you mean "{missing}" for "{key}"?'
                break
    return Malformed(missing, f'"{missing}" is missing; found keys {found}.', hint)
