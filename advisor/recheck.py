"""Does a decision still hold? Its rules, its prices and the life of the models that it counts on, on a given day."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from itertools import chain
from pathlib import Path
from typing import Literal

from advisor.dated_tables import life_of
from advisor.decision import Decision
from workspace.counted import money

Kind = Literal["advice", "rules", "prices", "life"]


@dataclass(frozen=True, slots=True)
class Shift:
    """A change under a decision. `holds`: whether the decision holds nevertheless; `values` belong to the `change`."""

    kind: Kind
    holds: bool
    change: str
    values: Mapping[str, str] = field(default_factory=dict)


def recheck(
    before: Decision, after: Decision, models: Mapping[str, str], today: date, project_rules: Path | None = None
) -> list[Shift]:
    """Return the differences between the written decision and the one that would be made today.

    `models` names the models in use by what they are for. What does not hold comes first.
    """
    found = [
        *_advice(before, after),
        *_lives(models, today, project_rules),
        *_prices(before, after),
        *_rules(before, after),
    ]
    return sorted(found, key=lambda finding: finding.holds)


def _advice(before: Decision, after: Decision) -> Iterator[Shift]:
    if (before.next_step, before.destination) != (after.next_step, after.destination):
        yield Shift("advice", False, "advice")


def _lives(models: Mapping[str, str], today: date, project_rules: Path | None) -> Iterator[Shift]:
    for use, name in models.items():
        life = life_of(name, project_rules)
        if life is None:
            continue
        values = {"use": use, "life": life.words(today)}
        if life.has_ended(today):
            yield Shift("life", False, "ended", values)
        elif life.ends_soon(today) or life.ends is None:
            yield Shift("life", True, "ending" if life.ends else "no_end", values)


def _prices(before: Decision, after: Decision) -> Iterator[Shift]:
    """Yield a shift if tuning pays today where it did not, or the reverse, and one for old prices."""
    old, new = before.break_even, after.break_even
    if new is None:
        return
    if old is not None and old.saving_usd_per_month is not None and new.saving_usd_per_month is not None:
        was, now = old.saving_usd_per_month, new.saving_usd_per_month
        values = {"was": money(was, 0), "now": money(now, 0)}
        if (was > 0) != (now > 0):
            yield Shift("prices", False, "pays" if now > 0 else "no_pay", values)
        elif was != now:
            yield Shift("prices", True, "saving", values)
    if new.expired:
        yield Shift("prices", True, "expired", {"dated": str(new.prices_dated)})


def _rules(before: Decision, after: Decision) -> Iterator[Shift]:
    if before.rulebook.sha256 != after.rulebook.sha256:
        yield Shift("rules", True, "rulebook")
    expired = [reason.rule for reason in chain(after.reasons, *after.why_not.values()) if reason.expired]
    if expired:
        yield Shift("rules", True, "sources", {"rules": ", ".join(dict.fromkeys(expired)), "first": expired[0]})
