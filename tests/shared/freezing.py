"""Rows that are not near one another, approved and frozen."""

from __future__ import annotations

import random
from typing import Any

from curation.example import Example, chat_row
from curation.review import Ruling, decide_all
from curation.split.freeze import freeze

WORDS = [f"word{n}" for n in range(4000)]


def rows(count: int, seed: int, answer: str = "") -> list[Example]:
    """Rows of which none is near another."""
    draw = random.Random(seed)
    return [Example(chat_row(" ".join(draw.sample(WORDS, 14)), answer or f"label {n % 5}")) for n in range(count)]


def approve_all(desk: Any, name: str = "dana") -> None:
    waiting = [row.id for row in desk.store.rows() if row.queued and row.state == "pending"]
    decide_all(desk, name, [(each, Ruling("approve")) for each in waiting], kind="person")


def frozen(desk: Any, **more: Any) -> Any:
    return freeze(desk.project, desk.settings, **more)
