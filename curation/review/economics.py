"""What the review costs and brings: pace, acceptance, edits, cost of an accepted row, hours to the goal.

What is not known is None and has its reason in `unknown`; nothing is guessed.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.example import edited_text
from curation.likeness import words
from curation.review.desk import Desk
from curation.review.progress import goal_of, progress
from curation.store.records import StoredRow
from workspace.folder import oldest_first

if TYPE_CHECKING:
    pass


LONGEST = 1_500
"""Words of an answer that are compared; of longer ones their beginning."""
LITTLE = 0.01
"""A forecast gain under this share of the present loss is called too small to be worth the hours."""


@dataclass(frozen=True, slots=True)
class MoreRows:
    """Whether more rows are worth it, by the learning curve that was measured: True, False, None (unknown).

    Losses are of the validation rows; `low`..`high` the forecast's interval at `rows`.
    """

    worth: bool | None
    text: str
    source: str = ""
    present_rows: int | None = None
    present_loss: float | None = None
    rows: int | None = None
    expected_loss: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Economics:
    """All of `rung review economics`. Counts are of persons' decisions; `edit_distance` is words changed, as a share.

    `have` are accepted rows in the data, whoever accepted them; `rows_to_go` decisions that the goal still asks for at
    the present acceptance.
    """

    decided: int
    accepted: int
    edited: int
    acceptance: float | None
    edit_distance: float | None
    rows_an_hour: float | None
    hours: float
    drafts_usd: float | None
    judge_usd: float | None
    review_usd: float | None
    cost_per_accepted_usd: float | None
    hours_per_accepted: float | None
    have: int
    goal: int | None
    goal_from: str
    rows_to_go: int | None
    hours_to_goal: float | None
    queue_hours: float | None
    more: MoreRows
    drafts: Sequence[Mapping[str, Any]] = ()
    """What became of generated drafts, by strategy and model: `Yield.to_json`."""
    unknown: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The document of `--json`."""
        return asdict(self)


def economics(desk: Desk) -> Economics:
    """Return all figures, from the log."""
    reviewed = progress(desk)
    rows = [row for row in desk.store.rows() if row.decision is not None and not row.automatic]
    kept = [row for row in rows if row.is_reviewed]
    edits = [row for row in rows if row.state == "edited"]
    held = Counter[str | None]()
    for row in desk.store.rows(role=("pool", "candidates", "train")):
        held[row.example.answer] += row.is_reviewed
    people = [person for person in reviewed.reviewers if person.kind == "person"]
    hours = sum(person.minutes for person in people) / 60
    unknown: dict[str, str] = {}
    acceptance = len(kept) / len(rows) if rows else None
    table = _drafts(desk)
    drafts, judge = _drafts_cost(table, unknown), _judge_cost(desk, unknown)
    by_sheet = sum(person.by_sheet for person in people)
    if by_sheet:
        unknown["review_usd"] = f"{by_sheet:,} decisions came by sheet, and nobody knows how long they took"
    review_usd, spent = _spent(desk, drafts, judge, None if by_sheet else hours, unknown)
    goal, goal_from, missing = _goal(desk, held, unknown)
    to_decide = None if missing is None or not acceptance else math.ceil(missing / acceptance)
    pace = reviewed.rows_an_hour
    if pace is None:
        unknown["rows_an_hour"] = "fewer than two decisions of one person"
    return Economics(
        decided=len(rows),
        accepted=len(kept),
        edited=len(edits),
        acceptance=acceptance,
        edit_distance=_mean([_distance(row) for row in edits]),
        rows_an_hour=pace,
        hours=hours,
        drafts_usd=drafts,
        judge_usd=judge,
        review_usd=review_usd,
        cost_per_accepted_usd=spent / len(kept) if kept and spent is not None else None,
        hours_per_accepted=hours / len(kept) if kept and hours and not by_sheet else None,
        have=held.total(),
        goal=goal,
        goal_from=goal_from,
        rows_to_go=to_decide,
        hours_to_goal=to_decide / pace if to_decide is not None and pace else None,
        queue_hours=reviewed.hours_left,
        more=more_rows(desk.project.plans),
        drafts=table,
        unknown=unknown,
    )


def more_rows(plans: Path) -> MoreRows:
    """What the newest learning curve (`rung plan curve`) says of more rows than were measured."""
    found = oldest_first(plans.glob("curve-*.json"))
    if not found:
        return MoreRows(None, "Not measured: rung plan curve measures the learning curve.")
    try:
        curve = json.loads(found[-1].read_bytes())
        points = [(int(each["rows"]), float(each["loss"])) for each in curve["points"] if each["loss"] is not None]
        most = max((rows for rows, _ in points), default=None)
        ahead = [each for each in curve.get("forecast") or [] if most is not None and int(each["rows"]) > most]
    except (ValueError, KeyError, TypeError, OSError) as error:
        return MoreRows(None, f"{found[-1].name} cannot be read ({error}).")
    present = _mean([loss for rows, loss in points if rows == most])
    if most is None or present is None or not (ahead or curve.get("gain")):
        why = curve.get("why_no_forecast") or "it has no forecast beyond what was measured"
        return MoreRows(None, f"Unknown: {why}.", found[-1].name, most, present)
    if curve.get("gain"):
        return _by_gain(found[-1].name, most, present, curve["gain"])
    return _told(found[-1].name, most, present, ahead[0])


def _by_gain(source: str, most: int, present: float, gain: Mapping[str, Any]) -> MoreRows:
    """By the gain that the curve itself forecasts for twice the rows; its interval decides."""
    rows, expected = int(gain["rows"]), float(gain["expected"])
    low, high = float(gain["low"]), float(gain["high"])
    span = (
        f"{rows:,} rows take the validation loss of {present:.3f} down by {expected:.3f} (95%: {low:.3f} to {high:.3f})"
    )
    worth = True if low > LITTLE * present else False if high < LITTLE * present else None
    word = {True: "Yes, by the learning curve", False: "No, by the learning curve", None: "Unknown yet"}[worth]
    return MoreRows(
        worth, f"{word}: {span}.", source, most, present, rows, present - expected, present - high, present - low
    )


def _told(source: str, most: int, present: float, ahead: Mapping[str, Any]) -> MoreRows:
    rows, expected = int(ahead["rows"]), float(ahead["expected"])
    low, high = float(ahead["low"]), float(ahead["high"])
    span = f"validation loss {present:.3f} at {most:,} rows, {expected:.3f} ({low:.3f} to {high:.3f}) at {rows:,}"
    if high < present * (1 - LITTLE):
        worth, text = True, f"Yes, by the learning curve: {span}."
    elif low > present * (1 - LITTLE):
        worth, text = False, f"No, by the learning curve: {span}."
    else:
        worth, text = None, f"Unknown yet: {span}."
    return MoreRows(worth, text, source, most, present, rows, expected, low, high)


def word_distance(old: str, new: str) -> float:
    """Words to insert, delete or replace, as a share of the longer text's (Levenshtein over words), 0..1."""
    a, b = list(words(old))[:LONGEST], list(words(new))[:LONGEST]
    if not a or not b:
        return float(a != b)
    above = list(range(len(b) + 1))
    for i, word in enumerate(a, 1):
        row = [i]
        for j, other in enumerate(b, 1):
            row.append(min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (word != other)))
        above = row
    return above[-1] / max(len(a), len(b))


def _distance(row: StoredRow) -> float:
    return word_distance(edited_text(row.original.row), edited_text(row.example.row))


def _spent(
    desk: Desk, drafts: float | None, judge: float | None, hours: float | None, unknown: dict[str, str]
) -> tuple[float | None, float | None]:
    """What the review's hours cost, and everything together; None where a part is unknown."""
    rate = desk.settings.review.hour_usd
    if rate is None:
        unknown["review_usd"] = "[review] hour_usd is not set"
    review = None if rate is None or hours is None else rate * hours
    if review is None or drafts is None or judge is None:
        unknown["cost_per_accepted_usd"] = "not all of its parts are known"
        return review, None
    return review, review + drafts + judge


def _drafts(desk: Desk) -> list[dict[str, Any]]:
    from curation.generate import yields

    return [each.to_json() for each in yields(desk.store, desk.project)]


def _drafts_cost(table: Sequence[Mapping[str, Any]], unknown: dict[str, str]) -> float | None:
    costs = [each["cost_usd"] for each in table]
    if any(cost is None for cost in costs):
        unknown["drafts_usd"] = "a model without a dated price wrote some"
        return None
    return float(sum(costs))


def _judge_cost(desk: Desk, unknown: dict[str, str]) -> float | None:
    costs = [event.detail.get("usd") for event in desk.store.events(kind="score")]
    if any(cost is None for cost in costs):
        unknown["judge_usd"] = "a model without a dated price judged"
        return None
    return float(sum(cost for cost in costs if cost is not None))


def _goal(desk: Desk, held: Mapping[str | None, int], unknown: dict[str, str]) -> tuple[int | None, str, int | None]:
    """The number of rows to work towards, its source, and how many are missing: rung.toml, else the advice.

    `held` are the accepted rows by answer. Advice that counts rows in each class asks for them of every answer.
    """
    have, goal = sum(held.values()), goal_of(desk.project, desk.settings)
    if goal is None:
        unknown["goal"] = "no [review] goal, and no advice that asks for rows to train on"
        return None, "", None
    if not goal.per_class or not held:
        return goal.rows, goal.asked_by, max(0, goal.rows - have)
    missing = sum(max(0, goal.rows - count) for count in held.values())
    return goal.rows * len(held), f"{goal.asked_by}: {goal.rows:,} in each of {len(held):,} classes", missing


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
