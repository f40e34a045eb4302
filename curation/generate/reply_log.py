"""Requests and replies on disk, line by line: a paid reply is never lost and never paid for twice. What they yielded,
what is still missing, and the highest cost of closing the gaps.
"""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import Any

from chat.batching import sent_batches
from chat.prices import TokenPrice, price_of
from chat.privacy import SentCalls
from chat.protocols import Ask, Reply
from curation.generate.filters import Draft
from curation.generate.material import DocumentPassage, DraftMaterial, PromptTemplate, gather, last_user, load_prompt
from curation.generate.strategies import DraftRequest, find_strategy
from curation.store import Store
from curation.store.records import LEARNT
from workspace.artefact import now
from workspace.errors import RungError
from workspace.files import append_lines, read_lines
from workspace.folder import Project
from workspace.settings import Settings


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


class ReplyLog:
    """The folder `generated/` of a project: `replies.jsonl`, `rejected.jsonl`, `sent.jsonl`, `batches/`."""

    def __init__(self, project: Project) -> None:
        self.folder = project.root / "generated"
        self.batch_folder = self.folder / "batches"
        """Files of batches that were sent and not yet fetched."""
        replies = read_lines(self.folder / "replies.jsonl", lambda row: Record(**row), "reply")
        self.replies = {record.key: record for record in replies}
        self.calls = SentCalls(self.folder / "sent.jsonl")
        self.rejected = dict(read_lines(self.folder / "rejected.jsonl", lambda row: (row["key"], dict(row)), "reply"))

    def keep(self, key: str, model: str, order: Mapping[str, Any], reply: Reply) -> Record:
        """Keep a reply, on disk before anything else is done with it."""
        numbers = (reply.input_tokens, reply.output_tokens, round(reply.seconds, 3), reply.cost_usd)
        record = Record(key, model, now().isoformat(), order, reply.text, reply.stopped, *numbers)
        if key not in self.replies:
            self.replies[key] = record
            self._append("replies.jsonl", asdict(record))
        return record

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

    def under_way(self) -> set[str]:
        """Return the keys of requests in a batch that is not yet fetched."""
        return {key for sent in sent_batches(self.batch_folder) for key in sent.orders}

    def _append(self, name: str, entry: Mapping[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        append_lines(self.folder / name, [entry])


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


@dataclass
class Yield:
    """Drafts of one strategy by one model. `accepted` = approved + edited; cost None if a price is unknown."""

    strategy: str
    model: str
    drafts: int = 0
    filtered: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = 0.0
    seconds: float = 0.0

    @property
    def accepted(self) -> int:
        """Drafts that a reviewer kept."""
        return self.states["approved"] + self.states["edited"]

    @property
    def decided(self) -> int:
        """Drafts that a reviewer kept or rejected."""
        return self.accepted + self.states["rejected"]

    def to_json(self) -> dict[str, Any]:
        """Return the row of the table; shares are null if nothing was decided."""
        paid = self.cost_usd if self.accepted and self.cost_usd is not None else None
        return {
            "strategy": self.strategy,
            "model": self.model,
            "drafts": self.drafts,
            "filtered": dict(self.filtered),
            "queued": self.states.total(),
            "decided": self.decided,
            "accepted": self.accepted,
            "accepted_share": self.accepted / self.decided if self.decided else None,
            "cost_usd": self.cost_usd,
            "cost_per_accepted_usd": paid / self.accepted if paid is not None else None,
            "seconds": round(self.seconds, 1),
        }


def yields(store: Store, project: Project) -> list[Yield]:
    """Return every strategy and model that ever wrote drafts in this project."""
    ledger = ReplyLog(project)
    groups = defaultdict(list)
    for record in ledger.replies.values():
        groups[str(record.order["strategy"]), record.model].append(record)
    states: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for row in store.rows(role="candidates", origin="generated", excluded=None):
        states[str(row.meta.get("strategy")), str(row.meta.get("model"))][row.state] += 1
    found = []
    for (strategy, model), records in sorted(groups.items()):
        filtered = Counter(ledger.rejected[r.key]["reason"] for r in records if r.key in ledger.rejected)
        seconds = sum(record.seconds for record in records)
        costs = [record.cost_usd for record in records]
        cost = None if None in costs else sum(filter(None, costs), 0.0)
        found.append(Yield(strategy, model, len(records), filtered, states[strategy, model], cost, seconds))
    return found


TRIED = 20
"""Drafts that must be decided before the share that reviewers keep says how many more are needed."""
WEIGHED = 50
"""Requests from which the price of all is worked out."""
STAYS = ("keep", "no_llm")
"""Actions of the advice after which nothing is trained."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """`missing` accepted rows, in `classes` classes (0 where answers are none), to what `goal_from` asks for.

    `drafts` are what it takes at the share that reviewers keep, `count` is the number for `rung data generate`, `usd`
    the most that they cost; None if no price of the model is known.
    """

    missing: int
    classes: int
    goal: int
    goal_from: str
    drafts: int = 0
    count: int = 0
    strategy: str = ""
    usd: float | None = None

    @property
    def command(self) -> str:
        """Return the command that closes the gaps."""
        how = f" --strategy {self.strategy}" if self.strategy != "paraphrase" else ""
        return f"rung data generate --count {self.count}{how}"


def _goal(project: Project, settings: Settings) -> tuple[int, str, bool] | None:
    """Return how many accepted rows are needed, by which source, and whether in each class.

    That is `[review] goal` of rung.toml, else what the advice recommends for a training. None if neither says a number,
    and where the advice is to stay with what works: then nobody trains.
    """
    if settings.review.goal is not None:
        return settings.review.goal, "[review] goal", False
    try:
        decision = json.loads(project.decision_file.read_bytes())
        data = decision["data"]
        if decision.get("action", {}).get("name") in STAYS:
            return None
        return int(data["recommended"]), "the advice", bool(data.get("per_class"))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def find_gaps(store: Store, project: Project, settings: Settings) -> Gaps | None:
    """Return the gaps of the accepted rows; None if nobody says how many are needed."""
    asked = _goal(project, settings)
    if asked is None:
        return None
    goal, goal_from, per_class = asked
    material = gather(store, project, settings)
    kept = [row for row in store.rows(role=LEARNT) if row.is_reviewed]
    if per_class and material.labels:
        counts = Counter(row.example.answer for row in kept)
        thin = [goal - counts[label] for label in material.labels if counts[label] < goal]
        found = Gaps(sum(thin), len(thin), goal, goal_from)
    else:
        found = Gaps(max(0, goal - len(kept)), 0, goal, goal_from)
    return _priced(found, store, project, settings, material) if found.missing else found


def _priced(gaps: Gaps, store: Store, project: Project, settings: Settings, material: DraftMaterial) -> Gaps:
    name = "new_input" if gaps.classes else "paraphrase"
    made = [each for each in yields(store, project) if each.strategy == name]
    decided, accepted = sum(each.decided for each in made), sum(each.accepted for each in made)
    share = accepted / decided if decided >= TRIED and accepted else 1.0
    drafts = math.ceil(gaps.missing / share)
    count, usd = drafts + sum(each.drafts for each in made), _most(name, drafts, project, settings, material)
    return replace(gaps, drafts=drafts, count=count, strategy=name, usd=usd)


def _most(name: str, drafts: int, project: Project, settings: Settings, material: DraftMaterial) -> float | None:
    """Return the highest cost of `drafts` calls, each as long as the longest of the first ones; None if unknown."""
    if settings.model.provider == "local":
        return 0.0
    price = price_of(settings.model.base)
    if price is None:
        return None
    try:
        orders = list(islice(find_strategy(name).orders(material, load_prompt(name, project), WEIGHED), WEIGHED))
    except RungError:
        return None
    return drafts * max((worst_of(order.ask, price) for order in orders), default=0.0)


def worst_of(ask: Ask, price: TokenPrice) -> float:
    """Return the most that one ask can cost, in USD."""
    size = sum(len(str(turn["content"]).encode()) + 16 for turn in ask.turns) + len(str(ask.meta.get("schema", "")))
    return price.worst(size, ask.max_tokens + 64)
