"""Requests and replies on disk, line by line: a paid reply is never lost and never paid for twice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chat.batching import sent_batches
from chat.protocols import Ask, Reply
from chat.sent import SentCalls
from curation.generate.filters import Draft
from curation.generate.material import DocumentPassage, last_user
from curation.generate.strategies import DraftRequest
from curation.generate.template import PromptTemplate
from curation.store import Store
from workspace.appended import append_lines, read_lines
from workspace.folder import Project


@dataclass(frozen=True, slots=True)
class Record:
    """One request with its reply. `order` rebuilds what the reply belongs to; `key` is the hash of the request."""

    key: str
    model: str
    at: str
    order: Mapping[str, Any]
    text: str
    stopped: str
    input_tokens: int
    output_tokens: int
    seconds: float
    cost_usd: float | None

    @property
    def turns(self) -> list[dict[str, str]]:
        """The exact prompt."""
        return list(self.order["turns"])


def record_of(key: str, model: str, at: str, order: Mapping[str, Any], reply: Reply) -> Record:
    """Return a reply as it is kept."""
    numbers = (reply.input_tokens, reply.output_tokens, round(reply.seconds, 3), reply.cost_usd)
    return Record(key, model, at, order, reply.text, reply.stopped, *numbers)


class ReplyLog:
    """The folder `generated/` of a project: `replies.jsonl`, `rejected.jsonl`, `sent.jsonl`, `batches/`."""

    def __init__(self, project: Project) -> None:
        self.folder = project.root / "generated"
        replies = read_lines(self.folder / "replies.jsonl", lambda row: Record(**row), "reply")
        self.replies = {record.key: record for record in replies}
        self.calls = SentCalls(self.folder / "sent.jsonl")
        self.rejected = dict(read_lines(self.folder / "rejected.jsonl", lambda row: (row["key"], dict(row)), "reply"))

    def add(self, record: Record) -> None:
        """Keep a reply, on disk before anything else is done with it."""
        if record.key not in self.replies:
            self.replies[record.key] = record
            self._append("replies.jsonl", asdict(record))

    def reject(self, record: Record, reason: str, evidence: Mapping[str, Any]) -> None:
        """Keep what did not reach the queue, with the reason."""
        entry = {
            "key": record.key,
            "reason": reason,
            "evidence": dict(evidence),
            "strategy": record.order["strategy"],
            "model": record.model,
            "seed_row": record.order.get("seed_row"),
            "text": record.text,
        }
        self.rejected[record.key] = entry
        self._append("rejected.jsonl", entry)

    @property
    def batch_folder(self) -> Path:
        """Files of batches that were sent and not yet fetched."""
        return self.folder / "batches"

    def under_way(self) -> set[str]:
        """Return the keys of requests in a batch that is not yet fetched."""
        return {key for sent in sent_batches(self.batch_folder) for key in sent.orders}

    def _append(self, name: str, entry: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        append_lines(self.folder / name, [entry])


def spent(records: Iterable[Record]) -> float | None:
    """USD of all; None if any is unknown."""
    total = 0.0
    for record in records:
        if record.cost_usd is None:
            return None
        total += record.cost_usd
    return total


def described(order: DraftRequest) -> dict[str, Any]:
    """Return an order in the reply log: enough to make the row from the reply, whatever changes in between."""
    return {
        "strategy": order.strategy,
        "turns": [dict(turn) for turn in order.ask.turns],
        "max_tokens": order.ask.max_tokens,
        "closed_set": len(order.ask.choices),
        "parameters": {key: value for key, value in order.ask.meta.items() if key != "schema"},
        "prompt": order.prompt.source,
        "prompt_sha256": order.prompt.sha256,
        "seed_row": order.seed.id if order.seed else None,
        "label": order.label,
        "passage": order.passage.place if order.passage else None,
        "passage_text": order.passage.text if order.passage else None,
        "beside": [[passage.text, passage.place] for passage in order.beside] or None,
    }


def rebuilt(record: Record, store: Store, prompt: PromptTemplate) -> DraftRequest:
    """Return the order behind a kept reply."""
    kept = record.order
    seed = store.row(str(kept["seed_row"])) if kept["seed_row"] else None
    passage = DocumentPassage(kept["passage_text"], kept["passage"]) if kept["passage"] else None
    beside = tuple(DocumentPassage(*other) for other in kept.get("beside") or ())
    return DraftRequest(kept["strategy"], Ask(tuple(kept["turns"])), prompt, seed, passage, kept["label"], beside)


def provenance(record: Record, draft: Draft) -> dict[str, Any]:
    """Return the provenance that a candidate keeps."""
    seed = draft.order.seed
    kept = {key: value for key, value in record.order.items() if key != "beside" and value not in (None, "")}
    return {
        **kept,
        "model": record.model,
        "request": record.key,
        "at": record.at,
        "seed_text": last_user(seed) if seed else "",
        "seed_state": seed.state if seed else "",
        "reply": record.text,
        "input_tokens": record.input_tokens,
        "output_tokens": record.output_tokens,
        "seconds": record.seconds,
        "cost_usd": record.cost_usd,
    }
