"""Which rows may be frozen as they stand, which are left out and why, and which stand in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.store import StoredRow
from workspace.settings import Settings

OPEN = ("pending", "leased", "skipped", "unsure")
OWN = ("pool", "train", "validation", "test")


@dataclass(frozen=True, slots=True)
class Blocker:
    """What stops a freeze: which rule, its rows by id, a sentence, and the command that opens the way."""

    kind: str
    text: str
    rows: tuple[str, ...]
    opener: str


@dataclass
class Sorted:
    """Rows sorted by what a freeze may do with them. `dropped` is what the manifest says of those left out."""

    rows: list[StoredRow] = field(default_factory=list)
    dropped: list[dict[str, Any]] = field(default_factory=list)
    undecided: list[StoredRow] = field(default_factory=list)
    demanded: list[StoredRow] = field(default_factory=list)


def drop(row: StoredRow, reason: str, **evidence: Any) -> dict[str, Any]:
    """An entry of `manifest.dropped`."""
    return {"id": row.id, "source": row.source, "role": row.role, "reason": reason, **evidence}


def sort_rows(rows: Sequence[StoredRow], settings: Settings, *, leave_out: bool) -> Sorted:
    """Sort the rows that were not taken out."""
    found = Sorted()
    for row in rows:
        reason = _left_out(row)
        if reason:
            found.dropped.append(drop(row, reason))
        elif row.state in OPEN and (row.origin == "generated" or row.role == "candidates"):
            if leave_out:
                found.dropped.append(drop(row, "waits for review"))
            else:
                found.undecided.append(row)
        elif is_demanded(row, settings):
            found.demanded.append(row)
        else:
            found.rows.append(row)
    return found


def is_demanded(row: StoredRow, settings: Settings) -> bool:
    """Whether the policy demands a decision on this row of the user's own that is not there."""
    if row.is_reviewed:
        return False
    if settings.review.pool == "all":
        return True
    return row.state in OPEN


def blockers(found: Sorted, settings: Settings) -> list[Blocker]:
    """What review leaves open, in words."""
    made = []
    if found.undecided:
        few = len(found.undecided) == 1
        what = f"generated or candidate {'row has' if few else 'rows have'} no decision yet"
        made.append(_blocker("undecided", found.undecided, what, "rung review   (or --leave-out-undecided)"))
    if found.demanded:
        policy = {"all": "all of your own rows", "sample": "the drawn sample", "trust": "rows sent to review"}
        rows = "row waits" if len(found.demanded) == 1 else "rows wait"
        what = f"{rows} for review, and the policy asks for {policy[settings.review.pool]}"
        made.append(_blocker("unreviewed", found.demanded, what, "rung review"))
    return made


def _left_out(row: StoredRow) -> str:
    """Why a row is left out without stopping anything; empty where it is not."""
    if row.state == "rejected":
        return "rejected in review"
    if row.example.messages and not row.example.is_answered:
        return "has no answer yet"
    return ""


def _blocker(kind: str, rows: Sequence[StoredRow], what: str, opener: str) -> Blocker:
    return Blocker(kind, f"{len(rows):,} {what}: {named(rows)}.", tuple(row.id for row in rows), opener)


def named(rows: Sequence[StoredRow], most: int = 5) -> str:
    """The first rows by id and place, and how many more."""
    shown = [f"{row.id} ({row.source})" if row.source else row.id for row in rows[:most]]
    return ", ".join(shown) + (f" and {len(rows) - most:,} more" if len(rows) > most else "")
