"""How many accepted rows to work towards, and who says so."""

from __future__ import annotations

import json
from typing import NamedTuple

from workspace.folder import Project
from workspace.settings import Settings


class Goal(NamedTuple):
    """So many accepted rows, in all or `per_class`, as `asked_by` says."""

    rows: int
    asked_by: str
    per_class: bool


def goal_of(project: Project, settings: Settings) -> Goal | None:
    """`[review] goal` of rung.toml, else what the advice recommends; None where neither says a number."""
    if settings.review.goal is not None:
        return Goal(settings.review.goal, "[review] goal", False)
    try:
        data = json.loads(project.decision_file.read_bytes())["data"]
        return Goal(int(data["recommended"]), "the advice", bool(data.get("per_class")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
