"""What would change the advice: every single answer. Each claim is found by running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from advisor.answers import FACTS, UNASKED
from advisor.conditions import THIN, derive
from advisor.contradictions import CHECKED_KEYS, consistent
from advisor.ladder import Engine

ROOTS = {
    "rows": ("examples", "reviewed_examples"),
    "usable_examples": ("examples", "reviewed_examples", "prompting", "task"),
    "class_floor": ("examples", "reviewed_examples", "classes", "smallest_class", "prompting", "task"),
    "class_balance": ("examples", "reviewed_examples", "classes", "smallest_class", "prompting", "task"),
    "unreviewed": ("examples", "reviewed_examples"),
    "gb_per_billion": ("gpu_memory_gb", "model_size_b"),
    "total_gb_per_billion": ("gpu_memory_gb", "model_size_b", "gpus"),
}
"""The answers that each derived fact is worked out from."""


@dataclass(frozen=True, slots=True)
class Flip:
    """An answer that changes the outcome: `to` instead of `was` (None: unknown)."""

    key: str
    was: Any
    to: Any
    outcome: tuple[str, str]


class NearbyAnswers:
    """The answer sets that differ from one by one answer, and their outcomes."""

    def __init__(self, engine: Engine, values: Mapping[str, Any]) -> None:
        self.engine = engine
        self.values = dict(values)
        self.facts = {**values, **derive(values)}
        self.masks = {key: engine.mask_of(key, self.facts.get(key)) for key in engine.keys}
        self.outcome = engine.verdict(self._all()).outcome
        self.touched = {key: self._touched(key) for key in FACTS}

    def _touched(self, key: str) -> tuple[str, ...]:
        """The compiled keys that an answer moves: itself and what is derived from it."""
        keys = set(self.engine.keys)
        return tuple(k for k in (key, *(d for d, roots in ROOTS.items() if key in roots)) if k in keys)

    def _all(self) -> int:
        mask = self.engine.all
        for part in self.masks.values():
            mask &= part
        return mask

    def read(self) -> list[str]:
        """The answers that some first-pass rule reads, without the unknown ones that no question asks for."""
        silent = UNASKED - self.values.keys()
        return [key for key in FACTS if self.touched[key] and key not in silent]

    def without(self, keys: frozenset[str]) -> int:
        """The conditions that hold whatever the compiled `keys` are."""
        mask = self.engine.all
        for key, part in self.masks.items():
            if key not in keys:
                mask &= part
        return mask

    def candidates(self, key: str) -> list[Any]:
        """Literal answers, one for each region that the rules can tell apart, nearest to the present one first."""
        fact, now = FACTS[key], self.values.get(key)
        if not fact.numeric:
            return [value for value in (fact.values or (True, False)) if value != now]
        edges = sorted(set(self._edges(key)))
        points = {float(edge) for edge in edges} | {edge - 1 for edge in edges if edge >= 1} | {0.0}
        points |= {(low + high) / 2 for low, high in pairwise(edges)}
        if fact.kind == "integer":
            points = {float(int(point)) for point in points}
        ordered = sorted(points, key=lambda p: (abs(p - (now or 0.0)), p))
        return [int(point) if fact.kind == "integer" else point for point in ordered if point != now]

    def _edges(self, key: str) -> Iterator[float]:
        yield from self.engine.edges.get(key, ())
        edges, classes = self.engine.edges, self.values.get("classes") or 0
        if key in ("examples", "reviewed_examples"):
            yield from edges.get("usable_examples", ())
            yield from edges.get("rows", ())
            yield from (edge * classes for edge in (*edges.get("class_floor", ()), THIN) if classes)
        if key == "smallest_class":
            yield from edges.get("class_floor", ())
        usable = self.facts.get("usable_examples")
        if key == "classes" and usable is not None:
            for edge in (*edges.get("class_floor", ()), THIN):
                yield from (int(usable // edge), int(usable // edge) + 1)
        yield from self._limits(key)

    def _limits(self, key: str) -> Iterator[float]:
        """The counts at which the answers would contradict one another."""
        get = self.values.get
        examples, reviewed, classes, smallest = map(get, ("examples", "reviewed_examples", "classes", "smallest_class"))
        if key == "examples":
            yield from (reviewed or 0, (smallest or 0) * (classes or 1))
        elif key == "reviewed_examples" and examples is not None:
            yield from (examples, examples + 1)
        elif key == "classes" and examples and smallest:
            yield from (examples // smallest, examples // smallest + 1)
        elif key == "smallest_class" and examples is not None:
            yield from (examples // (classes or 1), examples // (classes or 1) + 1)

    def changed(self, changes: Mapping[str, Any], rest: int, touched: tuple[str, ...]) -> tuple[str, str] | None:
        """The outcome with `changes`, given the mask of everything untouched; None where they contradict."""
        if not CHECKED_KEYS.isdisjoint(changes) and not consistent({**self.values, **changes}):
            return None
        facts: Mapping[str, Any] = changes
        if any(key in ROOTS for key in touched):
            merged = {**self.values, **changes}
            facts = {**merged, **derive(merged)}
        for key in touched:
            rest &= self.engine.mask_of(key, facts[key])
        return self.engine.verdict(rest).outcome

    def singles(self, key: str) -> list[Flip]:
        """Each answer to `key` that changes the outcome: of several with one result, the nearest."""
        touched = self.touched[key]
        rest, found = self.without(frozenset(touched)), dict[Any, Flip]()
        for to in self.candidates(key):
            outcome = self.changed({key: to}, rest, touched)
            if outcome is None or outcome == self.outcome:
                continue
            label = outcome if FACTS[key].numeric else to
            found.setdefault(label, Flip(key, self.values.get(key), to, outcome))
        return list(found.values())

    def all_singles(self) -> list[Flip]:
        """Every single answer that changes the outcome."""
        return [flip for key in self.read() for flip in self.singles(key)]
