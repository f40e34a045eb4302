"""Production rows into the review queue: errors first, duplicates and leaks kept out, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from curation.example import Example
from curation.generate.filters import KnownRows
from curation.likeness.duplicates import dedup
from curation.likeness.words import normal
from curation.rows.jsonline import Malformed
from curation.rows.turns import read_turns
from curation.store import Link, NewRow, Store
from curation.store.ingest import LINKS_A_ROW
from curation.store.writing import add_counts, source_number, write_links
from training.monitoring.reference import Origins, Reference, released
from training.monitoring.requests import REQUESTS, Logged, read_watched, watch_folder
from workspace.files import append_lines, put_back, read_lines
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(eq=False)
class ProductionRow:
    """A request to `release`, and the row that it would be as a candidate.

    `near` are rows to show beside it: an id, or another draft, with kind and similarity.
    """

    logged: Logged
    example: Example
    release: str = ""
    reason: str = ""
    evidence: dict[str, object] = field(default_factory=dict)
    near: list[tuple[str | ProductionRow, Any, float]] = field(default_factory=list)

    def refuse(self, reason: str, **evidence: Any) -> None:
        """Refuse a request; the first reason counts."""
        if not self.reason:
            self.reason, self.evidence = reason, evidence


class CandidateFilter(KnownRows):
    """Checks rows against the project's rows, the test sets and one another; what passes is remembered."""

    ids: list[str | ProductionRow]

    def sift(self, drafts: Sequence[ProductionRow], most: int) -> int:
        """Mark the drafts that may not become candidates, in one pass over all of them.

        Ends with the draft that is the `most`-th to pass: how many were seen up to there. The others are as new.
        """
        for draft in drafts:
            try:
                read_turns([dict(message) for message in draft.example.messages], unanswered=True)
            except Malformed as fault:
                draft.refuse("malformed", said=fault.reason)
        sound = [draft for draft in drafts if not draft.reason]
        for place, evidence in self.leaking([draft.example for draft in sound]):
            sound[place].refuse("leaks the test set", **evidence)
        self._twins([draft for draft in drafts if not draft.reason])
        left = most
        for looked, draft in enumerate(drafts, 1):
            if not draft.reason:
                self.ids.append(draft)
                self.known = self.known.followed_by([draft.example])
                left -= 1
            if not left:
                return looked
        return len(drafts)

    def _twins(self, drafts: Sequence[ProductionRow]) -> None:
        """Duplicates, and rows whose question has another answer elsewhere."""
        if not drafts:
            return
        start = len(self.known)
        everyone = [*self.ids, *drafts]
        rows = self.known.followed_by(draft.example for draft in drafts)
        found = dedup(rows, self.threshold)
        for twin in found.removed:
            if twin.index >= start:
                name, similarity = _name(everyone[twin.kept]), round(twin.similarity, 3)
                drafts[twin.index - start].refuse("duplicate", kind=twin.kind, row=name, similarity=similarity)
        for pair in found.pairs:
            early, late = everyone[pair.index], everyone[pair.other]
            if pair.other < start or not isinstance(late, ProductionRow):
                continue
            if late.reason or (isinstance(early, ProductionRow) and early.reason):
                continue
            if pair.kind == "contradiction" and not late.logged.edit:  # an edit may contradict a row
                known = "answers" if rows[pair.index].is_answered else "asks"
                late.refuse(f"a row {known} this already", row=_name(early))
            else:
                late.near.append((early, pair.kind, round(pair.similarity, 4)))


def _name(known: str | ProductionRow) -> str:
    """Return the id of a row, or the name of another request."""
    return known if isinstance(known, str) else known.logged.ref


UNANSWERED = ("failed", "cut at the token limit")
"""Reasons of a request that came back without an answer, or with half of one."""


def reason_of(each: Logged) -> str:
    """Return the reason to review this request before others; empty if there is none."""
    if each.error or not (each.answer.strip() or each.tool_calls):
        return UNANSWERED[0]
    if each.edit:
        return "edited by its user"
    if each.rating is not None and each.rating < 0:
        return "rated low"
    return UNANSWERED[1] if each.finish == "length" else ""


def row_of(reference: Reference, each: Logged) -> Example:
    """Return the request as a row: the user's turns, with the edit or else the answer, if there is a whole one."""
    turns = reference.turns.of(each.messages)
    if each.edit:
        turns.append({"role": "assistant", "content": each.edit})
    elif reason_of(each) not in UNANSWERED:
        turns += each.said
    return Example({"messages": turns})


STRATEGY = "production"
_FIRST = {"contradiction": 0, "minimal_pair": 1, "short_near": 2}


def queue(
    store: Store, connection: Connection, passed: Sequence[ProductionRow], digests: Mapping[str, str]
) -> list[str]:
    """Store them as candidates, in order; their ids. `digests` are the SHA-256 of the imports' requests by name."""
    ids: dict[ProductionRow, str] = {}
    for name in dict.fromkeys(each.logged.imported for each in passed):
        mine = [each for each in passed if each.logged.imported == name]
        source = source_number(connection, f"watch/{name}", digests[name], "candidates")
        rows = [NewRow(each.example, each.logged.line, _meta(each)) for each in mine]
        added = store.add(rows, role="candidates", source=source, connection=connection)
        add_counts(connection, source, {"read": len(rows), "kept": len(rows)})  # else they pass for drafted ones
        ids.update(zip(mine, added.ids, strict=True))
    write_links(connection, _links(ids))
    return [ids[each] for each in passed]


def _links(ids: Mapping[ProductionRow, str]) -> Iterator[Link]:
    """Yield at most LINKS_A_ROW near rows of each, contradictions first."""
    for draft, name in ids.items():
        near = sorted(draft.near, key=lambda each: (_FIRST[each[1]], -each[2]))
        for row, kind, similarity in near[:LINKS_A_ROW]:
            other = ids[row] if isinstance(row, ProductionRow) else row
            if other != name:
                yield Link(name, other, kind, similarity)


def _meta(each: ProductionRow) -> dict[str, object]:
    """Return the permanent origin of a candidate; `findings` are shown with it in review."""
    logged, why = each.logged, reason_of(each.logged)
    said = f': "{logged.comment}"' if logged.comment else ""
    day = f" on {logged.at[:10]}" if logged.at else ""
    told = [f"Asked in production{day} ({logged.ref}){f', {why}' if why else ''}{said}"]
    if logged.edit:
        told.append(f"The model had answered: {logged.answer[:300]}")
    if not each.example.is_answered:
        told.append("It has no answer: write one.")
    return {
        "strategy": STRATEGY,
        "request": logged.ref,
        "hash": logged.hash,
        "release": each.release,
        "model": logged.model,
        "at": logged.at,
        "rating": logged.rating,
        "comment": logged.comment,
        "why": why,
        "answered": logged.answer,
        "priority": 1 if why else 2,
        "findings": [{"kind": "production", "text": text} for text in told],
    }


NOT_LEARNT = "not_learnt.jsonl"


class KeptOut(BaseModel):
    """A line of `watch/not_learnt.jsonl`: a request that did not become a candidate, with the reason."""

    ref: str
    hash: str
    reason: str
    evidence: dict[str, object]
    question: str = ""
    answer: str | None = None


@dataclass
class Learnt:
    """Result of learning from requests: `queued` are ids of new candidates; `rejected` counts by reason.

    `left` requests were not read, for the count was reached; `known` were handled by an earlier call.
    """

    release: str
    looked_at: int = 0
    queued: list[str] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    left: int = 0
    known: int = 0

    def to_json(self) -> dict[str, object]:
        """Return the document of `--json`."""
        return {**vars(self), "queued": len(self.queued), "candidates": self.queued}


def learn(project: Project, settings: Settings, store: Store, *, count: int = 200, telling: bool = False) -> Learnt:
    """Queue up to `count` requests that no earlier call has handled; with `telling` only failed, edited and low rated.

    What does not pass is kept in `watch/not_learnt.jsonl` with its reason. All of it or nothing is stored. Raises
    Refusal where nothing was released or imported, or the release that an import was made with is gone.
    """
    with writer_lock(watch_folder(project) / ".lock", "An import of logs"):
        reference, watched = released(project, settings), read_watched(project)
        origins, before = Origins(project, settings, watched.imports), read_not_learnt(project)
        queued = (row.meta for row in store.rows(role="candidates", excluded=None))  # whatever was decided on them
        handled = {entry.hash for entry in before} | {str(m["hash"]) for m in queued if m.get("strategy") == STRATEGY}
        fresh = [each for each in watched.requests if each.hash not in handled]
        done = Learnt(reference.release.id, known=len(watched.requests) - len(fresh))
        ordered = [each for each in in_order(fresh) if reason_of(each) or not telling]
        passed, rejected = _sift(CandidateFilter.of(store, project, settings), origins, ordered, count, done)
        digests = {made.id: made.contents[REQUESTS] for made in watched.imports}
        with put_back(_not_learnt(project)), store.write(alone=True) as connection:
            done.queued = queue(store, connection, passed, digests)
            detail = {key: value for key, value in done.to_json().items() if key != "candidates"}
            store.event("learn", settings.project.person, done.release, detail, connection=connection)
            if rejected:
                append_lines(_not_learnt(project), [entry.model_dump() for entry in rejected])
    return done


def in_order(requests: Sequence[Logged]) -> list[Logged]:
    """Failed, edited and low rated first, then what people said a word on, then the rest; within each the newest. One
    that came back without an answer comes last where the same question was answered at another time.

    `requests` come in order of time, the oldest first.
    """
    answered = {normal(each.example.question) for each in requests if not reason_of(each)}

    def rank(each: Logged) -> int:
        reason = reason_of(each)
        if reason in UNANSWERED and normal(each.example.question) in answered:
            return 3
        return 0 if reason else 1 if each.comment or each.rating is not None else 2

    return sorted(reversed(requests), key=rank)


def _sift(
    gate: CandidateFilter, origins: Origins, ordered: Sequence[Logged], count: int, done: Learnt
) -> tuple[list[ProductionRow], list[KeptOut]]:
    """Return requests in order through the gate, until `count` have passed; those that do not, as they are kept.

    Each pass takes twice as many as the one before: where most are duplicates, few passes are enough for all.
    """
    passed: list[ProductionRow] = []
    refused: list[ProductionRow] = []
    at, size = 0, count
    while at < len(ordered) and len(passed) < count:
        sent = ((each, origins.of(each.ref)) for each in ordered[at : at + size])
        drafts = [ProductionRow(each, row_of(to, each), to.release.id) for each, to in sent]
        looked = gate.sift(drafts, count - len(passed))
        passed += [draft for draft in drafts[:looked] if not draft.reason]
        refused += [draft for draft in drafts[:looked] if draft.reason]
        at, size = at + looked, 2 * size
    done.why = Counter(reason_of(draft.logged) or "not judged by anyone" for draft in passed)
    done.rejected = Counter(draft.reason for draft in refused)
    done.looked_at, done.left = at, len(ordered) - at
    return passed, [
        KeptOut(
            ref=draft.logged.ref,
            hash=draft.logged.hash,
            reason=draft.reason,
            evidence=draft.evidence,
            question=draft.example.question[:500],
            answer=draft.example.answer,
        )
        for draft in refused
    ]


def read_not_learnt(project: Project) -> list[KeptOut]:
    """Return requests that did not become candidates, with their reasons. Raises InputError if the file is damaged."""
    return read_lines(_not_learnt(project), KeptOut.model_validate, "request that was kept out")


def _not_learnt(project: Project) -> Path:
    return watch_folder(project) / NOT_LEARNT
