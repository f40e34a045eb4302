"""Messages between workers and screens. Workers never touch widgets."""

from __future__ import annotations

from textual.message import Message

from rung.status.stages import Status


class StatusRead(Message):
    """The project's status was read; `partial` where the store was not asked yet."""

    def __init__(self, status: Status, *, partial: bool) -> None:
        super().__init__()
        self.status = status
        self.partial = partial

    class Wanted(Message):
        """Somebody needs a fresh status."""
