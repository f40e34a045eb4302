"""The second pass: action, method, data and gates, once the first has settled where to go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.conditions import derive, holds
from advisor.decision import Action, DataNeed, Gate, Method, Reason
from advisor.engine import Verdict
from advisor.rulebook import Rule, Rulebook

TUNED = ("fine_tune", "rag_and_fine_tune")
RETRIEVED = ("rag", "rag_and_fine_tune")


def outcome_facts(values: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """Answers, derived facts and what the first pass settled: what second-pass rules read."""
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
    """Whether a rule holds and nothing takes it out."""
    return holds(rule.when, facts) is True and not any(holds(part, facts) is True for part in rule.unless)


def first(book: Rulebook, kind: str, facts: Mapping[str, Any]) -> Rule | None:
    """The first rule of a kind that holds; a team's own rules are asked first."""
    rules = sorted(book.of(kind), key=lambda rule: not rule.team)
    return next((rule for rule in rules if applies(rule, facts)), None)


def action_of(book: Rulebook, facts: Mapping[str, Any]) -> Action:
    """What to do now."""
    rule = first(book, "action", facts)
    if rule is None:
        return Action(name="climb", text="Take the next step.", rule="", source=())
    effect = rule.effect
    return Action(
        name=effect["name"], text=effect["text"], cost=effect.get("cost", ""), rule=rule.id, source=rule.source
    )


def method_of(book: Rulebook, facts: dict[str, Any]) -> Method:
    """How to tune; empty where tuning is not in play. `facts` gains the method's name."""
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
    """How many reviewed examples this kind of task takes, and whether they are there."""
    task = facts.get("task")
    sizes = [r for r in sorted(book.of("size"), key=lambda r: not r.team) if applies(r, facts)]
    rule = next((r for r in sizes if (task or "unknown") in r.effect["tasks"]), sizes[-1] if sizes else None)
    if rule is None:
        return DataNeed(
            task_type=task or "unknown",
            minimum=0,
            recommended=0,
            per_class=False,
            have=None,
            enough=None,
            rule="",
            source=(),
        )
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


def gates_of(book: Rulebook, facts: Mapping[str, Any], data: DataNeed) -> tuple[Gate, ...]:
    """The gates that are raised, each passed, not passed or open."""
    return tuple(
        Gate(
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
    """What is said beside the advice."""
    return tuple(
        Reason(rule=rule.id, text=rule.text(), source=rule.source, evidence=rule.evidence, team=rule.team)
        for rule in book.of("note")
        if applies(rule, facts)
    )
