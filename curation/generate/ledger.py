"""What was asked and what came back, line by line on disk: a paid reply is never lost and never paid for twice."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chat.protocols import Ask, Reply
from workspace.appended import append_lines, read_lines
from workspace.files import sha256_bytes, write_text
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


def request_key(model: str, ask: Ask) -> str:
    """Hex SHA-256 of everything that the reply depends on."""
    parts = [model, list(ask.turns), ask.max_tokens, list(ask.choices), dict(ask.meta)]
    return sha256_bytes(json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str).encode())


def record_of(key: str, model: str, at: str, order: Mapping[str, Any], reply: Reply) -> Record:
    """A reply as it is kept."""
    numbers = (reply.input_tokens, reply.output_tokens, round(reply.seconds, 3), reply.cost_usd)
    return Record(key, model, at, order, reply.text, reply.stopped, *numbers)


class Ledger:
    """The folder `generated/` of a project: `replies.jsonl`, `rejected.jsonl`, `batches/`."""

    def __init__(self, project: Project) -> None:
        self.folder = project.root / "generated"
        replies = read_lines(self.folder / "replies.jsonl", lambda row: Record(**row), "reply")
        self.replies = {record.key: record for record in replies}
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

    def batches(self) -> list[Path]:
        """Files of batches that were sent and not yet fetched, the oldest first."""
        return sorted((self.folder / "batches").glob("*.json"))

    def under_way(self) -> set[str]:
        """Keys of requests that stand in a batch not yet fetched."""
        return {key for path in self.batches() for key in json.loads(path.read_text(encoding="utf-8"))["orders"]}

    def write_batch(self, name: str, content: Mapping[str, Any]) -> Path:
        """Keep a batch's state."""
        path = self.folder / "batches" / f"{name}.json"
        write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")
        return path

    def _append(self, name: str, entry: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        append_lines(self.folder / name, [entry])


def spent(records: Iterable[Record]) -> float | None:
    """USD of all; None where any is unknown."""
    total = 0.0
    for record in records:
        if record.cost_usd is None:
            return None
        total += record.cost_usd
    return total
