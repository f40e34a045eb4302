"""What several people's decisions on one row come to. A pure function: the same votes give the same state."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FINAL = ("approve", "edit", "reject")
VERDICTS = (*FINAL, "skip", "unsure", "flag")
"""`unsure` asks a second person; `flag` asks the one who ends disagreements."""


@dataclass(frozen=True, slots=True)
class Vote:
    """One standing decision: `payload` is the whole row as it was left, None where it was not touched.

    A `late` one was made beside another that counted already: a third person is to end that.
    """

    id: int
    reviewer: int
    verdict: str
    payload: str | None
    automatic: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """`state` as stored, the row's text now, the decision that counts, and whether two people disagree."""

    state: str
    payload: str
    decision: int | None = None
    flagged: bool = False
    skipped_by: int | None = None


def settle(
    votes: Sequence[Vote], original: str, needed: int, *, accept_automatic: bool, second_edit: bool = False
) -> Outcome:
    """The state of a row with these standing votes, in order, of which it needs `needed` equal ones.

    "Not sure" asks one person fewer to agree and never settles by itself. A vote after a disagreement, or after a
    flag, ends it; "not sure" and a skip do not. With `second_edit` a changed text waits, as changed, for a second
    person who agrees. An automatic reviewer's vote counts only with `accept_automatic`.
    """
    counting = [vote for vote in votes if accept_automatic or not vote.automatic]
    flagged = max((place for place in range(len(counting)) if _sends_on(counting, place)), default=None)
    if flagged is not None:
        after = [vote for vote in counting[flagged + 1 :] if vote.verdict in FINAL]
        return _settled(after[-1], original) if after else Outcome("unsure", original, flagged=True)
    final = [vote for vote in counting if vote.verdict in FINAL]
    changed = [vote for vote in final if _settled(vote, original).state == "edited"] if second_edit else []
    unsure = sum(vote.verdict == "unsure" for vote in counting)
    fewest = 2 if changed else 1
    enough = max(fewest, needed - unsure)
    if final and len(final) >= enough:
        then = sum(vote.verdict == "unsure" for vote in counting[: counting.index(final[-1])])
        if len(final) <= max(fewest, needed - then) and not _agree(final, original):
            return Outcome("unsure", original, flagged=True)
        return _settled(final[-1], original)
    return _open(counting, changed[-1].payload if changed and needed == 1 else None, original, unsure)


def _sends_on(votes: Sequence[Vote], place: int) -> bool:
    """Whether this vote asks the one who ends disagreements: a flag, or a late one beside a decision of another."""
    vote = votes[place]
    return vote.verdict == "flag" or (vote.late and any(each.verdict in FINAL for each in votes[:place]))


def _open(counting: Sequence[Vote], shown: str | None, original: str, unsure: int) -> Outcome:
    """A row that still waits; `shown` is an edit that a second person is to see."""
    text = original if shown is None else shown
    if counting and counting[-1].verdict == "skip":
        return Outcome("skipped", text, skipped_by=counting[-1].reviewer)
    return Outcome("unsure" if unsure else "pending", text)


def _settled(vote: Vote, original: str) -> Outcome:
    if vote.verdict == "reject":
        return Outcome("rejected", original, vote.id)
    payload = vote.payload if vote.payload is not None else original
    return Outcome("edited" if payload != original else "approved", payload, vote.id)


def _agree(votes: Sequence[Vote], original: str) -> bool:
    return len({_settled(vote, original).state + _settled(vote, original).payload for vote in votes}) == 1
