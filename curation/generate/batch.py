"""Drafts by batches: half the price, hours of time. A batch outlives the program; the next call fetches it."""

from __future__ import annotations

from collections.abc import Mapping

from chat.batching import Batches, SentBatch, sent_batches
from chat.errors import ChatError
from chat.protocols import Ask, ChatModel
from curation.generate.outcome import DraftBudget, DraftingResult, Wish, price_of_model
from curation.generate.reply_log import described, record_of
from curation.generate.run import Session, log, start
from curation.generate.strategies import DraftRequest
from curation.store import Store
from workspace.artefact import now
from workspace.folder import Project
from workspace.settings import Settings


def generate_batch(project: Project, settings: Settings, store: Store, model: ChatModel, wish: Wish) -> DraftingResult:
    """Fetch every batch that has ended; send what is then still wanted as a new one.

    `outcome.batch` is the state of the batch at work. While one is at work no other is sent. Raises RungError where
    the model knows no batches, Refusal where it is not certain whether a batch was sent.
    """
    session = Session(project, settings, store, model, wish)
    batches = Batches(model, session.ledger.batch_folder)
    for sent in sent_batches(batches.folder):
        _fetch(session, batches, sent)
    orders, fresh = start(session)
    session.outcome.reused = max(0, len(orders) - len(fresh) - session.outcome.asked)
    if fresh and session.outcome.batch is None:
        _send(session, batches, fresh)
    log(session)
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
        session.ledger.add(record_of(key, sent.model, now().isoformat(), sent.orders[key], reply))
        outcome.asked += 1
        cost = outcome.cost_usd
        outcome.cost_usd = None if cost is None or reply.cost_usd is None else cost + reply.cost_usd


def _send(session: Session, batches: Batches, fresh: Mapping[str, DraftRequest]) -> None:
    """Send as one batch what the budget allows."""
    purse = DraftBudget(session.outcome, batches.model, session.wish.budget_usd, price_of_model(batches.model))
    keys: list[str] = []
    asks = dict(zip(fresh, purse.allowed(fresh, keys), strict=False))
    if asks:
        orders = {key: {**described(fresh[key]), "choices": list(ask.choices)} for key, ask in asks.items()}
        batch = batches.send(asks, orders)
        session.outcome.batch = {"id": batch, "state": "sent", "done": 0, "waiting": len(asks)}
