"""What the guideline says to reviewers: reason codes, and which decided rows a new version touches."""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from curation.likeness import words
from curation.review.desk import Desk
from curation.store import StoredRow
from curation.store.guidelines import current_guideline, guideline_versions
from curation.store.records import DECIDED, Guideline
from workspace.errors import Refusal


def reason_of(given: str, known: Sequence[str]) -> str:
    """Return the reason that a number (from 1), a code (`wrong_answer`) or its words name; any other text as it is."""
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
    guideline = current_guideline(desk.store, desk.project)
    return reasons_in(guideline.text if guideline else "") or desk.settings.review.reasons


def code_of(reason: str) -> str:
    """`wrong answer` as `wrong_answer`."""
    return re.sub(r"\W+", "_", reason.lower()).strip("_")


COMMON = 0.5
"""A word in a larger share of the decided rows tells nothing of what a change touches."""


@dataclass(frozen=True, slots=True)
class Touched:
    """What the present version touches: the words of its changed lines, and the rows, each with its words."""

    version: int
    since: int
    words: tuple[str, ...]
    rows: dict[str, tuple[str, ...]]
    older: int
    """Rows decided under an older version, touched or not."""


def touched_rows(desk: Desk, *, chosen: Collection[str] = (), everything: bool = False) -> Touched:
    """Decided rows that the newest guideline touches; `chosen` words replace those of the changed lines.

    With `everything` each row decided under an older version. Raises Refusal where there is no older version.
    """
    now = current_guideline(desk.store, desk.project)
    versions = {each.version: each for each in guideline_versions(desk.store)}
    decided = [row for row in desk.store.rows(state=DECIDED) if row.guideline is not None and not row.automatic]
    older = [row for row in decided if now is not None and row.guideline != now.version]
    if now is None or not older:
        raise Refusal(
            "No row was decided under another version of guideline.md than the present one.",
            "change guideline.md first, then: rung review again",
        )
    telling: dict[int, frozenset[str]] = {}
    for version in {row.guideline for row in older if row.guideline is not None}:
        telling[version] = frozenset(word for each in chosen for word in words(each)) or changed_words(
            versions[version], now
        )
    common = _common(decided)
    rows: dict[str, tuple[str, ...]] = {}
    for row in older:
        said = set(words(_text(row)))
        hits = sorted((telling[row.guideline or 0] - common) & said)
        if hits or everything:
            rows[row.id] = tuple(hits)
    every = sorted(frozenset().union(*telling.values()) - common)
    return Touched(now.version, min(telling), tuple(every), rows, len(older))


def review_again(desk: Desk, found: Touched, *, actor: str) -> int:
    """Queue the touched rows, as a change that `rung data undo` takes back. Returns the change's number."""
    reason = f"guideline v{found.version}"
    change = desk.store.queue(list(found.rows), reason, "guideline", actor=actor)
    detail = {"version": found.version, "since": found.since, "words": list(found.words), "rows": len(found.rows)}
    desk.store.event("guideline_review", actor, f"change-{change}", detail)
    return change


def changed_words(old: Guideline, new: Guideline) -> frozenset[str]:
    """Words of the lines that were added or taken away; those that both keep on changed lines alone are left out."""
    before, after = old.text.splitlines(), new.text.splitlines()
    gone: set[str] = set()
    came: set[str] = set()
    for kind, a, b, c, d in difflib.SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        if kind != "equal":
            gone |= set(words("\n".join(before[a:b])))
            came |= set(words("\n".join(after[c:d])))
    differing = gone ^ came
    return frozenset(word for word in (differing or gone | came) if len(word) > 1)


def _common(decided: Sequence[StoredRow]) -> frozenset[str]:
    counts = Counter(word for row in decided for word in set(words(_text(row))))
    most = max(2.0, COMMON * len(decided))
    return frozenset(word for word, n in counts.items() if n > most)


def _text(row: StoredRow) -> str:
    return f"{row.example.question}\n{row.example.answer or ''}"
