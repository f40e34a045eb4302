"""Where a candidate comes from: kept with each reply on disk, and with each candidate in the store."""

from __future__ import annotations

from typing import Any

from chat.protocols import Ask
from curation.generate.filters import Draft
from curation.generate.ledger import Record
from curation.generate.material import Passage, last_user
from curation.generate.strategy import Order
from curation.generate.template import Prompt
from curation.store import Store


def described(order: Order) -> dict[str, Any]:
    """What the ledger keeps of an order: enough to make the row from the reply, whatever changes in between."""
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
        "learnt": order.learnt or None,
        "passage": order.passage.place if order.passage else None,
        "passage_text": order.passage.text if order.passage else None,
    }


def rebuilt(record: Record, store: Store, prompt: Prompt) -> Order:
    """The order behind a kept reply."""
    kept = record.order
    seed = store.row(str(kept["seed_row"])) if kept["seed_row"] else None
    passage = Passage(kept["passage_text"], kept["passage"]) if kept["passage"] else None
    return Order(kept["strategy"], Ask(tuple(kept["turns"])), prompt, seed, passage, kept["label"])


def provenance(record: Record, draft: Draft) -> dict[str, Any]:
    """What stays with a candidate for good."""
    seed = draft.order.seed
    kept = {key: value for key, value in record.order.items() if key != "passage_text" and value not in (None, "")}
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
