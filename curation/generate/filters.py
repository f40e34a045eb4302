"""Filters of drafts before review. The first reason counts, with its evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from curation.checks.base import Options, SingleRowCheck, Subject
from curation.checks.damaged import Empty, Encoding, OverLong
from curation.checks.phrases import Orders, Refusals, Residue
from curation.checks.private import Personal, Secrets
from curation.example import Example, chat_row, said_in
from curation.generate.strategies import DraftRequest
from curation.likeness.duplicates import dedup
from curation.likeness.fingerprints import Fingerprinted
from curation.likeness.leaks.find import LeakSearch
from curation.likeness.words import normal
from curation.rows.jsonline import Malformed
from curation.rows.turns import read_turns
from curation.split.manifest import load_split, read_manifest
from curation.store import Store
from curation.store.records import LEARNT
from workspace.folder import Project
from workspace.json_types import JsonObject
from workspace.settings import Settings

AGAINST_SEED = ("answer_input", "critique")
"""Strategies whose draft differs from its own seed in the answer, on purpose."""


@dataclass(frozen=True, slots=True)
class FilterResult:
    """Admission of a draft to the queue: an empty `reason`, or why it was refused."""

    reason: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Draft:
    """A row that a model wrote, what it was ordered for, and the reply that it was made from."""

    order: DraftRequest
    row: dict[str, Any]
    said: str

    @property
    def example(self) -> Example:
        """The row as an example."""
        return Example(self.row)


class KnownRows:
    """Rows by id, and test rows, with which new rows are compared."""

    def __init__(self, ids: Sequence[str], known: Sequence[Example], test: Sequence[Example], threshold: float) -> None:
        self.ids: list[Any] = list(ids)
        self.known = Fingerprinted(known)
        self.leaks = LeakSearch(test) if test else None
        self.threshold = threshold

    @classmethod
    def of(cls, store: Store, project: Project, settings: Settings) -> Self:
        """Return all rows of a project, rejected and excluded ones too, and every test row there is."""
        rows, test = store.rows(role=(*LEARNT, "validation"), excluded=None), test_rows(store, project)
        return cls([row.id for row in rows], [row.example for row in rows], test, settings.dataset.threshold)

    def leaking(self, rows: Sequence[Example]) -> Iterator[tuple[int, JsonObject]]:
        """Yield the place and the evidence of rows that hold a test item; a row with several more than once."""
        for leak in self.leaks.find(rows).leaks if rows and self.leaks else ():
            yield leak.train, {"kind": leak.kind, "score": round(leak.score, 3)}


class Sieve(KnownRows):
    """Checks drafts against the project's rows and against one another; what passes is remembered."""

    ids: list[str]

    def __init__(self, ids: Sequence[str], known: Sequence[Example], test: Sequence[Example], threshold: float) -> None:
        super().__init__(ids, known, test, threshold)
        self.checks: list[SingleRowCheck] = [Empty(), Secrets(), Personal(), Residue(), Orders(), Refusals()]
        self.checks += [Encoding(), OverLong(Options())]
        self.chatter: list[SingleRowCheck] = [Residue(), Refusals()]

    def sift(self, drafts: Sequence[Draft]) -> list[FilterResult]:
        """Return a ruling for each draft: of several the first."""
        rulings = [self._alone(draft) for draft in drafts]
        for step in (self._leaks, self._twins):
            open_ = [place for place, ruling in enumerate(rulings) if not ruling.reason]
            for place, ruling in step([drafts[place] for place in open_]):
                if not rulings[open_[place]].reason:
                    rulings[open_[place]] = ruling
        passed = [draft.example for draft, ruling in zip(drafts, rulings, strict=True) if not ruling.reason]
        self.ids += [""] * len(passed)
        self.known = self.known.followed_by(passed)
        return rulings

    def _alone(self, draft: Draft) -> FilterResult:
        """Form and quality of one draft; what its own seed shows as well is no fault of the draft."""
        example = draft.example
        try:
            read_turns(list(example.messages))
        except Malformed as fault:
            return FilterResult("malformed", {"said": str(fault)})
        subject = Subject(example, "", 0, origin="generated")
        seed = Subject(draft.order.seed.example, "", 0) if draft.order.seed else None
        reply = Subject(Example(chat_row("?", draft.said)), "", 0)
        for checks, said, given in ((self.checks, subject, seed), (self.chatter, reply, None)):
            for check in checks:
                note = check.fault(said)
                if note is not None and (given is None or check.fault(given) is None):
                    return FilterResult(check.title.lower(), {"said": note})
        return FilterResult()

    def _leaks(self, drafts: Sequence[Draft]) -> Iterator[tuple[int, FilterResult]]:
        """Yield drafts that hold a test item."""
        for place, evidence in self.leaking([draft.example for draft in drafts]):
            yield place, FilterResult("leaks the test set", evidence)

    def _twins(self, drafts: Sequence[Draft]) -> Iterator[tuple[int, FilterResult]]:
        """Yield duplicates of the project's rows or of one another, and rows that contradict one."""
        pairs = [place for place, draft in enumerate(drafts) if "chosen" in draft.row]
        chats = [place for place in range(len(drafts)) if place not in set(pairs)]
        yield from self._same_pairs([(place, drafts[place]) for place in pairs])
        if not chats:
            return
        start = len(self.known)
        found = dedup(self.known.followed_by(drafts[place].example for place in chats), self.threshold)
        for twin in found.removed:
            if twin.index >= start and not self._its_own_seed(drafts[chats[twin.index - start]], twin.kept):
                evidence = {"kind": twin.kind, "similarity": round(twin.similarity, 3), "row": self._name(twin.kept)}
                yield chats[twin.index - start], FilterResult("duplicate", evidence)
        for pair in found.pairs:
            late, early = max(pair.index, pair.other), min(pair.index, pair.other)
            if pair.kind != "contradiction" or late < start:
                continue
            if not self._its_own_seed(drafts[chats[late - start]], early):
                yield chats[late - start], FilterResult("contradicts a row", {"row": self._name(early)})

    def _its_own_seed(self, draft: Draft, index: int) -> bool:
        if draft.order.strategy not in AGAINST_SEED or draft.order.seed is None or index >= len(self.ids):
            return False
        return self.ids[index] == draft.order.seed.id

    def _same_pairs(self, drafts: Sequence[tuple[int, Draft]]) -> Iterator[tuple[int, FilterResult]]:
        """Preference pairs with the same question and the same worse answer."""
        seen = {_pair(example) for example in self.known if "rejected" in example.row}
        for place, draft in drafts:
            key = _pair(draft.example)
            if key in seen:
                yield place, FilterResult("duplicate", {"kind": "exact"})
            seen.add(key)

    def _name(self, index: int) -> str:
        return self.ids[index] if index < len(self.ids) and self.ids[index] else "another draft"


def _pair(example: Example) -> tuple[str, str]:
    worse = example.row["rejected"]
    text = worse if isinstance(worse, str) else "\n".join(map(said_in, worse))
    return normal(example.question), normal(text)


def test_rows(store: Store, project: Project) -> list[Example]:
    """Return the imported test rows and those of every frozen version, each once."""
    found = {row.content_hash: row.example for row in store.rows(role="test")}
    for manifest in sorted(project.datasets.glob("*/manifest.json")):
        if "test" in read_manifest(manifest.parent).splits:
            for example in load_split(manifest.parent, "test"):
                found.setdefault(example.content_hash, example)
    return list(found.values())
