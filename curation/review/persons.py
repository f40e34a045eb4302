"""Each reviewer's figures: decisions, pace, agreement with what their rows came to, drift over time."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

from curation.example import Example
from curation.review.votes import FINAL
from curation.similarity.answers import answer_form
from curation.store import Store

if TYPE_CHECKING:
    from sqlalchemy.engine import RowMapping

BREAK_SECONDS = 300.0
"""A longer pause between two decisions is a break, and counts as this long at most."""
ENOUGH = 40
"""Decisions below which nothing is said of a drift."""
Z = 1.959963984540054


@dataclass(frozen=True, slots=True)
class Drift:
    """The share of rows that a person changed (edited or rejected), in the first and the second half of their time.

    `low`..`high` is the 95% interval of the difference (Newcombe's, from Wilson's intervals); `drifts` where it leaves
    out 0. `seconds` are the medians of both halves, None where no time was kept.
    """

    decisions: int
    first: float
    second: float
    low: float
    high: float
    drifts: bool
    seconds_first: float | None
    seconds_second: float | None


@dataclass(frozen=True, slots=True)
class PersonProgress:
    """One reviewer's standing decisions, and their pace over the time that they sat at it.

    Decisions that came in one go (`by_sheet`: by mail, from a program) took a time that nobody knows: they are in no
    pace and in no time of a row.

    `seconds` is the median time of a row; `consensus` the share of their decisions that is what the row came to, over
    the `consensus_rows` that others decided too; None where there are none. `drift` None under 40 decisions and
    for a program.
    """

    name: str
    kind: str
    role: str
    decided: int
    verdicts: Mapping[str, int]
    minutes: float
    rows_an_hour: float | None
    seconds: float | None = None
    consensus: float | None = None
    consensus_rows: int = 0
    drift: Drift | None = None
    by_sheet: int = 0


def person_progress(store: Store) -> list[PersonProgress]:
    """Everyone with a decision that stands, in the order of their first one."""
    entries = standing(store)
    shared = _shared(entries)
    by_name: dict[str, list[RowMapping]] = {}
    for each in entries:
        by_name.setdefault(each["name"], []).append(each)
    return [_person(name, mine, shared) for name, mine in by_name.items()]


def standing(store: Store, *, overlap: bool = False) -> Sequence[RowMapping]:
    """Decisions that no later entry supersedes, with reviewer and row; `overlap`: on rows for two people alone.

    Answers to known items (`known`) are among them, for they took their time; with `overlap` they are not.
    """
    from sqlalchemy import exists, select

    from curation.review.settling import to_known_item
    from curation.store.tables import decisions, later, reviewers, rows

    asked = (
        select(
            decisions,
            reviewers.c.name,
            reviewers.c.kind,
            reviewers.c.role,
            rows.c.needed,
            rows.c.state.label("row_state"),
            rows.c.payload.label("row_payload"),
            rows.c.original,
            rows.c.decision_id,
            rows.c.since,
            to_known_item().label("known"),
        )
        .join(reviewers, reviewers.c.id == decisions.c.reviewer_id)
        .join(rows, rows.c.id == decisions.c.row_id)
        .where(decisions.c.verdict != "undo", ~exists().where(later.c.supersedes == decisions.c.id))
        .order_by(decisions.c.id)
    )
    if overlap:
        asked = asked.where(rows.c.needed > 1, decisions.c.id > rows.c.since, ~to_known_item())
    with store.read() as connection:
        return connection.execute(asked).mappings().all()


def drift_of(changed: Sequence[bool], seconds: Sequence[float | None]) -> Drift | None:
    """The first half of a person's decisions against the second; None under ENOUGH of them."""
    if len(changed) < ENOUGH:
        return None
    middle = len(changed) // 2
    first, second = changed[:middle], changed[middle:]
    low, high = newcombe((sum(first), len(first)), (sum(second), len(second)))
    return Drift(
        decisions=len(changed),
        first=sum(first) / len(first),
        second=sum(second) / len(second),
        low=low,
        high=high,
        drifts=low > 0 or high < 0,
        seconds_first=_median(seconds[:middle]),
        seconds_second=_median(seconds[middle:]),
    )


def newcombe(one: tuple[int, int], other: tuple[int, int]) -> tuple[float, float]:
    """95% interval of the difference of two shares (hits, n), the other minus the one: Newcombe 1998, method 10."""
    a, b = one[0] / one[1], other[0] / other[1]
    (low_a, high_a), (low_b, high_b) = wilson(*one), wilson(*other)
    return b - a - math.hypot(b - low_b, high_a - a), b - a + math.hypot(high_b - b, a - low_a)


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95% score interval of a share."""
    share = hits / n
    middle = share + Z * Z / (2 * n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n))
    return (middle - half) / (1 + Z * Z / n), (middle + half) / (1 + Z * Z / n)


def _person(name: str, entries: Sequence[RowMapping], shared: Mapping[int, set[str]]) -> PersonProgress:
    sat = [entry for entry in entries if entry["token"]]
    seconds = _sitting([entry["at"] for entry in sat])
    verdicts = {v: sum(entry["verdict"] == v for entry in entries) for v in (*FINAL, "skip", "unsure", "flag")}
    final = [entry for entry in entries if entry["verdict"] in FINAL]
    ruled = sum(entry["verdict"] in FINAL for entry in sat[1:])  # a row that is skipped is none that is done
    automatic = entries[0]["kind"] == "automatic"
    mine = [entry for entry in final if not entry["known"]]
    agreed = [
        _is_what_it_came_to(entry)
        for entry in mine
        if len(shared.get(entry["row_id"], ())) > 1 and entry["decision_id"] is not None
    ]
    return PersonProgress(
        name=name,
        kind=entries[0]["kind"],
        role=entries[0]["role"],
        decided=len(final),
        verdicts=verdicts,
        minutes=seconds / 60,
        rows_an_hour=ruled / seconds * 3600 if seconds and ruled else None,
        seconds=_median([entry["seconds"] for entry in final if entry["token"]]),
        consensus=sum(agreed) / len(agreed) if agreed else None,
        consensus_rows=len(agreed),
        drift=None if automatic else drift_of([e["verdict"] != "approve" for e in mine], [e["seconds"] for e in mine]),
        by_sheet=sum(not entry["token"] for entry in final),
    )


def _shared(entries: Sequence[RowMapping]) -> dict[int, set[str]]:
    """Who decided each row since it was last sent to review."""
    shared: dict[int, set[str]] = {}
    for each in entries:
        if each["verdict"] in FINAL and each["id"] > each["since"] and not each["known"]:
            shared.setdefault(each["row_id"], set()).add(each["name"])
    return shared


def _is_what_it_came_to(entry: RowMapping) -> bool:
    """Whether a decision is the state, and the answer, that the row has now."""
    if entry["id"] <= entry["since"]:
        return False
    if entry["verdict"] == "reject" or entry["row_state"] == "rejected":
        return bool(entry["verdict"] == "reject" and entry["row_state"] == "rejected")
    text = entry["payload"] or entry["original"] or entry["row_payload"]
    ours, came = (Example.from_json(each).answer or "" for each in (text, entry["row_payload"]))
    return answer_form(ours) == answer_form(came)


def _median(seconds: Sequence[float | None]) -> float | None:
    known = [each for each in seconds if each is not None]
    return statistics.median(known) if known else None


def _sitting(times: Sequence[str]) -> float:
    moments = [datetime.fromisoformat(each).timestamp() for each in times]
    return sum(min(BREAK_SECONDS, max(0.0, later - earlier)) for earlier, later in pairwise(moments))
