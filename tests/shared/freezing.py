"""Rows that are not near one another, approved and frozen."""

import random
from typing import Any

from curation.example import Example, chat_row
from curation.review import Ruling, decide_all, open_desk
from curation.split.freeze import freeze
from workspace.folder import Project
from workspace.settings import Settings

WORDS = [f"word{n}" for n in range(4000)]


def rows_of(count: int, start: int = 0) -> list[Example]:
    """Rows of which none is near another, for the words of each are its own."""
    return [
        Example(chat_row(f"Question {' '.join(f'w{number}x{k}' for k in range(12))}?", f"answer {number}"))
        for number in range(start, start + count)
    ]


def rows(count: int, seed: int, answer: str = "") -> list[Example]:
    """Rows of which none is near another."""
    draw = random.Random(seed)
    return [Example(chat_row(" ".join(draw.sample(WORDS, 14)), answer or f"label {n % 5}")) for n in range(count)]


def approve_all(desk: Any, name: str = "dana") -> None:
    waiting = [row.id for row in desk.store.rows() if row.queued and row.state == "pending"]
    decide_all(desk, name, [(each, Ruling("approve")) for each in waiting], kind="person")


def approved(project: Project, settings: Settings, **roles: list[Example]) -> None:
    """Add the rows of each role; a person approves all that the project has."""
    desk = open_desk(project, settings)
    for role, examples in roles.items():
        desk.store.add(examples, role=role)  # type: ignore[arg-type]
    decide_all(desk, "dana", [(row.id, Ruling("approve")) for row in desk.store.rows()], kind="person")
    desk.store.close()


def frozen(desk: Any, **more: Any) -> Any:
    return freeze(desk.project, desk.settings, **more)
