"""Why a request is worth a reviewer's time, and the row that it would be."""

from __future__ import annotations

from typing import Any

from curation.example import Example
from training.watch.material import Standing
from training.watch.record import Logged

UNANSWERED = ("failed", "cut at the token limit")
"""Reasons of a request that came back without an answer, or with half of one."""


def reason_of(each: Logged) -> str:
    """Why this request is worth a reviewer's time before others; empty where it is one of many."""
    if each.error or not (each.answer.strip() or each.tool_calls):
        return UNANSWERED[0]
    if each.edit:
        return "edited by its user"
    if each.rating is not None and each.rating < 0:
        return "rated low"
    return UNANSWERED[1] if each.finish == "length" else ""


def row_of(standing: Standing, each: Logged) -> Example:
    """The request as a row of the project: the user's own turns, and what was edited or else answered; no answer
    where there was none, or only half of one.
    """
    turns = standing.turns.of(each.messages)
    if each.edit:
        return Example({"messages": [*turns, {"role": "assistant", "content": each.edit}]})
    if reason_of(each) in UNANSWERED:
        return Example({"messages": turns})
    answer: dict[str, Any] = {"role": "assistant", "content": each.answer}
    if each.tool_calls:
        answer["tool_calls"] = list(each.tool_calls)
    return Example({"messages": [*turns, answer]})
