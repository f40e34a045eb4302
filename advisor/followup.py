"""The second pass: action, method, data and gates, once the first has settled where to go."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from advisor.answers import FactValues
from advisor.decision import Action, AdviceGate, DataNeed, MemoryNeed, Method, Reason
from advisor.ladder import LadderVerdict
from advisor.rulebook import Rule, Rulebook, derive, holds
from advisor.sizing.architecture import read_architecture
from advisor.sizing.memory import memory_of
from advisor.sizing.run_estimate import base_for
from advisor.sizing.setup import Setup

TUNED = ("fine_tune", "rag_and_fine_tune")
RETRIEVED = ("rag", "rag_and_fine_tune")


def outcome_facts(values: Mapping[str, Any], verdict: LadderVerdict) -> FactValues:
    """Return answers, derived facts and what the first pass settled: what second-pass rules read."""
    return {
        **values,
        **derive(values),
        "next_step": verdict.next_step,
        "destination": verdict.destination,
        "tuning": verdict.next_step in TUNED or verdict.destination in TUNED,
        "retrieval": verdict.next_step in RETRIEVED or verdict.destination in RETRIEVED,
        "kept": verdict.kept,
        "stuck": verdict.stuck,
        "blocked": verdict.blocked,
    }


def applies(rule: Rule, facts: Mapping[str, Any]) -> bool:
    """True if the rule's condition is met and no other rule cancels it."""
    return holds(rule.when, facts) is True and not any(holds(part, facts) is True for part in rule.unless)


def first(book: Rulebook, kind: str, facts: Mapping[str, Any]) -> Rule | None:
    """Return the first rule of a kind that holds; a team's own rules are asked first."""
    rules = sorted(book.of(kind), key=lambda rule: not rule.team)
    return next((rule for rule in rules if applies(rule, facts)), None)


def action_of(book: Rulebook, facts: Mapping[str, Any]) -> Action:
    """Return the next action."""
    rule = first(book, "action", facts)
    assert rule is not None, "each rung has an action without a further condition"
    effect = rule.effect
    return Action(
        name=effect["name"], text=effect["text"], cost=effect.get("cost", ""), rule=rule.id, source=rule.source
    )


def method_of(book: Rulebook, facts: FactValues) -> Method:
    """Return the tuning method; empty if tuning is not in play. `facts` gains the method's name."""
    if not facts["tuning"]:
        return Method()
    rule = first(book, "method", facts)
    facts["method"] = rule.effect["name"] if rule else None
    variant, base = first(book, "variant", facts), first(book, "base", facts)
    rules = [r for r in (rule, variant, base) if r]
    return Method(
        name=facts["method"],
        variant=variant.effect["name"] if variant else None,
        variant_text=variant.effect.get("text") if variant else None,
        base_model=base.effect["model"] if base else None,
        base_size_b=base.effect.get("size_b") if base else None,
        rules=tuple(r.id for r in rules),
        text=rule.text() if rule else "",
        source=tuple(dict.fromkeys(s for r in rules for s in r.source)),
    )


def data_of(book: Rulebook, facts: Mapping[str, Any]) -> DataNeed:
    """Return the number of reviewed examples that this kind of task needs, and whether they are there."""
    task = facts.get("task")
    sizes = [r for r in sorted(book.of("size"), key=lambda r: not r.team) if applies(r, facts)]
    rule = next((r for r in sizes if (task or "unknown") in r.effect["tasks"]), sizes[-1])
    per_class = bool(rule.effect.get("per_class", False))
    have = facts["class_floor" if per_class else "usable_examples"]
    minimum = int(rule.effect["minimum"])
    short_of_all = facts["usable_examples"] is not None and facts["usable_examples"] < 50
    enough = False if short_of_all else None if have is None else have >= minimum
    return DataNeed(
        task_type=task or "unknown",
        minimum=minimum,
        recommended=int(rule.effect["recommended"]),
        per_class=per_class,
        have=have,
        enough=enough,
        rule=rule.id,
        source=rule.source,
    )


def gates_of(book: Rulebook, facts: Mapping[str, Any], data: DataNeed) -> tuple[AdviceGate, ...]:
    """Return the gates that are raised, each passed, not passed or open."""
    return tuple(
        AdviceGate(
            id=rule.effect["gate"],
            passed=_passed(rule, facts, data),
            text=rule.effect["text"],
            rule=rule.id,
            because=rule.text(),
            source=rule.source,
        )
        for rule in book.of("gate")
        if applies(rule, facts)
    )


def _passed(rule: Rule, facts: Mapping[str, Any], data: DataNeed) -> bool | None:
    if rule.effect.get("data") == "minimum":
        return data.enough
    if rule.effect.get("data") == "recommended":
        return None if data.have is None else data.have >= data.recommended
    return holds(rule.effect["passes"], facts) if rule.effect.get("passes") else None


def notes_of(book: Rulebook, facts: Mapping[str, Any]) -> tuple[Reason, ...]:
    """Return the notes that go with the advice."""
    return tuple(
        Reason(rule=rule.id, text=rule.text(), source=rule.source, evidence=rule.evidence, team=rule.team)
        for rule in book.of("note")
        if applies(rule, facts)
    )


ROW_LENGTH = 2048
"""Tokens of a row; the plan takes the rows' own length."""


def fitted(method: Method, memory_gb: float | None) -> Method:
    """Return the method with its memory at batch 1 and 2,048 tokens, chunked loss; where the proposed base does not fit
    the GPU, the largest proposed one that does takes its place. Unchanged where tuning is not in play.
    """
    if method.name is None or method.base_model is None:
        return method
    fit = _fit(method.base_model, method.name, memory_gb)
    if fit.fits is False and (choice := base_for(memory_gb, method=method.name, length=ROW_LENGTH, batch=1)):
        fit = _fit(choice.id, method.name, memory_gb)
        size = round(choice.parameters / 1e9, 1)
        return method.model_copy(update={"base_model": choice.id, "base_size_b": size, "memory": fit})
    return method.model_copy(update={"memory": fit})


@lru_cache(maxsize=256)
def _fit(model: str, method: str, memory_gb: float | None) -> MemoryNeed:
    memory = memory_of(read_architecture(model), Setup(method=method, batch=1, length=ROW_LENGTH, loss="chunked"))
    gib = {name: round(value, 2) for name, value in memory.gib().items()}
    fits = None if memory_gb is None else gib["high"] <= memory_gb
    return MemoryNeed(low=gib["low"], expected=gib["expected"], high=gib["high"], card_gb=memory_gb, fits=fits)
