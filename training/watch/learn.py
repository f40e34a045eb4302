"""Production rows into the review queue: errors first, duplicates and leaks kept out, each with its reason."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.ingest import source_number
from curation.store import Link, NewRow, Store
from training.watch.gate import Draft, Gate, open_gate
from training.watch.material import Standing, released
from training.watch.record import REQUESTS, Logged, read_imports, read_watched, watch_folder
from workspace.files import replacing
from workspace.folder import Project
from workspace.lock import writer_lock
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

NOT_LEARNT = "not_learnt.jsonl"
STRATEGY = "production"


@dataclass
class Learnt:
    """What became of the requests: `queued` are ids of new candidates; `rejected` counts by reason.

    `left` requests were not looked at, for the count was reached; `known` were handled by an earlier call.
    """

    release: str
    looked_at: int = 0
    queued: list[str] = field(default_factory=list)
    why: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    left: int = 0
    known: int = 0

    def to_json(self) -> dict[str, Any]:
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
    Refusal where nothing was released or imported.
    """
    from curation.review.queue import refresh_queue

    standing, watched = released(project, settings), read_watched(project)
    with writer_lock(watch_folder(project) / ".lock", "An import of logs"):
        before = read_not_learnt(project)
        handled = {entry["hash"] for entry in before} | _queued_before(store)
        fresh = [each for each in watched.requests if each.hash not in handled]
        done = Learnt(standing.release.id, known=len(watched.requests) - len(fresh))
        ordered = in_order([each for each in fresh if reason_of(each) or not telling])
        gate = open_gate(store, project, settings)
        passed, rejected = _sift(gate, standing, ordered, count, done)
        with store.write(alone=True) as connection:
            _store(project, store, connection, standing, passed, done, settings.project.person)
            _write_not_learnt(project, [*before, *rejected])
    refresh_queue(store, settings)
    return done


def in_order(requests: Sequence[Logged]) -> list[Logged]:
    """Failed, edited and low rated first, then what people said a word on, then the rest; within each the newest."""
    newest = sorted(requests, key=lambda each: (each.at, each.ref), reverse=True)
    return sorted(newest, key=_rank)


def _rank(each: Logged) -> int:
    if reason_of(each):
        return 0
    return 1 if each.comment or each.rating is not None else 2


def reason_of(each: Logged) -> str:
    """Why this request is worth a reviewer's time before others; empty where it is one of many."""
    if each.error or not (each.answer.strip() or each.tool_calls):
        return "failed"
    if each.edit:
        return "edited by its user"
    if each.rating is not None and each.rating < 0:
        return "rated low"
    return "cut at the token limit" if each.finish == "length" else ""


def row_of(standing: Standing, each: Logged) -> Example:
    """The request as a row of the project: the user's own turns, and what was edited or else answered; no answer
    where there was none, or only half of one.
    """
    turns = standing.turns.of(each.messages)
    if each.edit:
        return Example({"messages": [*turns, {"role": "assistant", "content": each.edit}]})
    if reason_of(each) in ("failed", "cut at the token limit"):
        return Example({"messages": turns})
    answer: dict[str, Any] = {"role": "assistant", "content": each.answer}
    if each.tool_calls:
        answer["tool_calls"] = list(each.tool_calls)
    return Example({"messages": [*turns, answer]})


def _sift(
    gate: Gate, standing: Standing, ordered: Sequence[Logged], count: int, done: Learnt
) -> tuple[list[tuple[Logged, Draft]], list[dict[str, Any]]]:
    """Requests in order through the gate, until `count` have passed; those that do not, as they are kept."""
    passed: list[tuple[Logged, Draft]] = []
    rejected: list[dict[str, Any]] = []
    at = 0
    while at < len(ordered) and len(passed) < count:
        part = ordered[at : at + max(count - len(passed), 1)]
        at += len(part)
        drafts = [Draft(row_of(standing, each), bool(each.edit), each.ref) for each in part]
        gate.sift(drafts)
        for each, draft in zip(part, drafts, strict=True):
            if draft.reason:
                done.rejected[draft.reason] += 1
                entry = {"ref": each.ref, "hash": each.hash, "reason": draft.reason, "evidence": draft.evidence}
                rejected.append({**entry, "question": draft.example.question[:500], "answer": draft.example.answer})
            else:
                done.why[reason_of(each) or "not judged by anyone"] += 1
                passed.append((each, draft))
    done.looked_at, done.left = at, len(ordered) - at
    return passed, rejected


def _store(
    project: Project,
    store: Store,
    connection: Connection,
    standing: Standing,
    passed: Sequence[tuple[Logged, Draft]],
    done: Learnt,
    actor: str,
) -> None:
    """Rows with their origin, the near rows that reviewers see beside them, and one event."""
    from curation.store.pairs import write_links

    digests = {made.id: made.contents[REQUESTS] for _, made in read_imports(project)}
    ids: dict[int, str] = {}
    for name in dict.fromkeys(each.ref.partition(":")[0] for each, _ in passed):
        source = source_number(connection, f"watch/{name}", digests[name], "candidates")
        mine = [(n, each, draft) for n, (each, draft) in enumerate(passed) if each.ref.startswith(f"{name}:")]
        rows = [NewRow(draft.example, each.line, _meta(standing, each)) for _, each, draft in mine]
        added = store.add(rows, role="candidates", source=source, connection=connection)
        ids.update({n: row for (n, _, _), row in zip(mine, added.ids, strict=True)})
    done.queued = [ids[n] for n in sorted(ids)]
    write_links(connection, _links([ids[n] for n in range(len(passed))], [draft for _, draft in passed]))
    detail = {key: value for key, value in done.to_json().items() if key != "candidates"}
    store.event("learn", actor, standing.release.id, detail, connection=connection)


def _links(ids: Sequence[str], drafts: Sequence[Draft]) -> Iterator[Link]:
    for name, draft in zip(ids, drafts, strict=True):
        for other, kind, similarity in draft.near:
            row = ids[other] if isinstance(other, int) else other
            if row != name:
                yield Link(name, row, kind, similarity)


def _meta(standing: Standing, each: Logged) -> dict[str, Any]:
    """Where a candidate comes from, for good; `findings` stand beside it in review."""
    why = reason_of(each)
    said = f': "{each.comment}"' if each.comment else ""
    told = [
        f"Asked in production{f' on {each.at[:10]}' if each.at else ''} ({each.ref}){f', {why}' if why else ''}{said}"
    ]
    if each.edit:
        told.append(f"The model had answered: {each.answer[:300]}")
    if not row_of(standing, each).is_answered:
        told.append("It has no answer: write one.")
    return {
        "strategy": STRATEGY,
        "request": each.ref,
        "hash": each.hash,
        "release": standing.release.id,
        "model": each.model,
        "at": each.at,
        "rating": each.rating,
        "comment": each.comment,
        "why": why,
        "answered": each.answer,
        "priority": 1 if why else 2,
        "findings": [{"kind": "production", "text": text} for text in told],
    }


def _queued_before(store: Store) -> set[str]:
    """Hashes of requests that are candidates already, whatever was decided on them."""
    rows = store.rows(role="candidates", excluded=None)
    return {str(row.meta["hash"]) for row in rows if row.meta.get("strategy") == STRATEGY}


def read_not_learnt(project: Project) -> list[dict[str, Any]]:
    """Requests that did not become candidates, with their reasons."""
    path = _not_learnt(project)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.is_file() else []


def _write_not_learnt(project: Project, entries: Sequence[Mapping[str, Any]]) -> None:
    if entries:
        with replacing(_not_learnt(project)) as file:
            file.writelines(json.dumps(entry).encode() + b"\n" for entry in entries)


def _not_learnt(project: Project) -> Path:
    return watch_folder(project) / NOT_LEARNT
