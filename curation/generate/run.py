"""Making candidates: orders, calls within the budget or batches, filters, and the queue."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from chat.batching import Batches, SentBatch, sent_batches
from chat.hosted import Hosted
from chat.prices import price_line
from chat.privacy import Guarded
from chat.protocols import Ask, ChatError, ChatModel, Progress, Reply, replies, request_key
from curation.generate.filters import Draft, Sieve
from curation.generate.material import DraftMaterial, gather, load_prompt
from curation.generate.reply_log import Record, ReplyLog, described, provenance, rebuilt, worst_of
from curation.generate.strategies import DraftRequest, Misfit, Strategy, find_strategy
from curation.store import NewRow, Store
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.interrupt import held_interrupt
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Wish:
    """Number of drafts by strategy; `budget_usd` is the most that this run may spend, None for no limit."""

    count: int
    strategy: str = "paraphrase"
    budget_usd: float | None = None


@dataclass
class DraftingResult:
    """Result of a run. `queued` are ids of new candidates; `stopped` why it ended early, empty if it did not."""

    strategy: str
    model: str
    wanted: int
    asked: int = 0
    reused: int = 0
    queued: list[str] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    cost_usd: float | None = 0.0
    seconds: float = 0.0
    stopped: str = ""
    failure: ChatError | None = None
    notes: list[str] = field(default_factory=list)
    batch: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the document of `--json`."""
        told = {name: value for name, value in vars(self).items() if name != "failure"}
        told |= {"queued": len(self.queued), "candidates": self.queued, "seconds": round(self.seconds, 2)}
        return told | {"stopped": self.stopped or None}


FAILURES_IN_A_ROW = 5
"""Consecutive calls without an answer that end a run."""


class DraftBudget:
    """Keeps the run within its budget: before each call the worst case of it and of all calls under way must fit."""

    def __init__(self, outcome: DraftingResult, model: ChatModel, budget: float | None) -> None:
        inner = model.model if isinstance(model, Guarded) else model
        self.price = inner.price if isinstance(inner, Hosted) else None
        self.outcome, self.budget, self.free = outcome, budget, model.is_local
        self.spent: float | None = 0.0
        self.worst: dict[int, float] = {}
        self.in_a_row = 0
        if self.budget is not None and not self.free and self.price is None:
            raise Refusal(
                f"No price of {model.name} is known, so a budget cannot be kept.",
                f"{price_line(model.name.partition(' ')[0])}   (or the same without --budget-usd)",
            )

    def allowed(self, fresh: Mapping[str, DraftRequest], keys: list[str]) -> Iterator[Ask]:
        """Yield the asks, as long as the budget and the server hold out."""
        for key, order in fresh.items():
            worst = self.worst_of(order.ask)
            if self.in_a_row >= FAILURES_IN_A_ROW:
                self.outcome.stopped = f"{self.in_a_row} calls in a row brought no answer"
                return
            if self.budget is not None and (self.spent or 0.0) + sum(self.worst.values()) + worst > self.budget:
                self.outcome.stopped = "budget"
                return
            self.worst[len(keys)] = worst
            keys.append(key)
            yield order.ask

    def settle(self, number: int, reply: Reply | ChatError) -> None:
        """Replace a worst case by what it was."""
        worst = self.worst.pop(number, 0.0)
        if isinstance(reply, ChatError):
            self.in_a_row += 1
            self.outcome.failed[reply.kind] += 1
            self.outcome.failure = self.outcome.failure or reply
            lost = reply.cost_usd + (worst * reply.tries if reply.kind == "timeout" else 0.0)
            self.spent = None if self.spent is None else self.spent + lost
            return
        self.in_a_row = 0
        self.outcome.asked += 1
        self.spent = None if self.spent is None or reply.cost_usd is None else self.spent + reply.cost_usd

    def worst_of(self, ask: Ask) -> float:
        """Return the most that one ask can cost."""
        return 0.0 if self.free or self.price is None else worst_of(ask, self.price)


CHUNK = 12
"""Replies that are filtered and queued together."""
LEFT_OUT = "{count:,} rows or passages order a model about and are not drafted from: rung data check --show orders"
CUT = {
    "length": "cut at the token limit",
    "refused": "refused by the model",
    "too_long": "the prompt does not fit the model",
}


class Session:
    """One run over one project: what is known, what may be spent, and where drafts go."""

    def __init__(self, project: Project, settings: Settings, store: Store, model: ChatModel, wish: Wish) -> None:
        self.project, self.settings, self.store, self.model, self.wish = project, settings, store, model, wish
        self.strategy: Strategy = find_strategy(wish.strategy)
        self.prompt = load_prompt(wish.strategy, project)
        self.material: DraftMaterial = replace(gather(store, project, settings), reasons_alone=model.is_local)
        self.ledger = ReplyLog(project)
        self.outcome = DraftingResult(wish.strategy, model.name, wish.count)
        self._handled = {str(row.meta.get("request")) for row in store.rows(role="candidates", excluded=None)}

    @cached_property
    def sieve(self) -> Sieve:
        """The filters, made when the first draft comes."""
        sieve = Sieve.of(self.store, self.project, self.settings)
        if sieve.leaks is None:
            self.outcome.notes.append("There is no test set yet, so leaks could not be looked for.")
        return sieve

    def orders(self) -> dict[str, DraftRequest]:
        """Return the wanted orders by request key, always the same ones for the same material."""
        try:
            found = list(self.strategy.orders(self.material, self.prompt, self.wish.count))
        except Refusal as refusal:
            if count := self.material.ordering:
                raise Refusal(f"{refusal} {LEFT_OUT.format(count=count)}", refusal.hint) from refusal
            raise
        return {request_key(self.model.name, order.ask): order for order in found}

    def settle(self, records: Sequence[Record]) -> None:
        """Make rows of replies, filter them, queue what passes, keep the rest with its reason."""
        open_ = [r for r in records if r.key not in self._handled and r.key not in self.ledger.rejected]
        drafts: list[tuple[Record, Draft]] = []
        for record in open_:
            try:
                drafts.append((record, self._draft(record)))
            except Misfit as misfit:
                self._reject(record, str(misfit), {})
        rulings = self.sieve.sift([draft for _, draft in drafts]) if drafts else []
        passed = []
        for (record, draft), ruling in zip(drafts, rulings, strict=True):
            if ruling.reason:
                self._reject(record, ruling.reason, ruling.evidence)
            else:
                passed.append((record, draft))
        self._queue(passed)

    def _draft(self, record: Record) -> Draft:
        order = rebuilt(record, self.store, self.prompt)
        strategy = find_strategy(order.strategy)
        whole = record.stopped == "length" and strategy.survives_cut(order, record.text)
        if record.stopped in CUT and not whole:
            raise Misfit(CUT[record.stopped])
        return Draft(order, strategy.row(order, record.text), record.text)

    def _reject(self, record: Record, reason: str, evidence: dict[str, Any]) -> None:
        self.ledger.reject(record, reason, evidence)
        self.outcome.rejected[reason] += 1

    def _queue(self, passed: Sequence[tuple[Record, Draft]]) -> None:
        new = [NewRow(draft.example, meta=provenance(record, draft)) for record, draft in passed]
        if not new:
            return
        added = self.store.add(new, role="candidates", origin="generated")
        self.outcome.queued += added.new
        for (record, _), row, known in zip(passed, added.ids, added.twin, strict=True):
            if known:
                self._reject(record, "duplicate", {"kind": "exact", "row": row})
        self._handled |= {record.key for record, _ in passed}


def generate(session: Session, progress: Progress | None = None) -> DraftingResult:
    """Write as many drafts as are wished for and put those that pass the filters into the queue.

    A rerun asks nothing twice: replies are kept in `generated/replies.jsonl` by the hash of their
    request. On KeyboardInterrupt what came is queued and `stopped` says `interrupted`. Raises Refusal if there is
    nothing to start from or the budget cannot be kept, ChatError where no call brought an answer.
    """
    outcome, started = session.outcome, time.perf_counter()
    orders, fresh = _start(session)
    outcome.reused = len(orders) - len(fresh)
    try:
        _ask(session, fresh, progress)
    except KeyboardInterrupt:
        outcome.stopped = "interrupted"
    outcome.seconds = time.perf_counter() - started
    _log(session)
    if outcome.failure and not outcome.asked:
        raise outcome.failure
    return outcome


def generate_batch(session: Session) -> DraftingResult:
    """Fetch every batch that has ended; send what is then still wanted as a new one.

    `outcome.batch` is the state of the batch at work. While one is at work no other is sent. Raises RungError if
    the model knows no batches, Refusal where it is not certain whether a batch was sent.
    """
    batches = Batches(session.model, session.ledger.batch_folder)
    for sent in sent_batches(batches.folder):
        _fetch(session, batches, sent)
    orders, fresh = _start(session)
    session.outcome.reused = max(0, len(orders) - len(fresh) - session.outcome.asked)
    if fresh and session.outcome.batch is None:
        _send(session, batches, fresh)
    _log(session)
    return session.outcome


def _fetch(session: Session, batches: Batches, sent: SentBatch) -> None:
    """Keep the results of one batch in the reply log if it has ended; else say how far it is."""
    outcome, state = session.outcome, batches.state(sent)
    if not state.ended:
        outcome.batch = {"id": state.id, "state": "at work", "done": state.done, "waiting": state.waiting}
        return
    asks = {
        key: Ask(tuple(order["turns"]), order["max_tokens"], tuple(order["choices"]))
        for key, order in sent.orders.items()
    }
    for key, reply in batches.results(sent, asks):
        if isinstance(reply, ChatError):
            outcome.failed[reply.kind] += 1
            outcome.notes.append(reply.message)
            continue
        session.ledger.keep(key, sent.model, sent.orders[key], reply)
        outcome.asked += 1
        cost = outcome.cost_usd
        outcome.cost_usd = None if cost is None or reply.cost_usd is None else cost + reply.cost_usd


def _send(session: Session, batches: Batches, fresh: Mapping[str, DraftRequest]) -> None:
    """Send as one batch what the budget allows."""
    purse = DraftBudget(session.outcome, batches.model, session.wish.budget_usd)
    keys: list[str] = []
    asks = dict(zip(fresh, purse.allowed(fresh, keys), strict=False))
    if asks:
        orders = {key: {**described(fresh[key]), "choices": list(ask.choices)} for key, ask in asks.items()}
        batch = batches.send(asks, orders)
        session.outcome.batch = {"id": batch, "state": "sent", "done": 0, "waiting": len(asks)}


def worst_case(session: Session) -> tuple[int, float | None]:
    """Return the number of calls of a run and their highest cost; None if no price is known."""
    purse = DraftBudget(session.outcome, session.model, None)
    known = session.ledger.replies.keys() | session.ledger.under_way()
    asks = [order.ask for key, order in session.orders().items() if key not in known]
    return len(asks), sum(map(purse.worst_of, asks)) if purse.price or purse.free else None


def _start(session: Session) -> tuple[dict[str, DraftRequest], dict[str, DraftRequest]]:
    """Return all wanted orders, and those without a reply, after the replies of a stopped run were settled."""
    orders = session.orders()
    if not session.material.reviewed and session.material.seeds:
        session.outcome.notes.append("No row is reviewed yet: the seeds are pool rows as they were imported.")
    if count := session.material.ordering:
        session.outcome.notes.append(LEFT_OUT.format(count=count))
    session.settle(list(session.ledger.replies.values()))
    out = session.ledger.under_way()
    if under_way := len(out & orders.keys()):
        session.outcome.notes.append(f"{under_way} of these drafts are in a batch at work; --batch fetches them.")
    done = session.ledger.replies.keys() | out
    return orders, {key: order for key, order in orders.items() if key not in done}


def _ask(session: Session, fresh: dict[str, DraftRequest], progress: Progress | None) -> None:
    """Call the model and settle replies in chunks; what has come is settled whatever happens."""
    purse = DraftBudget(session.outcome, session.model, session.wish.budget_usd)
    keys: list[str] = []
    waiting: list[Record] = []
    try:
        allowed = ((keys[-1], ask) for ask in purse.allowed(fresh, keys))
        asks = session.ledger.calls.sending(session.model, allowed)
        for number, reply in replies(session.model, asks, chunk=CHUNK):
            with held_interrupt():
                purse.settle(number, reply)
                if isinstance(reply, ChatError):
                    session.ledger.calls.failed(keys[number], reply)
                    continue
                key = keys[number]
                waiting.append(session.ledger.keep(key, session.model.name, described(fresh[key]), reply))
                whole = len(waiting) >= CHUNK
                if whole:
                    session.settle(waiting)
                    waiting = []
            if progress and (whole or not session.model.is_local or session.outcome.asked == len(fresh)):
                progress(session.outcome.asked, len(fresh))
    finally:
        with held_interrupt():
            session.outcome.cost_usd = purse.spent
            costs = {record.key: record.cost_usd for record in session.ledger.replies.values()}
            session.outcome.notes += session.ledger.calls.notes(set(keys), costs, session.model)
            session.settle(waiting)


def _log(session: Session) -> None:
    outcome = session.outcome
    detail = {key: value for key, value in outcome.to_json().items() if key not in ("candidates", "batch")}
    session.store.event("generate", session.settings.project.person, "", detail)
