"""What a production row must pass before it may take a reviewer's time; the first reason stands, with its evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from curation.example import Example
from curation.formats.jsonline import Malformed
from curation.formats.turns import check_turns
from curation.generate.filters import test_rows
from curation.store import Store
from workspace.folder import Project
from workspace.settings import Settings

KNOWN_ROLES = ("pool", "candidates", "train", "validation")


@dataclass(eq=False)
class Draft:
    """A row that may become a candidate. `edited`: a person wrote its answer, so it may contradict a row.

    `name` is the request's. `near` are rows to show beside it: an id, or another draft, with kind and similarity.
    """

    example: Example
    edited: bool = False
    name: str = ""
    reason: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    near: list[tuple[str | Draft, Any, float]] = field(default_factory=list)

    def refuse(self, reason: str, **evidence: Any) -> None:
        """The first reason stands."""
        if not self.reason:
            self.reason, self.evidence = reason, evidence


class Gate:
    """Checks rows against the project's rows, the test sets and one another; what passes is remembered."""

    def __init__(self, ids: Sequence[str], known: Sequence[Example], test: Sequence[Example], threshold: float) -> None:
        self.ids: list[str | Draft] = list(ids)
        self.known = list(known)
        self.test = list(test)
        self.threshold = threshold

    def sift(self, drafts: Sequence[Draft], most: int) -> int:
        """Mark the drafts that may not become candidates, in one pass over all of them.

        Ends with the draft that is the `most`-th to pass: how many were looked at up to there. The others are as new.
        """
        for draft in drafts:
            _form(draft)
        self._leaks([draft for draft in drafts if not draft.reason])
        self._twins([draft for draft in drafts if not draft.reason])
        left = most
        for looked, draft in enumerate(drafts, 1):
            if not draft.reason:
                self.ids.append(draft)
                self.known.append(draft.example)
                left -= 1
            if not left:
                return looked
        return len(drafts)

    def _leaks(self, drafts: Sequence[Draft]) -> None:
        from curation.leakage import find_leaks

        if not (drafts and self.test):
            return
        for leak in find_leaks([draft.example for draft in drafts], self.test).leaks:
            drafts[leak.train].refuse("leaks the test set", kind=leak.kind, score=round(leak.score, 3))

    def _twins(self, drafts: Sequence[Draft]) -> None:
        """Duplicates, and rows whose question stands with another answer."""
        from curation.dedup import dedup

        if not drafts:
            return
        start = len(self.known)
        everyone = [*self.ids, *drafts]
        rows = [*self.known, *(draft.example for draft in drafts)]
        found = dedup(rows, self.threshold)
        for twin in found.removed:
            if twin.index >= start:
                name, similarity = _name(everyone[twin.kept]), round(twin.similarity, 3)
                drafts[twin.index - start].refuse("duplicate", kind=twin.kind, row=name, similarity=similarity)
        for pair in found.pairs:
            early, late = everyone[pair.index], everyone[pair.other]
            if pair.other < start or not isinstance(late, Draft):
                continue
            if late.reason or (isinstance(early, Draft) and early.reason):
                continue
            if pair.kind == "contradiction" and not late.edited:
                known = "answers" if rows[pair.index].is_answered else "asks"
                late.refuse(f"a row {known} this already", row=_name(early))
            else:
                late.near.append((early, pair.kind, round(pair.similarity, 4)))


def _name(known: str | Draft) -> str:
    """The id of a row, or the name of another request."""
    return known if isinstance(known, str) else known.name


def _form(draft: Draft) -> None:
    try:
        check_turns([dict(message) for message in draft.example.messages], unanswered=True)
    except Malformed as fault:
        draft.refuse("malformed", said=fault.reason)


def open_gate(store: Store, project: Project, settings: Settings) -> Gate:
    """A gate over all rows of the project, rejected and excluded ones too, and every test row there is."""
    rows = store.rows(role=KNOWN_ROLES, excluded=None)
    return Gate(
        [row.id for row in rows],
        [row.example for row in rows],
        test_rows(store, project),
        settings.dataset.threshold,
    )
