"""Reviews that teach more than rows: edits and rejections in a project that has all else."""

from clinic import made_up

from curation.example import Example, chat_row
from curation.review import open_desk
from curation.review.ruling import Ruling
from curation.review.service import decide_all
from curation.split.freeze import freeze
from workspace.folder import Project
from workspace.settings import Settings

GOOD = "E10 eye both"
SAMPLED = ("--set", "reward=chrf", "--set", "answer_tokens=4", "--set", "generations=4")
"""Options of `rung plan` for reinforcement on a tiny model."""


def drafts(count: int, answer: str = "I think it is E11, both eyes.", seed: int = 7) -> list[Example]:
    """Drafts on questions of made-up words."""
    return [Example(chat_row(made.question, answer)) for made in made_up(count, 100 + seed, 6)]


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
