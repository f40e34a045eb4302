"""Review: the queue, leases, decisions, undo, progress. One service for the shell, the terminal and the browser."""

from __future__ import annotations

from curation.review.item import OtherDecision, ReviewItem
from curation.review.people import Desk, LinkEnded, LinkUnknown, by_token, invite, known_reviewer, open_desk, revoke
from curation.review.progress import ReviewProgress, progress
from curation.review.queue import draw_again, plans, refresh_queue
from curation.review.ruling import Decided, Ruling
from curation.review.service import decide, decide_all, next_item, undo
from curation.store.records import Reviewer
from curation.store.reviewers import all_reviewers

__all__ = [
    "Decided",
    "Desk",
    "LinkEnded",
    "LinkUnknown",
    "OtherDecision",
    "ReviewItem",
    "ReviewProgress",
    "Reviewer",
    "Ruling",
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
