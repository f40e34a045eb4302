"""Production rows into the review queue: errors first, duplicates and leaks kept out, each with its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel

from curation.likeness.words import normal
from curation.store import Store
from training.monitoring.candidates import (
    STRATEGY,
    UNANSWERED,
    CandidateFilter,
    Passed,
    ProductionRow,
    open_gate,
    queue,
    reason_of,
    row_of,
)
from training.monitoring.reference import Origins, released
from training.monitoring.requests import REQUESTS, Logged, read_imports, read_watched, watch_folder
from workspace.appended import append_lines, read_lines
from workspace.files import put_back
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings

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
    """What became of the requests: `queued` are ids of new candidates; `rejected` counts by reason.

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
        """The document of `--json`."""
        return {
            "release": self.release,
            "looked_at": self.looked_at,
            "queued": len(self.queued),
            "candidates": self.queued,
            "why": dict(self.why),
            "rejected": dict(self.rejected),
            "left": self.left,
            "known": self.known,
        }


def learn(project: Project, settings: Settings, store: Store, *, count: int = 200, telling: bool = False) -> Learnt:
    """Queue up to `count` requests that no earlier call has handled; with `telling` only failed, edited and low rated.

    What does not pass is kept in `watch/not_learnt.jsonl` with its reason. All of it or nothing is stored. Raises
    Refusal where nothing was released or imported, or the release that an import was made with is gone.
    """
    with writer_lock(watch_folder(project) / ".lock", "An import of logs"):
        reference, watched = released(project, settings), read_watched(project)
        origins, before = Origins(project, settings, watched.imports), read_not_learnt(project)
        handled = {entry.hash for entry in before} | _queued_before(store)
        fresh = [each for each in watched.requests if each.hash not in handled]
        done = Learnt(reference.release.id, known=len(watched.requests) - len(fresh))
        ordered = [each for each in in_order(fresh) if reason_of(each) or not telling]
        passed, rejected = _sift(open_gate(store, project, settings), origins, ordered, count, done)
        _keep(project, settings, store, passed, done, rejected)
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
) -> tuple[list[Passed], list[KeptOut]]:
    """Requests in order through the gate, until `count` have passed; those that do not, as they are kept.

    Each pass takes twice as many as the one before: where most are duplicates, few passes are enough for all.
    """
    passed: list[Passed] = []
    rejected: list[KeptOut] = []
    at, size = 0, count
    while at < len(ordered) and len(passed) < count:
        part = ordered[at : at + size]
        drafts = [ProductionRow(row_of(origins.of(each.ref), each), bool(each.edit), each.ref) for each in part]
        looked = gate.sift(drafts, count - len(passed))
        for each, draft in zip(part[:looked], drafts, strict=False):
            if draft.reason:
                done.rejected[draft.reason] += 1
                rejected.append(
                    KeptOut(
                        ref=each.ref,
                        hash=each.hash,
                        reason=draft.reason,
                        evidence=draft.evidence,
                        question=draft.example.question[:500],
                        answer=draft.example.answer,
                    )
                )
            else:
                done.why[reason_of(each) or "not judged by anyone"] += 1
                passed.append(Passed(each, draft, origins.of(each.ref).release.id))
        at, size = at + looked, 2 * size
    done.looked_at, done.left = at, len(ordered) - at
    return passed, rejected


def _keep(
    project: Project, settings: Settings, store: Store, passed: Sequence[Passed], done: Learnt, out: Sequence[KeptOut]
) -> None:
    """Candidates, what was kept out, and one event."""
    digests = {made.id: made.contents[REQUESTS] for _, made in read_imports(project)}
    with put_back(_not_learnt(project)), store.write(alone=True) as connection:
        done.queued = queue(store, connection, passed, digests)
        detail = {key: value for key, value in done.to_json().items() if key != "candidates"}
        store.event("learn", settings.project.person, done.release, detail, connection=connection)
        if out:
            append_lines(_not_learnt(project), [entry.model_dump() for entry in out])


def _queued_before(store: Store) -> set[str]:
    """Hashes of requests that are candidates already, whatever was decided on them."""
    rows = store.rows(role="candidates", excluded=None)
    return {str(row.meta["hash"]) for row in rows if row.meta.get("strategy") == STRATEGY}


def read_not_learnt(project: Project) -> list[KeptOut]:
    """Requests that did not become candidates, with their reasons. Raises InputError where the file is damaged."""
    return read_lines(_not_learnt(project), KeptOut.model_validate, "request that was kept out")


def _not_learnt(project: Project) -> Path:
    return watch_folder(project) / NOT_LEARNT
