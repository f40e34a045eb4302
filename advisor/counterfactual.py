"""Counterfactuals: single answers that would change the advice. Each claim is found by running it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from advisor.answers import CHECKED_KEYS, FACTS, UNASKED, consistent
from advisor.ladder import Engine
from advisor.rulebook import THIN, derive

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
        self.outcome = engine.verdict(self._mask()).outcome
        self.touched = {key: self._touched(key) for key in FACTS}

    def _touched(self, key: str) -> tuple[str, ...]:
        """Return the compiled keys that an answer moves: itself and what is derived from it."""
        keys = set(self.engine.keys)
        return tuple(k for k in (key, *(d for d, roots in ROOTS.items() if key in roots)) if k in keys)

    def _mask(self, left_out: tuple[str, ...] = ()) -> int:
        """Return the conditions that hold whatever the compiled keys `left_out` are."""
        mask = self.engine.all
        for key, part in self.masks.items():
            if key not in left_out:
                mask &= part
        return mask

    def read(self) -> list[str]:
        """Return the answers that some first-pass rule reads, without the unknown ones that no question asks for."""
        silent = UNASKED - self.values.keys()
        return [key for key in FACTS if self.touched[key] and key not in silent]

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
        """Yield the counts at which the answers would contradict one another."""
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

    def singles(self, key: str) -> list[Flip]:
        """Return each answer to `key` that changes the outcome: of several with one result, the nearest."""
        touched, found = self.touched[key], dict[Any, Flip]()
        rest = self._mask(touched)
        for to in self.candidates(key):
            values = {**self.values, key: to}
            if key in CHECKED_KEYS and not consistent(values):
                continue
            facts = {**values, **derive(values)}
            mask = rest
            for other in touched:
                mask &= self.engine.mask_of(other, facts[other])
            outcome = self.engine.verdict(mask).outcome
            if outcome != self.outcome:
                found.setdefault(outcome if FACTS[key].numeric else to, Flip(key, self.values.get(key), to, outcome))
        return list(found.values())
