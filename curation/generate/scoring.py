"""A judge's score of waiting rows. It only orders the queue: no row is kept, dropped or decided by it."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from chat.errors import ChatError
from chat.protocols import Ask, ChatModel, Progress, Reply, Scorer
from chat.stream import replies
from curation.generate.outcome import DraftBudget, DraftingResult, price_of_model
from curation.generate.strategies import DraftRequest
from curation.generate.template import PromptTemplate, load_prompt
from curation.review.queue import refresh_queue, score_of
from curation.store import Store, StoredRow
from curation.store.records import OPEN_STATES, number_of
from workspace.artefact import now
from workspace.folder import Project
from workspace.settings import Settings

DIGITS = ("1", "2", "3", "4", "5")
ROLES = ("candidates", "pool")
"""Test and validation rows are never shown to a judge."""


def score_rows(
    project: Project,
    settings: Settings,
    store: Store,
    model: ChatModel,
    *,
    count: int = 0,
    budget_usd: float | None = None,
    progress: Progress | None = None,
) -> DraftingResult:
    """Ask the model how likely each waiting row is right, and keep 0..1 with the row. `count` 0: all of them.

    A row that this model scored by this prompt is not asked about again. A model on this machine that tells
    likelihoods gives the mean over the five digits, any other the digit it says. Raises ChatError where no call
    brought an answer.
    """
    refresh_queue(store, settings)
    prompt = load_prompt("judge", project)
    outcome = DraftingResult("judge", model.name, count)
    orders = dict(_orders(store, project, prompt, model, outcome, count))
    purse = DraftBudget(outcome, model, budget_usd, price_of_model(model))
    keys: list[str] = []
    started = time.perf_counter()
    try:
        for number, reply in _scores(model, purse.allowed(orders, keys)):
            purse.settle(number, reply if isinstance(reply, ChatError) else reply[1])
            if isinstance(reply, ChatError):
                continue
            _take(store, outcome, keys[number], reply[0], {"model": model.name, "prompt_sha256": prompt.sha256})
            if progress:
                progress(outcome.asked, len(orders))
    except KeyboardInterrupt:
        outcome.stopped = "interrupted"
    outcome.cost_usd, outcome.seconds = purse.spent, time.perf_counter() - started
    _log(store, settings, outcome)
    if outcome.failure and not outcome.asked:
        raise outcome.failure
    return outcome


def _orders(
    store: Store, project: Project, prompt: PromptTemplate, model: ChatModel, outcome: DraftingResult, count: int
) -> Iterator[tuple[str, DraftRequest]]:
    """One order a waiting row with an answer, in the order of import, but not for those that are scored already."""
    waiting = [row for row in store.rows(role=ROLES, state=(*OPEN_STATES, "leased")) if row.queued]
    guideline = project.guideline_file.read_text("utf-8-sig", "replace") if project.guideline_file.is_file() else ""
    made = 0
    for row in waiting:
        given = row.meta.get("judge") or {}
        if score_of(row.meta) is not None and (given.get("model"), given.get("prompt_sha256")) == (
            model.name,
            prompt.sha256,
        ):
            outcome.reused += 1
            continue
        if not row.example.answer or (count and made >= count):
            continue
        made += 1
        yield row.id, DraftRequest("judge", _ask(row, prompt, guideline, model), prompt, row)


def _ask(row: StoredRow, prompt: PromptTemplate, guideline: str, model: ChatModel) -> Ask:
    values = {"question": row.example.question, "answer": row.example.answer or "", "guideline": guideline.strip()}
    return Ask(prompt.turns(values), 4 if model.is_local else 32, DIGITS if model.can_choose else ())


def _scores(model: ChatModel, asks: Iterable[Ask]) -> Iterator[tuple[int, tuple[float | None, Reply] | ChatError]]:
    """(number, (score, what it cost)) or why there is none."""
    if model.is_local and isinstance(model, Scorer):
        for number, ask in enumerate(asks):
            plain = Ask(ask.turns, ask.max_tokens)
            began = time.perf_counter()
            sums = [total for total, _ in model.loglikelihoods([plain] * len(DIGITS), DIGITS)]
            top = max(sums)
            weights = [math.exp(each - top) for each in sums]
            mean = sum(place * weight for place, weight in enumerate(weights)) / sum(weights)
            yield number, (mean / (len(DIGITS) - 1), Reply("", 0, 0, time.perf_counter() - began))
        return
    for number, reply in replies(model, asks):
        yield number, reply if isinstance(reply, ChatError) else (_said(reply.text), reply)


def _said(text: str) -> float | None:
    """The digit in a reply as 0..1; None where there is none."""
    found = re.search(r"(?<!\d)[1-5](?!\d)", text)
    return (int(found[0]) - 1) / (len(DIGITS) - 1) if found else None


def _take(store: Store, outcome: DraftingResult, name: str, score: float | None, by: Mapping[str, Any]) -> None:
    """Keep a score with its row; a reply without one is counted."""
    from curation.store.writing import add_meta

    if score is None:
        outcome.rejected["no digit from 1 to 5"] += 1
        return
    with store.write() as connection:
        judged = {"score": round(score, 4), "at": now().isoformat(), **by}
        add_meta(connection, number_of(name), {"judge": judged})
    outcome.queued.append(name)


def _log(store: Store, settings: Settings, outcome: DraftingResult) -> None:
    """One line in the log, and a mark that makes the queue's order be worked out again."""
    from curation.store.writing import keep_fact

    if not outcome.asked:
        return
    detail = {"model": outcome.model, "asked": outcome.asked, "scored": len(outcome.queued), "usd": outcome.cost_usd}
    with store.write() as connection:
        event = store.event("score", settings.project.person, "", detail, connection=connection)
        keep_fact(connection, "scored", str(event))
