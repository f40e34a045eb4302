"""Checks of a rulebook at load: what an expert who edits the rules can get wrong, with file, line and a suggestion."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import combinations
from typing import Any, get_args

from advisor.answers import FACTS, SILENT
from advisor.decision import ActionName
from advisor.ladder import FIRST_PASS, RANK
from advisor.rulebook import (
    EVIDENCE,
    METHODS,
    OPTIONS,
    OUTCOME,
    RUNGS,
    STRENGTH,
    WORKLOAD,
    Bounds,
    Condition,
    Rule,
    Rulebook,
)
from workspace.errors import Problem, did_you_mean

STATUS = ("untried", "begun", "partial", "insufficient", "costly", "works")
NEED_KINDS = ("facts", "behaviour", "cost")
BLOCKS = ("destination", "next_step")
MISSING = ("data", "effort", "money")
FIRST_MATCH = ("action", "method", "variant", "base", "workload")
ADVICE = ("keep", "cache", "cheaper_model", "better_prompt", "tune")
TASKS = (*FACTS["task"].values, "unknown")

Found = Iterator[tuple[str, str]]
"""(sentence, place)"""


def check(book: Rulebook) -> list[Problem]:
    """Return all problems of a rulebook that could be read: its fields are there, and of their types."""
    checks: tuple[Callable[[Rulebook], Found], ...] = (
        _sources, _words, _cells, _references, _facts_read, _unreachable, _duplicates, _contradictions, _questions,
    )  # fmt: skip
    return [Problem(text, where=place) for one in checks for text, place in one(book)]


def _one_of(what: str, value: Any, known: Sequence[str], place: str) -> Found:
    if value not in known:
        yield f'{what} "{value}" is not known.{did_you_mean(str(value), known)} Known: {", ".join(known)}.', place


def _all_of(what: str, values: list[str], known: Sequence[str], place: str) -> Found:
    if not values:
        yield f"{what} must be a list that names at least one.", place
        return
    for value in values:
        yield from _one_of(what, value, known, place)


def _sources(book: Rulebook) -> Found:
    for rule in book.rules:
        if not rule.source:
            yield f"{rule.id}: no source is named.", rule.place
        for name in rule.source:
            source = name.partition(":")[0]
            if source not in book.sources:
                yield f'{rule.id}: unknown source "{source}".{did_you_mean(source, book.sources)}', rule.place
    for entry in book.sources.values():
        yield from _one_of(f"source {entry.id}: kind", entry.kind, EVIDENCE, "rules/sources.toml")
        if entry.review_by <= entry.read:
            yield f"source {entry.id}: review_by is not after the day it was read.", "rules/sources.toml"


def _words(book: Rulebook) -> Found:
    for rule in book.rules:
        yield from _one_of(f"{rule.id}: evidence", rule.evidence, EVIDENCE, rule.place)
        yield from _one_of(f"{rule.id}: strength", rule.strength, STRENGTH, rule.place)
        for key, known in _VOCABULARY.get(rule.kind, {}).items():
            if key in rule.effect:
                has = _all_of if isinstance(rule.effect[key], list) else _one_of
                yield from has(f"{rule.id}: {key}", rule.effect[key], known, rule.place)


_VOCABULARY: dict[str, dict[str, Sequence[str]]] = {
    "status": {"rung": RUNGS, "is": STATUS},
    "need": {"kind": NEED_KINDS},
    "veto": {"forbids": OPTIONS, "blocks": BLOCKS, "missing": MISSING},
    "skip": {"rung": RUNGS, "on_the_way_to": OPTIONS},
    "size": {"tasks": TASKS},
    "action": {"name": get_args(ActionName)},
    "method": {"name": METHODS},
    "gate": {"data": ("minimum", "recommended")},
    "workload": {"advice": ADVICE},
}


def _cells(book: Rulebook) -> Found:
    for rule in book.of("need"):
        cells = rule.effect["cells"]
        for rung in RUNGS:
            if rung not in cells:
                yield f"{rule.id}: the cell of {rung} is empty.", rule.place
        for rung, cell in cells.items():
            yield from _one_of(f"{rule.id}: cells", rung, RUNGS, rule.place)
            yield from _one_of(f"{rule.id}: the cell of {rung}", cell, tuple(RANK), rule.place)
    for rule in book.of("size"):
        if not 0 < rule.effect["minimum"] <= rule.effect["recommended"]:
            yield f"{rule.id}: minimum and recommended must be whole numbers, minimum the smaller.", rule.place


def _references(book: Rulebook) -> Found:
    for kind, key, named in (("relief", "relieves", "need"), ("skip", "needs", "need"), ("status", "over", "status")):
        known = [rule.id for rule in book.of(named)]
        for rule in book.of(kind):
            if key in rule.effect:
                yield from _all_of(f"{rule.id}: {key}", rule.effect[key], known, rule.place)


def _facts_read(book: Rulebook) -> Found:
    for rule in book.rules:
        for key in sorted(rule.keys()):
            if key in SILENT:
                yield f"{rule.id}: {key} may never change the advice, so no rule reads it.", rule.place
            if (key in WORKLOAD) != (rule.kind == "workload"):
                yield f"{rule.id}: {key} is no fact that rules of the kind {rule.kind} can read.", rule.place
            if key in OUTCOME and rule.kind in (*FIRST_PASS, "size"):
                yield f"{rule.id}: {key} is settled only after rules of the kind {rule.kind}.", rule.place


def _unreachable(book: Rulebook) -> Found:
    for rule in book.rules:
        for key, allowed in rule.when.items():
            if not allowed if isinstance(allowed, frozenset) else _empty(allowed):
                yield f"{rule.id}: no answer to {key} satisfies it, so it can never hold.", rule.place
        if any(_implies(rule.when, part) for part in rule.unless):
            yield f"{rule.id}: its `unless` takes it out whenever it holds.", rule.place
    for kind in FIRST_MATCH:
        rules = list(book.of(kind))
        for earlier, later in combinations(rules, 2):
            if not earlier.unless and earlier.team == later.team and _implies(later.when, earlier.when):
                yield f'{later.id}: never reached, "{earlier.id}" before it holds whenever it does.', later.place


def _duplicates(book: Rulebook) -> Found:
    seen: dict[Any, Rule] = {}
    for rule in book.rules:
        conditions = tuple(frozenset(part.items()) for part in (rule.when, *rule.unless))
        shape = (rule.kind, conditions, repr(sorted(rule.effect.items(), key=str)))
        if shape in seen and rule.kind != "note":
            yield f'{rule.id}: says the same as "{seen[shape].id}".', rule.place
        seen.setdefault(shape, rule)


def _contradictions(book: Rulebook) -> Found:
    for one, two in combinations(book.of("status"), 2):
        differ = one.effect["rung"] == two.effect["rung"] and one.effect["is"] != two.effect["is"]
        ordered = two.id in one.effect.get("over", ()) or one.id in two.effect.get("over", ())
        if differ and not ordered and _together(one, two):
            yield f'{two.id}: contradicts "{one.id}" and nothing orders them (say `over`).', two.place
    for one, two in combinations(book.of("size"), 2):
        both = set(one.effect["tasks"]) & set(two.effect["tasks"])
        if both and one.team == two.team and _together(one, two):
            yield f'{two.id}: gives other sizes than "{one.id}" for {", ".join(sorted(both))}.', two.place


def _questions(book: Rulebook) -> Found:
    for key, fact in FACTS.items():
        question = book.questions.get(key)
        if question is None:
            yield f'no question asks for "{key}".', "rules/questions.toml"
            continue
        known: list[Any] = list(fact.values) or ([True, False] if fact.kind == "boolean" else [])
        given = [choice.value for choice in question.answers]
        for value in [value for value in given if value not in known]:
            yield f'{key} has no answer "{value}".{did_you_mean(str(value), map(str, known))}', question.place
        for value in [value for value in known if value not in given]:
            yield f'{key}: the answer "{value}" has no words.', question.place


def _empty(bounds: Bounds) -> bool:
    crossed = bounds.at_least is not None and bounds.below is not None and bounds.at_least >= bounds.below
    return (crossed or (bounds.below is not None and bounds.below <= 0)) and not bounds.unknown


def _implies(strict: Condition, loose: Condition) -> bool:
    """True if `loose` is true wherever `strict` is."""
    return all(key in strict and _within(strict[key], allowed) for key, allowed in loose.items())


def _within(inner: frozenset[Any] | Bounds, outer: frozenset[Any] | Bounds) -> bool:
    if isinstance(inner, frozenset):
        return all(value in outer for value in inner)
    if isinstance(outer, frozenset) or (inner.unknown and not outer.unknown):
        return False
    low_ok = outer.at_least is None or (inner.at_least is not None and inner.at_least >= outer.at_least)
    high_ok = outer.below is None or (inner.below is not None and inner.below <= outer.below)
    return low_ok and high_ok


def _together(one: Rule, two: Rule) -> bool:
    """True if both conditions can be true for the same answers."""
    if any(_apart(allowed, two.when[key]) for key, allowed in one.when.items() if key in two.when):
        return False
    both = {**one.when, **two.when}
    return not any(_implies(both, part) for part in (*one.unless, *two.unless))


def _apart(one: frozenset[Any] | Bounds, two: frozenset[Any] | Bounds) -> bool:
    if isinstance(one, frozenset):
        return not any(value in two for value in one)
    if isinstance(two, frozenset):
        return not any(value in one for value in two)
    low = max(one.at_least or 0, two.at_least or 0)
    high = min(edge for edge in (one.below, two.below, float("inf")) if edge is not None)
    return low >= high and not (one.unknown and two.unknown)
