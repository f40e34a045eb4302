"""Drafts by batches: half the price, hours of time. A batch outlives the program; the next call fetches it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chat.batching import Batching, batching
from chat.errors import ChatError
from chat.privacy import Guarded
from chat.protocols import Ask, ChatModel
from curation.generate.outcome import DraftBudget, DraftingResult, Wish, price_of_model
from curation.generate.reply_log import described, record_of
from curation.generate.run import Session, log, start
from curation.generate.strategies import DraftRequest
from curation.store import Store
from workspace.artefact import now
from workspace.errors import Refusal
from workspace.folder import Project
from workspace.settings import Settings


def generate_batch(project: Project, settings: Settings, store: Store, model: ChatModel, wish: Wish) -> DraftingResult:
    """Fetch every batch that has ended; send what is then still wanted as a new one.

    `outcome.batch` is the state of the batch at work. While one is at work no other is sent. Raises RungError where
    the model knows no batches, Refusal where it is not certain whether a batch was sent.
    """
    hosted = batching(model)
    session = Session(project, settings, store, model, wish)
    for path in session.ledger.batches():
        _fetch(session, hosted, path)
    orders, fresh = start(session)
    session.outcome.reused = max(0, len(orders) - len(fresh) - session.outcome.asked)
    if fresh and session.outcome.batch is None:
        _send(session, model, hosted, fresh)
    log(session)
    return session.outcome


def _fetch(session: Session, hosted: Batching, path: Path) -> None:
    """Take the results of one batch if it has ended; else say how far it is."""
    kept = json.loads(path.read_text(encoding="utf-8"))
    if kept["state"] == "sending":
        raise Refusal(
            f"A batch of {len(kept['orders'])} drafts was being sent at {kept['at']} when Rung was stopped; whether "
            "the server took it is not known.",
            f"Look at the provider's console. If it is not there: rm {path}   (else it would be paid twice)",
            where=str(path),
        )
    state = hosted.batch_state(kept["id"])
    if not state.ended:
        session.outcome.batch = {"id": state.id, "state": "at work", "done": state.done, "waiting": state.waiting}
        return
    orders: Mapping[str, Mapping[str, Any]] = kept["orders"]
    asks = {
        key: Ask(tuple(order["turns"]), order["max_tokens"], tuple(order["choices"])) for key, order in orders.items()
    }
    records = []
    for key, reply in hosted.batch_results(kept["id"], asks):
        if isinstance(reply, ChatError):
            session.outcome.failed[reply.kind] += 1
            session.outcome.notes.append(reply.message)
            continue
        record = record_of(key, kept["model"], now().isoformat(), orders[key], reply)
        session.ledger.add(record)
        records.append(record)
        session.outcome.asked += 1
        cost = session.outcome.cost_usd
        session.outcome.cost_usd = None if cost is None or reply.cost_usd is None else cost + reply.cost_usd
    session.settle(records)
    path.unlink()


def _send(session: Session, model: ChatModel, hosted: Batching, fresh: Mapping[str, DraftRequest]) -> None:
    """Send one batch. Its file is written before and after the call, so that a crash in between is seen."""
    purse = DraftBudget(session.outcome, model, session.wish.budget_usd, price_of_model(model))
    keys: list[str] = []
    asks = dict(zip(fresh, purse.allowed(fresh, keys), strict=False))
    if not asks:
        return
    if isinstance(model, Guarded):
        model.allow()
    orders = {key: {**described(fresh[key]), "choices": list(ask.choices)} for key, ask in asks.items()}
    content = {"state": "sending", "id": None, "at": now().isoformat(), "model": model.name, "orders": orders}
    name = next(iter(asks))[:16]
    path = session.ledger.write_batch(name, content)
    try:
        batch = hosted.send_batch(asks)
    except ChatError as error:
        if error.kind not in ("timeout", "connection", "garbled"):
            path.unlink()
        raise
    session.ledger.write_batch(name, {**content, "state": "sent", "id": batch})
    session.outcome.batch = {"id": batch, "state": "sent", "done": 0, "waiting": len(asks)}
