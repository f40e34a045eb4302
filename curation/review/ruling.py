"""One decision to be made, with the rules of imported rows for its text, and the state that several decisions give."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping

from chat.tool_calls import from_tables, functions_of, with_calls
from curation.example import Example
from curation.mask import MASK
from curation.review.item import Cover
from curation.rows.families import read_object
from curation.rows.jsonline import Malformed, decode_object
from curation.store.decision_log import (
    all_standing_votes,
    decided_or_touched,
    row_by_number,
    standing_votes,
    touched_by_policy,
    write_state,
)
from curation.store.records import FINAL, Vote
from workspace.errors import RungError, did_you_mean
from workspace.settings import ReviewSettings


@dataclass(frozen=True, slots=True)
class Ruling:
    """One decision to be made: for `edit` the new answer (`text`) or the whole row; `reason` a code or a sentence."""

    verdict: str
    text: str | None = None
    row: Mapping[str, Any] | None = None
    reason: str = ""
    remark: str = ""
    seconds: float | None = None

    def values(self, payload: str | None, guideline: int | None) -> dict[str, Any]:
        """Return what the log keeps of it: `payload` is the whole row that it leaves, None if it is untouched."""
        return {
            "verdict": self.verdict,
            "payload": payload,
            "reason": self.reason,
            "remark": self.remark,
            "guideline": guideline,
        }


@dataclass(frozen=True, slots=True)
class Decided:
    """Result of a decision: the row's new state, the id of the new log entry, and why the sample of a `role` in which
    the row was drawn `failed`, in a sentence; both are empty if it has not.
    """

    id: str
    state: str
    decision: int
    failed: str = ""
    role: str = ""


def edited(example: Example, ruling: Ruling) -> str | None:
    """Return the whole row after a ruling, None if it leaves the text as it is.

    Raises RungError for an unknown verdict, an edit without a text, an approval of a row without an answer, a row
    that breaks the rules of rows.
    """
    if ruling.verdict not in VERDICTS:
        raise RungError(
            f'"{ruling.verdict}" is not a decision.{did_you_mean(ruling.verdict, VERDICTS)}',
            "one of: " + ", ".join(VERDICTS),
            found=ruling.verdict,
        )
    if ruling.verdict != "edit":
        if ruling.verdict == "approve" and example.messages and not example.is_answered:
            raise RungError("This row has no answer yet: nothing to approve.", "edit --text-file FILE, with the answer")
        if ruling.text is not None or ruling.row is not None:
            raise RungError(f"A text goes with edit only, not with {ruling.verdict}.", "edit --text-file FILE")
        return None
    if (ruling.text is None) == (ruling.row is None):
        raise RungError("An edit needs the new answer or the whole row.", "edit --text-file FILE, or --row-file FILE")
    made = whole_row(ruling.row) if ruling.row is not None else with_text(example, ruling.text or "")
    _refuse_masks(example, made)
    return made


def _refuse_masks(example: Example, made: str) -> None:
    """Raise RungError if an edit would write a mask over what it hid."""
    new = set(MASK.findall(made)) - set(MASK.findall(example.to_json()))
    if not new:
        return
    cover, after = Cover(), json.loads(made)
    cover.value({key: value for key, value in example.row.items() if after.get(key) != value})
    hidden = {kind for kind, _ in cover.found}
    if masks := sorted(new & hidden):
        words = ", ".join(f"[{kind}]" for kind in masks)
        raise RungError(
            f"The edit holds {words}, which hides data of this row and is not part of it.",
            "rung review next --unmask shows the row as it is",
            found=words,
        )


def with_text(example: Example, text: str) -> str:
    """Return the row as JSON with another answer (`chosen`, for a preference row; the text, for a text row)."""
    text = text.removesuffix("\n").removesuffix("\r")
    if not text.strip():
        raise RungError("The new answer is empty.", "reject the row, or write an answer")
    said, calls = from_tables(text)
    # In a row without calls, only its tools are called by `-> x`.
    named = {str(made.get("name")) for made in functions_of(example.row.get("tools"))}
    if example.calls or {call["name"] for call in calls} <= named:
        text = with_calls(said, calls)
    turn = example.answer_turn(text)
    if example.calls and "tool_calls" not in turn and re.search(r"^\s*([\[{]|->)", text, re.M):
        raise RungError(
            'The edit holds no call that can be read: a line "-> NAME", then "  FIELD  VALUE" for each argument.',
            "a text in quotes, or without; other values as JSON; or give the whole row: edit --row-file FILE",
        )
    if "messages" in example.row:
        changed = example.with_answer(text).row
    elif "chosen" in example.row:
        changed = {**example.row, "chosen": text if isinstance(example.row["chosen"], str) else [turn]}
    else:
        changed = {**example.row, "text": text}
    return whole_row(changed)


def whole_row(row: Mapping[str, Any]) -> str:
    """Return a whole row, checked, as one line of JSON. Raises RungError with the field and the rule."""
    try:
        strict = decode_object(json.dumps(row, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return Example(read_object(strict, None)).to_json()
    except Malformed as error:
        raise RungError(f"The edited row: {error.reason}", error.hint, where=error.field) from error


def parse_row(data: bytes, where: str) -> Mapping[str, Any]:
    """Return a row out of a file's bytes. Raises RungError that names the file."""
    try:
        return decode_object(data.removeprefix(b"\xef\xbb\xbf").strip())
    except Malformed as error:
        raise RungError(f"{where}: {error.reason}", error.hint, where=where) from error


VERDICTS = (*FINAL, "skip", "unsure", "flag")
"""`unsure` asks a second person; `flag` asks the one who ends disagreements."""


@dataclass(frozen=True, slots=True)
class RowOutcome:
    """`state` as stored, the row's text now, the decision that counts, and whether two people disagree."""

    state: str
    payload: str
    decision: int | None = None
    flagged: bool = False
    skipped_by: int | None = None


def settle(
    votes: Sequence[Vote], original: str, needed: int, *, accept_automatic: bool, second_edit: bool = False
) -> RowOutcome:
    """Return the state of a row with these standing votes, in order, of which it needs `needed` equal ones.

    "Not sure" asks one person fewer to agree and never settles by itself. A vote after a disagreement, or after a
    flag, ends it; "not sure" and a skip do not. With `second_edit` a changed text waits, as changed, for a second
    person who agrees. An automatic reviewer's vote counts only with `accept_automatic`.
    """
    counting = [vote for vote in votes if accept_automatic or not vote.automatic]
    flagged = max((place for place in range(len(counting)) if _sends_on(counting, place)), default=None)
    if flagged is not None:
        after = [vote for vote in counting[flagged + 1 :] if vote.verdict in FINAL]
        return _settled(after[-1], original) if after else RowOutcome("unsure", original, flagged=True)
    final = [vote for vote in counting if vote.verdict in FINAL]
    changed = [vote for vote in final if _settled(vote, original).state == "edited"] if second_edit else []
    unsure = sum(vote.verdict == "unsure" for vote in counting)
    fewest = 2 if changed else 1
    enough = max(fewest, needed - unsure)
    if final and len(final) >= enough:
        then = sum(vote.verdict == "unsure" for vote in counting[: counting.index(final[-1])])
        came_to = {comes_to(vote.verdict, vote.payload, original) for vote in final}
        if len(final) <= max(fewest, needed - then) and len(came_to) > 1:
            return RowOutcome("unsure", original, flagged=True)
        return _settled(final[-1], original)
    return _open(counting, changed[-1].payload if changed and needed == 1 else None, original, unsure)


def _sends_on(votes: Sequence[Vote], place: int) -> bool:
    """True if this vote asks the adjudicator: a flag, or a late vote beside another person's decision."""
    vote = votes[place]
    return vote.verdict == "flag" or (vote.late and any(each.verdict in FINAL for each in votes[:place]))


def _open(counting: Sequence[Vote], shown: str | None, original: str, unsure: int) -> RowOutcome:
    """Return a row that still waits; `shown` is an edit that a second person is to see."""
    text = original if shown is None else shown
    if counting and counting[-1].verdict == "skip":
        return RowOutcome("skipped", text, skipped_by=counting[-1].reviewer)
    return RowOutcome("unsure" if unsure else "pending", text)


def _settled(vote: Vote, original: str) -> RowOutcome:
    return RowOutcome(*comes_to(vote.verdict, vote.payload, original), vote.id)


def comes_to(verdict: str, payload: str | None, original: str) -> tuple[str, str]:
    """Return what a final decision makes of a row: its state and text. Two decisions agree where these are equal."""
    if verdict == "reject":
        return "rejected", original
    text = payload if payload is not None else original
    return "edited" if text != original else "approved", text


def outcomes(connection: Connection, policy: ReviewSettings) -> dict[int, RowOutcome]:
    """Return the log's ruling on each row that counts as decided, or whose state depends on the policy."""
    votes = all_standing_votes(connection)
    return {row["id"]: _outcome(row, votes.get(row["id"], ()), policy) for row in decided_or_touched(connection)}


def settle_again(connection: Connection, policy: ReviewSettings) -> None:
    """Work out again every row that a program decided, or that was edited, after the policy changed."""
    for number in touched_by_policy(connection):
        settle_row(connection, row_by_number(connection, number, lock=True), policy)


def settle_row(connection: Connection, row: RowMapping, policy: ReviewSettings, **also: Any) -> RowOutcome:
    """Write the state that the standing votes of a row come to, and what else is to be written of it."""
    original = row["original"] or row["payload"]
    votes = standing_votes(connection, row["id"], row["since"])
    outcome = _outcome(row, votes, policy)
    write_state(
        connection,
        row,
        outcome.state if row["queued"] or votes else row["state"],
        outcome.decision,
        payload=outcome.payload,
        original=original if outcome.payload != original or row["original"] else None,
        flagged=int(outcome.flagged),
        skipped_by=outcome.skipped_by,
        **also,
    )
    return outcome


def _outcome(row: RowMapping, votes: Sequence[Vote], policy: ReviewSettings) -> RowOutcome:
    return settle(
        votes,
        row["original"] or row["payload"],
        row["needed"],
        accept_automatic=policy.accept_automatic,
        second_edit=policy.second_edit,
    )
