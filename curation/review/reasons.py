"""Reason codes: the list under "Reasons" in guideline.md, else that of rung.toml; by number, words or code."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from curation.review.desk import Desk


def reason_of(given: str, known: Sequence[str]) -> str:
    """The reason that a number (from 1), a code (`wrong_answer`) or its words stand for; any other text as it is."""
    text = given.strip()
    if text.isdigit() and 1 <= int(text) <= len(known):
        return known[int(text) - 1]
    codes = {code_of(reason): reason for reason in known}
    return codes.get(code_of(text), text)


def reasons_in(guideline: str) -> tuple[str, ...]:
    """The list items under a heading "Reasons" (or "Reject reasons", "Reason codes"); empty where there is none."""
    found: list[str] = []
    inside = False
    for line in guideline.splitlines():
        if heading := re.match(r"#{1,6}\s+(?:\d[\d.]*\s+)?(.*)", line):
            inside = bool(re.fullmatch(r"(?:reject(?:ion)?\s+)?reasons?(?:\s+codes?)?", heading[1].strip(" #:"), re.I))
        elif inside and (item := re.match(r"\s*(?:[-*+]|\d+[.)])\s+(.+)", line)):
            found.append(item[1].strip())
    return tuple(found)


def reasons_now(desk: Desk) -> tuple[str, ...]:
    """The reasons that hold now."""
    from curation.guideline import current_guideline

    guideline = current_guideline(desk.store, desk.project)
    return reasons_in(guideline.text if guideline else "") or desk.settings.review.reasons


def code_of(reason: str) -> str:
    """`wrong answer` as `wrong_answer`."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")
