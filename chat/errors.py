"""A call that brought no answer, in the words of its user."""

from typing import Literal

from chat.protocols import Reply
from workspace.errors import RungError

Kind = Literal["key", "money", "model", "request", "rate", "busy", "timeout", "connection", "garbled"]
AGAIN = frozenset({"rate", "busy", "timeout", "connection"})
TURNED_AWAY = frozenset({"rate", "busy"})
"""Kinds with which a server says that it did not work on the request."""
UNCERTAIN = frozenset({"timeout", "connection", "garbled"})
"""Kinds after which the server may have done the work all the same."""


class ChatError(RungError):
    """A model could not be asked. `kind` says what failed; `again` whether a later try may succeed.

    `wait` is how many seconds the server asked for; `tries` how often it was asked; `cost_usd` what those tries are
    known to have cost; `unsent` that no connection was made; `replies` what came before the failure, None if nothing
    did.
    """

    def __init__(self, kind: Kind, message: str, hint: str = "", *, where: str = "", wait: float | None = None) -> None:
        super().__init__(message, hint, where=where)
        self.kind = kind
        self.wait = wait
        self.tries = 1
        self.unsent = False
        self.cost_usd = 0.0
        self.replies: list[Reply | None] = []

    @property
    def again(self) -> bool:
        """True if the same call may succeed later."""
        return self.kind in AGAIN

    @property
    def may_be_paid(self) -> bool:
        """True if it cannot be known here whether the call was charged."""
        return self.kind in UNCERTAIN and not self.unsent and not self.cost_usd
