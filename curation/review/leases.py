"""Leases: who holds a row, each in one transaction that nobody else can split.

The clock is read inside the transaction: a moment from before a long wait for the lock would take a lease that someone
got meanwhile for one from the future. A lease's token proves later that this person held the row: it carries a keyed
digest of both. Without that proof a refusal says the same of every row, decided or not.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Sequence

from sqlalchemy import Connection
from sqlalchemy.engine import RowMapping

from curation.review.people import Desk
from curation.store.decision_log import newest_decision, row_by_number
from curation.store.open_rows import (
    end_lease,
    first_free,
    first_unsure,
    held_row,
    lease_key,
    others_review,
    set_lease,
)
from curation.store.reading import SKEW
from curation.store.records import Reviewer, row_id
from curation.store.waiting_rows import waiting
from workspace.errors import Refusal

NEXT = "rung review next --reviewer NAME"


def claim(desk: Desk, person: Reviewer, holding: Sequence[int], want: int | None) -> tuple[int | None, int]:
    """Lease a row to a person: (its number, 0), or (None, how many rows wait for others).

    Someone who reviews alone is also given again what they are not sure of.
    """
    with desk.store.write(lasting=False) as connection:
        moment = desk.clock()
        lasts, is_owner = desk.settings.review.lease_seconds, person.name == desk.settings.project.person
        number = held_row(connection, person, moment, holding, want)
        if number is None:
            number = first_free(connection, person, moment, holding, want=want, patience=moment - lasts)
        if number is None and is_owner and not others_review(connection, person):
            number = first_unsure(connection, person, moment, holding, want=want)
        if number is None:
            return None, waiting(connection)[1]
        row = row_by_number(connection, number)
        lease: dict[str, object] = {"lease_until": moment + lasts}
        if row["lease_owner"] != person.id or not running(row, moment):  # one that they hold already keeps its token
            token = new_token(connection, number, row["since"], person.id)
            lease |= {"lease_owner": person.id, "lease_token": token, "lease_at": moment}
        set_lease(connection, number, **lease)
        return number, 0


def renew(desk: Desk, person: Reviewer, number: int, token: str) -> float | None:
    """Lengthen a running lease; the new end in seconds since the epoch, None if it is over."""
    with desk.store.write() as connection:
        moment = desk.clock()
        row = row_by_number(connection, number, lock=True)
        if stale(connection, row, person, token, moment) is not None:
            return None
        until = moment + desk.settings.review.lease_seconds
        set_lease(connection, number, lease_until=until)
        return until


def give_up(desk: Desk, person: Reviewer, number: int) -> None:
    """End a person's own lease on a row, so that others may have it at once."""
    with desk.store.write() as connection:
        end_lease(connection, number, person)


def new_token(connection: Connection, number: int, since: int, person: int) -> str:
    """Return a token for a lease: random, and a digest of row, round and person under the project's own key."""
    lease_key(connection, new=secrets.token_hex(32))
    nonce = secrets.token_urlsafe(12)
    return f"{nonce}.{_digest(connection, number, since, person, nonce)}"


def was_leased(connection: Connection, row: RowMapping, person: Reviewer, token: str) -> bool:
    """True if this token was given to this person for this row, since the row was last sent to review."""
    nonce, _, given = token.partition(".")
    proof = _digest(connection, row["id"], row["since"], person.id, nonce)
    return bool(lease_key(connection)) and hmac.compare_digest(proof.encode(), given.encode("utf-8", "replace"))


def _digest(connection: Connection, number: int, since: int, person: int, nonce: str) -> str:
    text = f"{number}:{since}:{person}:{nonce}"
    return hmac.new(lease_key(connection).encode(), text.encode("utf-8", "replace"), "sha256").hexdigest()[:24]


def running(row: RowMapping, moment: float) -> bool:
    """True while the lease of a row runs. One from the future was made before the clock was set back."""
    return row["lease_until"] is not None and row["lease_until"] > moment and row["lease_at"] <= moment + SKEW


def stale(connection: Connection, row: RowMapping, person: Reviewer, token: str, moment: float) -> Refusal | None:
    """Return the reason why a decision under this token does not count; None if it does."""
    name = row_id(row["id"])
    same = row["lease_token"] is not None and hmac.compare_digest(row["lease_token"].encode(), token.encode())
    mine = same and row["lease_owner"] == person.id
    if not mine and not was_leased(connection, row, person, token):
        return Refusal(f"{name}: your lease on this row has ended. Your decision was not recorded.", NEXT, where=name)
    if row["change_id"] is not None:
        return _refuse(name, "was taken out of the data meanwhile.")
    if mine:
        if running(row, moment):
            return None
        until = time.strftime("%H:%M:%S", time.localtime(row["lease_until"]))
        return _refuse(name, f"was kept for you until {until}; that is over.")
    return _refuse(name, _what_happened(connection, row, person, moment))


def _what_happened(connection: Connection, row: RowMapping, person: Reviewer, moment: float) -> str:
    last = newest_decision(connection, row["id"])
    if last is not None and last["reviewer_id"] == person.id:
        return f"you decided it already ({last['verdict']}, {last['at'][11:16]} UTC)."
    if last is not None:
        who = "someone else" if row["needed"] > 1 else last["name"]
        return f"{who} decided it at {last['at'][11:16]} UTC."
    if running(row, moment) and row["lease_owner"] != person.id:
        return "it is leased to someone else now."
    return "the token is not that of a running lease."


def _refuse(name: str, why: str) -> Refusal:
    text = f"{name}: {why} Yours was not counted; the text of an edit is kept as a draft."
    return Refusal(text, NEXT, where=name)
