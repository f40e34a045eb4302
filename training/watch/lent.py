"""Answers that a failed or cut request borrows: the same question was answered well at another time."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace

from curation.example import text_of
from curation.similarity.words import normal
from training.watch.origins import Origins
from training.watch.reasons import UNANSWERED, reason_of
from training.watch.record import Logged


class Lent:
    """By what was asked the best whole answer among requests: one that was rated, else the newest.

    `requests` come in order of time, the oldest first. Low rated, edited, failed and cut answers are lent to nobody.
    """

    def __init__(self, origins: Origins, requests: Iterable[Logged]) -> None:
        self.origins = origins
        requests = list(requests)
        wanted = {self._key(each) for each in requests if reason_of(each) in UNANSWERED}
        self.best: dict[str, Logged] = {}
        for each in requests if wanted else ():
            key = self._key(each)
            if key in wanted and not reason_of(each) and (each.rating is not None or not self._is_rated(key)):
                self.best[key] = each

    def answered(self, each: Logged) -> tuple[Logged, str]:
        """The request with the answer that it lacks, and the ref of the one that lends it; else as it is and no ref."""
        found = self.best.get(self._key(each)) if reason_of(each) in UNANSWERED else None
        if found is None:
            return each, ""
        return replace(each, answer=found.answer, tool_calls=found.tool_calls, error="", finish=found.finish), found.ref

    def _is_rated(self, key: str) -> bool:
        return key in self.best and self.best[key].rating is not None

    def _key(self, each: Logged) -> str:
        """What was asked, without what the release puts there, letter case and spaces."""
        asked = self.origins.of(each.ref).turns.of(each.messages)
        return json.dumps([{**turn, "content": normal(text_of(turn.get("content")))} for turn in asked], sort_keys=True)
