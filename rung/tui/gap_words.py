"""What stands on the Review screen where nothing waits: the gaps in the data, and what drafts for them would cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rung.report.figures import money
from workspace.words import counted

if TYPE_CHECKING:
    from curation.generate.gaps import Gaps
    from rung.tui.sitting import Sitting
    from workspace.settings import ModelSettings

MORE = "More drafts: rung data generate --count 100"


def gap_words(sitting: Sitting) -> list[str]:
    """Drafts that would close the gaps, what they cost, and the command. Runs in a thread."""
    from curation.generate.gaps import find_gaps

    gaps = find_gaps(sitting.desk.store, sitting.project, sitting.settings)
    if gaps is None:
        return ["How many rows are needed is not known: rung advise", MORE]
    return gap_lines(gaps, sitting.settings.model)


def gap_lines(gaps: Gaps, model: ModelSettings) -> list[str]:
    """In words; where nothing is missing, that."""
    each = " in each class" if gaps.classes else f"; {gaps.goal - gaps.missing:,} are accepted"
    goal = f"{_who(gaps)} {counted(gaps.goal, 'row')}{each}."
    if not gaps.missing:
        return [f"No gap is left. {_who(gaps)} {counted(gaps.goal, 'row')}."]
    what = "gap" if gaps.classes == 1 else "gaps"
    close = f"the {what} in {gaps.classes:,} {'class' if gaps.classes == 1 else 'classes'}"
    close = close if gaps.classes else f"the gap of {counted(gaps.missing, 'row')}"
    drafts = f"{counted(gaps.drafts, 'draft')} would close {close}, {_price(gaps.usd, model)}:"
    return [drafts, gaps.command, "", goal]


def _who(gaps: Gaps) -> str:
    return "The advice recommends" if gaps.goal_from == "the advice" else "rung.toml ([review] goal) asks for"


def _price(usd: float | None, model: ModelSettings) -> str:
    if usd is None:
        return f"price unknown (no dated price of {model.base})"
    return f"{money(usd)} on this machine" if model.provider == "local" else f"at most {money(usd)} with {model.base}"
