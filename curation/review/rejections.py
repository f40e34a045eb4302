"""Why rows were rejected: the reason of each decision that rejects."""

from __future__ import annotations

from curation.store import Store


def rejection_reasons(store: Store) -> dict[int, str]:
    """The reason by the id of the decision; empty where none was given."""
    from sqlalchemy import select

    from curation.store.tables import decisions

    asked = select(decisions.c.id, decisions.c.reason).where(decisions.c.verdict == "reject")
    with store.read() as connection:
        return {int(number): str(reason) for number, reason in connection.execute(asked).tuples()}
