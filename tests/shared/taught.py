"""Reviews that teach more than rows: edits and rejections in a project that has all else."""

from __future__ import annotations

import random

from curation.example import Example, chat_row
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from workspace.folder import Project
from workspace.settings import Settings

SOUNDS = [a + b for a in "nprstvz" for b in "aeiou"]
GOOD = "E10 eye both"


def drafts(count: int, answer: str = "I think it is E11, both eyes.", seed: int = 7) -> list[Example]:
    """Drafts on questions of made-up words."""
    chance = random.Random(seed)

    def word() -> str:
        return "".join(chance.choice(SOUNDS) for _ in range(4))

    return [Example(chat_row(" ".join(word() for _ in range(6)), answer)) for _ in range(count)]


def teach(project: Project, settings: Settings, *, edits: int = 12, rejections: int = 6) -> dict[str, list[str]]:
    """Add drafts, edit some, reject some, and freeze v002; the ids of both kinds."""
    desk = open_desk(project, settings)
    edited = list(desk.store.add(drafts(edits), role="train").ids)
    rejected = list(desk.store.add(drafts(rejections, seed=8), role="train").ids)
    said = [(name, Ruling("edit", text=f"{GOOD} {n}")) for n, name in enumerate(edited)]
    decide_all(desk, "dana", said, kind="person")
    decide_all(desk, "dana", [(name, Ruling("reject", reason="wrong answer")) for name in rejected], kind="person")
    desk.store.close()
    freeze(project, settings, actor="sam")
    return {"edited": edited, "rejected": rejected}
