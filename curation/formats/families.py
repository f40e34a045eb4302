"""The families of rows: how each is told, read into a canonical row, and written from one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from curation.example import Example
from curation.formats import alpaca, chat, pairs, preference, sharegpt
from curation.formats.jsonline import Malformed
from curation.formats.names import CannotHold
from workspace.errors import RungError, did_you_mean

__all__ = ["FORMATS", "TARGETS", "CannotHold", "Family", "family_of", "named", "read_object", "to_format"]

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
    _family("chat", chat.read, "messages"),
    _family("sharegpt", sharegpt.read, "conversations"),
    _family("preference", preference.read, "chosen rejected"),
    _family("prompt_completion", pairs.read_prompt_completion, "prompt completion"),
    _family("alpaca", alpaca.read, "instruction output"),
    _family("qa", pairs.read_question_answer, "question answer"),
    _family("text", pairs.read_text, "text"),
)
"""In the order in which they are tried: the first whose keys all stand in a row is its family."""

FORMATS = (*(family.name for family in FAMILIES), "csv", "tsv", "parquet")
TARGETS = ("chat", "sharegpt", "alpaca", "prompt_completion", "preference")

_BY_NAME = {family.name: family for family in FAMILIES}
_KEYS = sorted({key for family in FAMILIES for mark in family.marks for key in mark})


def named(name: str) -> Family | None:
    """The family of that name; None for `auto` and for the tables, which are told apart by their file."""
    if name not in (*FORMATS, "auto"):
        raise RungError(
            f'"{name}" is not a format.{did_you_mean(name, FORMATS)}', "one of: auto, " + ", ".join(FORMATS), found=name
        )
    return _BY_NAME.get(name)


def family_of(row: Mapping[str, Any]) -> Family | None:
    """The family that a row's keys tell, or None."""
    if "messages" in row:
        return FAMILIES[0]
    for family in FAMILIES:
        for mark in family.marks:
            if mark <= row.keys():
                return family
    return None


def read_object(row: dict[str, Any], family: Family | None, unanswered: bool = False) -> dict[str, Any]:
    """The canonical row of one JSON object, by `family` or by what its keys tell. Raises Malformed."""
    family = family or family_of(row)
    if family is None:
        raise _unknown_keys(row)
    return family.read(row, unanswered)


def to_format(example: Example, fmt: str, *, plain: bool = True) -> dict[str, Any]:
    """The row as `fmt` writes it, other keys kept.

    With `plain`, prompt_completion and preference are pairs of strings; without, lists of messages. Raises
    CannotHold with the reason where the format has no place for something, RungError for an unknown format.
    """
    if fmt == "chat":
        return chat.write(example)
    if fmt == "sharegpt":
        return sharegpt.write(example)
    if fmt == "alpaca":
        return alpaca.write(example)
    if fmt == "prompt_completion":
        return pairs.write_prompt_completion(example, plain)
    if fmt == "preference":
        return preference.write(example, plain)
    raise RungError(f'"{fmt}" is not a target.{did_you_mean(fmt, TARGETS)}', "one of: " + ", ".join(TARGETS), found=fmt)


def _unknown_keys(row: Mapping[str, Any]) -> Malformed:
    found = ", ".join(f'"{key}"' for key in list(row)[:12]) or "none"
    for key in row:
        if near := did_you_mean(key, _KEYS):
            missing = near.split('"')[1]
            return Malformed(missing, f'"{missing}" is missing; found keys {found}.', f'did you mean "{missing}"?')
    return Malformed(
        "messages", f'"messages" is missing; found keys {found}.', "name the format with --format, or its columns"
    )
