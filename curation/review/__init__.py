"""Review: the queue, leases, decisions, undo, progress. One service for the shell, the terminal and the browser."""

from __future__ import annotations

from curation.review.desk import Decided, Desk, Ruling, Turn, decide, decide_all, next_item, open_desk, undo
from curation.review.item import Item, Side
from curation.review.people import (
    LinkEnded,
    LinkUnknown,
    Reviewer,
    all_reviewers,
    by_token,
    invite,
    known_reviewer,
    revoke,
)
from curation.review.progress import Progress, progress
from curation.review.queue import refresh_queue
from curation.review.samples import Plan, draw_again, plans

__all__ = [
    "Decided",
    "Desk",
    "Item",
    "LinkEnded",
    "LinkUnknown",
    "Plan",
    "Progress",
    "Reviewer",
    "Ruling",
    "Side",
    "Turn",
    "all_reviewers",
    "by_token",
    "decide",
    "decide_all",
    "draw_again",
    "invite",
    "known_reviewer",
    "next_item",
    "open_desk",
    "plans",
    "progress",
    "refresh_queue",
    "revoke",
    "undo",
]
