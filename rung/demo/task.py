"""What a demo task is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Rows:
    """What the demo imports: the test set, the raw pool lines, and what was planted in them, by kind."""

    test: list[dict[str, Any]]
    pool: list[str]
    planted: dict[str, list[str]]


class Judge(Protocol):
    """An automatic reviewer, named for what it is."""

    name: str

    def judge(self, phrase: str, line: str) -> tuple[str, str] | None:
        """(approve, "") or (reject, reason); None where it cannot say, and a person must."""


@dataclass(frozen=True, slots=True)
class Task:
    """One demo: its rows, its files, and who reviews by table."""

    name: str
    about: str
    rows: Callable[[bool], Rows]
    documents: Callable[[], dict[str, str]]
    reviewer: Callable[[], Judge]
    prompts: Mapping[str, str]
    guideline: str
    answers: Mapping[str, Any]
    settings: Mapping[str, Mapping[str, Any]]
    fast_settings: Mapping[str, Mapping[str, Any]]
    notes: tuple[str, ...]
