"""Drafts by a model: what a run made, and what would close the gaps of the accepted rows."""

from collections.abc import Iterator, Sequence

from curation.generate.reply_log import Gaps, Yield
from curation.generate.run import DraftingResult
from rung.status.following import after_drafts
from workspace.counted import counted, duration, money
from workspace.settings import ModelSettings

NO_GOAL = "Nothing asks for more rows: neither the advice nor [review] goal."
MORE = "More drafts: rung data generate --count 100"


def drafted_lines(outcome: DraftingResult, table: Sequence[Yield]) -> Iterator[str]:
    """Yield what a run made and cost, how many drafts reviewers kept so far, and the next command."""
    out = outcome.rejected.total()
    yield f"{counted(len(outcome.queued) + out, 'draft')}: {len(outcome.queued):,} queued, {out:,} filtered out"
    if outcome.rejected:
        yield "  filtered: " + ", ".join(f"{n:,} {reason}" for reason, n in outcome.rejected.most_common())
    if outcome.reused:
        yield f"  {outcome.reused:,} existed already; for more, raise --count"
    cost = money(outcome.cost_usd, 4) if outcome.cost_usd is not None else "cost unknown (no dated price)"
    spent = f"{counted(outcome.asked, 'call')}, {duration(outcome.seconds)}, {cost}"
    yield f"  {outcome.strategy} by {outcome.model}: {spent}"
    yield from (f"! {text}" for text in _remarks(outcome))
    for each in table:
        if each.decided:
            yield f"  {each.strategy} by {each.model}: reviewers kept {each.accepted:,} of {each.decided:,} so far"
    yield f"\nNext: {after_drafts(outcome)}"


def _remarks(outcome: DraftingResult) -> list[str]:
    found = list(outcome.notes)
    if outcome.failed:
        kinds = ", ".join(f"{n:,} {kind}" for kind, n in outcome.failed.items())
        found.append(f"{counted(outcome.failed.total(), 'call')} failed ({kinds}). First: {outcome.failure or ''}")
    if outcome.stopped == "budget":
        found.append("Stopped: the next call could have gone over the budget.")
    elif outcome.stopped:
        found.append(f"Stopped: {outcome.stopped}. The drafts so far are kept.")
    if outcome.batch:
        found.append(f"Batch {outcome.batch['id']} is {outcome.batch['state']}: {outcome.batch['waiting']:,} pending.")
    return found


def gap_lines(gaps: Gaps | None, model: ModelSettings) -> list[str]:
    """Return the drafts that would close the gaps, their cost, and the command; or that there is no goal or no gap."""
    if gaps is None:
        return [NO_GOAL, MORE]
    each = " in each class" if gaps.classes else f"; {gaps.goal - gaps.missing:,} are accepted"
    goal = f"{_goal_from(gaps)} {counted(gaps.goal, 'row')}{each}."
    if not gaps.missing:
        return [f"No gap is left. {_goal_from(gaps)} {counted(gaps.goal, 'row')}."]
    what = "gap" if gaps.classes == 1 else "gaps"
    close = f"the {what} in {gaps.classes:,} {'class' if gaps.classes == 1 else 'classes'}"
    close = close if gaps.classes else f"the gap of {counted(gaps.missing, 'row')}"
    drafts = f"{counted(gaps.drafts, 'draft')} would close {close}, {_price(gaps.usd, model)}:"
    return [drafts, gaps.command, "", goal]


def _goal_from(gaps: Gaps) -> str:
    return "The advice recommends" if gaps.goal_from == "the advice" else "rung.toml ([review] goal) asks for"


def _price(usd: float | None, model: ModelSettings) -> str:
    if usd is None:
        return f"price unknown (no dated price of {model.base})"
    return f"{money(usd)} on this machine" if model.provider == "local" else f"at most {money(usd)} with {model.base}"
