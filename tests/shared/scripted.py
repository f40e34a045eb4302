"""A model that replies from a script."""

import random
from collections.abc import Callable, Sequence
from itertools import cycle

from chat.protocols import Ask, Progress, Reply
from workspace.errors import RungError


class Scripted:
    """Replies from a list, in turn and again from its start, or from a function of the ask. Counts words as tokens."""

    is_local = True
    can_choose = True
    """A scripted reply outside the set is an error, not a pass."""

    def __init__(self, replies: Sequence[str] | Callable[[Ask], str | Reply], *, name: str = "scripted") -> None:
        turn = cycle([] if callable(replies) else replies)
        self._next = replies if callable(replies) else lambda _: next(turn)
        self.name = name
        self.asked: list[Ask] = []

    def answer(self, asks: Sequence[Ask], progress: Progress | None = None) -> list[Reply]:
        """The scripted replies; every ask is kept in `asked`."""
        replies = []
        for done, ask in enumerate(asks, 1):
            self.asked.append(ask)
            replies.append(self._reply(ask))
            if progress:
                progress(done, len(asks))
        return replies

    def _reply(self, ask: Ask) -> Reply:
        said = self._next(ask)
        if isinstance(said, Reply):
            return said
        if ask.choices and said not in ask.choices:
            raise RungError(f'The scripted reply "{said}" is not one of the {len(ask.choices)} choices.')
        words = sum(len(str(turn["content"]).split()) for turn in ask.turns)
        return Reply(said, words, len(said.split()), 0.0, "choice" if ask.choices else "end")


def unlike(said: object) -> str:
    """A text that is near to no other, the same for the same words."""
    chance = random.Random(str(said))
    return " ".join("".join(chance.choices("bdfgklmnrst", k=6)) for _ in range(8))
