"""The guideline's use in review: reason codes, and rows that were decided under an older version."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from curation.likeness.words import words
from curation.review.people import Desk
from curation.store.records import DECIDED
from curation.store.reviewers import current_guideline
from workspace.errors import Refusal, RungError


def reason_of(given: str, known: Sequence[str]) -> str:
    """Return the reason that a number (from 1), a code (`wrong_answer`) or its words name; any other text as it is."""
    text = given.strip()
    if text.isdigit() and 1 <= int(text) <= len(known):
        return known[int(text) - 1]
    codes = {code_of(reason): reason for reason in known}
    return codes.get(code_of(text), text)


def reasons_in(guideline: str) -> tuple[str, ...]:
    """Return the list items under a heading "Reasons" (or "Reject reasons", "Reason codes"); empty if there is none."""
    found: list[str] = []
    inside = False
    for line in guideline.splitlines():
        if heading := re.match(r"#{1,6}\s+(?:\d[\d.]*\s+)?(.*)", line):
            inside = bool(re.fullmatch(r"(?:reject(?:ion)?\s+)?reasons?(?:\s+codes?)?", heading[1].strip(" #:"), re.I))
        elif inside and (item := re.match(r"\s*(?:[-*+]|\d+[.)])\s+(.+)", line)):
            found.append(item[1].strip())
    return tuple(found)


def reasons_now(desk: Desk) -> tuple[str, ...]:
    """Return the reasons that hold now."""
    guideline = current_guideline(desk.store, desk.project)
    return reasons_in(guideline.text if guideline else "") or desk.settings.review.reasons


def code_of(reason: str) -> str:
    """`wrong answer` as `wrong_answer`."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")


@dataclass(frozen=True, slots=True)
class Touched:
    """The rows that go back to review under the present version, each with those of `words` that it holds."""

    version: int
    words: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]
    older: int
    """Rows decided under an older version, whether they hold one of the words or not."""


def touched_rows(desk: Desk, chosen: Collection[str] = ()) -> Touched:
    """Return rows that people decided under an older guideline; with `chosen` words those that hold one of them.

    Raises Refusal if there are none of an older version, RungError where `chosen` holds no word.
    """
    now = current_guideline(desk.store, desk.project)
    decided = [row for row in desk.store.rows(state=DECIDED) if row.guideline is not None and not row.automatic]
    older = [row for row in decided if now is not None and row.guideline != now.version]
    if now is None or not older:
        raise Refusal(
            "No row was decided under another version of guideline.md than the present one.",
            "change guideline.md first, then: rung review again",
        )
    wanted = frozenset(word for each in chosen for word in words(each))
    if chosen and not wanted:
        raise RungError("--word holds no word.", "rung review again --word asthma", where="--word")
    said = {row.id: words(f"{row.example.question}\n{row.example.answer or ''}") for row in older}
    hits = {name: tuple(sorted(wanted.intersection(found))) for name, found in said.items()}
    rows = {name: found for name, found in hits.items() if found or not wanted}
    return Touched(now.version, tuple(sorted(wanted)), rows, len(older))


def review_again(desk: Desk, found: Touched, *, actor: str) -> int:
    """Queue the touched rows, as a change that `rung data undo` takes back. Returns the change's number."""
    reason = f"guideline v{found.version}"
    change = desk.store.queue(list(found.rows), reason, "guideline", actor=actor)
    detail = {"version": found.version, "words": list(found.words), "rows": len(found.rows)}
    desk.store.event("guideline_review", actor, f"change-{change}", detail)
    return change
