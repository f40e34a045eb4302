"""The ladder, decided: which rules hold, what each plan covers, and the lowest plan that covers every need.

Every answer, looked up once, gives a bit mask of the conditions that it satisfies; the AND of all masks is the set of
conditions that hold. The verdict depends on that set alone, so it is remembered by it: trying out thousands of other
answers costs microseconds each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from advisor.rulebook import ALL_FACTS, OPTIONS, Bounds, Condition, Rule, Rulebook

FIRST_PASS = ("status", "need", "relief", "veto", "skip")
RANK = {"no": 0, "unlikely": 1, "hardly": 2, "partly": 3, "yes": 4, "best": 5}
PARTS: dict[str, tuple[str, ...]] = {
    "prompt": ("prompt",),
    "few_shot": ("prompt", "few_shot"),
    "rag": ("prompt", "few_shot", "rag"),
    "fine_tune": ("prompt", "few_shot", "fine_tune"),
    "rag_and_fine_tune": ("prompt", "few_shot", "rag", "fine_tune"),
}
"""The parts of each plan: a rung includes the ones below it."""
SHORT = frozenset({"insufficient", "partial"})
REMEMBERED = 100_000


@dataclass(frozen=True, slots=True)
class LadderVerdict:
    """The result of the first pass: `outcome` is (next_step, destination).

    `status` of each rung tried; `needs` that hold, `reliefs` of those that do not; `vetoes` for ever and `waits` for
    now, by option; `path`: the rungs on the way to the destination.
    """

    outcome: tuple[str, str]
    kept: bool
    stuck: bool
    blocked: str
    status: Mapping[str, str]
    status_rules: tuple[Rule, ...]
    needs: tuple[Rule, ...]
    unmet: tuple[Rule, ...]
    reliefs: tuple[Rule, ...]
    vetoes: Mapping[str, tuple[Rule, ...]]
    waits: Mapping[str, tuple[Rule, ...]]
    skips: tuple[Rule, ...]
    path: tuple[str, ...]

    @property
    def next_step(self) -> str:
        """Return the next step."""
        return self.outcome[0]

    @property
    def destination(self) -> str:
        """Return the likely final option."""
        return self.outcome[1]


class Engine:
    """The compiled first pass of a rulebook."""

    def __init__(self, book: Rulebook) -> None:
        self.rules = [*book.of(*FIRST_PASS), *map(minimum_veto, book.of("size"))]
        conditions = [rule.when for rule in self.rules]
        self.taken_out: list[tuple[int, int]] = []
        for index, rule in enumerate(self.rules):
            for part in rule.unless:
                self.taken_out.append((1 << index, 1 << len(conditions)))
                conditions.append(part)
        self.all = (1 << len(conditions)) - 1
        self.keys = sorted({key for condition in conditions for key in condition})
        self.edges = {key: _edges(conditions, key) for key in self.keys if ALL_FACTS[key].numeric}
        self.masks = {key: self._masks(conditions, key) for key in self.keys}
        self.memory: dict[int, LadderVerdict] = {}
        self.seen: dict[int, LadderVerdict] = {}

    def _masks(self, conditions: list[Condition], key: str) -> dict[Any, int]:
        """Return symbol to the conditions that it satisfies; conditions that do not read `key` are satisfied by all."""
        fact = ALL_FACTS[key]
        values: dict[Any, Any] = {None: None}
        if key in self.edges:
            edges = self.edges[key]
            values |= {i: edges[i - 1] if i else edges[0] - 1 for i in range(len(edges) + 1)}
        else:
            values |= {value: value for value in (fact.values or (True, False))}
        return {
            symbol: sum(1 << i for i, cond in enumerate(conditions) if key not in cond or value in cond[key])
            for symbol, value in values.items()
        }

    def mask_of(self, key: str, value: Any) -> int:
        """Return the conditions that `key` = `value` leaves standing."""
        if value is not None and key in self.edges:
            value = bisect_right(self.edges[key], value)
        return self.masks[key][value]

    def mask(self, values: Mapping[str, Any]) -> int:
        """Return the conditions that hold for answers with their derived facts."""
        mask = self.all
        for key in self.keys:
            mask &= self.mask_of(key, values.get(key))
        return mask

    def verdict(self, mask: int) -> LadderVerdict:
        """Return the verdict for a set of conditions, remembered by it and by the rules that it makes hold."""
        found = self.seen.get(mask)
        if found is None:
            if len(self.seen) >= REMEMBERED:
                self.seen.clear()
                self.memory.clear()
            found = self.seen[mask] = self._verdict(mask)
        return found

    def _verdict(self, mask: int) -> LadderVerdict:
        for bit, out in self.taken_out:
            if mask & out:
                mask &= ~bit
        mask &= (1 << len(self.rules)) - 1
        found = self.memory.get(mask)
        if found is None:
            found = self.memory[mask] = judge(rule for i, rule in enumerate(self.rules) if mask >> i & 1)
        return found


def engine_of(book: Rulebook) -> Engine:
    """Return the compiled form of a rulebook, made once."""
    if "first" not in book.engines:
        book.engines["first"] = Engine(book)
    engine = book.engines["first"]
    assert isinstance(engine, Engine)
    return engine


def minimum_veto(size: Rule) -> Rule:
    """Return the veto of a row of the data-size table: not yet, with less than the minimum."""
    tasks = frozenset(None if task == "unknown" else task for task in size.effect["tasks"])
    per_class = size.effect.get("per_class", False)
    minimum = size.effect["minimum"]
    when: dict[str, frozenset[Any] | Bounds] = {**size.when, "task": tasks}
    when["class_floor" if per_class else "usable_examples"] = Bounds(below=minimum)
    effect = {"forbids": ["fine_tune", "rag_and_fine_tune"], "blocks": "next_step", "missing": "data"}
    short = f"needs {minimum:,} reviewed examples{' in each class' if per_class else ''}"
    written: Condition = {"prompting": frozenset({"works_but_costly"})}
    unless = (*size.unless, written)
    return replace(size, id=f"{size.id}-minimum", kind="veto", when=when, unless=unless, short=short, effect=effect)


def _edges(conditions: list[Condition], key: str) -> list[float]:
    bounds = [cond[key] for cond in conditions if key in cond]
    edges = {edge for b in bounds if isinstance(b, Bounds) for edge in (b.at_least, b.below) if edge is not None}
    return sorted(edges) or [0.0]


def judge(rules: Iterable[Rule]) -> LadderVerdict:
    """Destination and next step from the first-pass rules that hold."""
    held: dict[str, list[Rule]] = {kind: [] for kind in FIRST_PASS}
    for rule in rules:
        held[rule.kind].append(rule)
    beaten = {other for rule in held["status"] for other in rule.effect.get("over", ())}
    status_rules = tuple(rule for rule in held["status"] if rule.id not in beaten)
    status = {rule.effect["rung"]: rule.effect["is"] for rule in status_rules}
    met = {need.id for need in held["need"]}
    reliefs = tuple(rule for rule in held["relief"] if not met.isdisjoint(rule.effect["relieves"]))
    relieved = {name for rule in reliefs for name in rule.effect["relieves"]}
    needs = tuple(need for need in held["need"] if need.id not in relieved)
    vetoes = _by_option(v for v in held["veto"] if v.effect["blocks"] == "destination")
    waits = _by_option(v for v in held["veto"] if v.effect["blocks"] == "next_step")
    ladder = _Ladder(status, needs, vetoes, waits)
    destination, kept = ladder.destination()
    skips = tuple(
        skip
        for skip in held["skip"]
        if destination in skip.effect["on_the_way_to"]
        and ("needs" not in skip.effect or not (met - relieved).isdisjoint(skip.effect["needs"]))
    )
    path = ladder.path(destination, {s.effect["rung"] for s in skips})
    step = destination if kept else _next(path, status)
    blocked = "nothing"
    if step in waits and not kept:
        blocked = str(waits[step][0].effect.get("missing", "effort"))
        step = [rung for rung in ("prompt", *path) if rung not in waits][-1]
    stuck = not kept and status.get(step) in ("insufficient", "partial")
    return LadderVerdict(
        (step, destination), kept, stuck, blocked, status, status_rules, needs, ladder.unmet(), reliefs, vetoes, waits,
        skips, path,
    )  # fmt: skip


def _by_option(vetoes: Iterable[Rule]) -> dict[str, tuple[Rule, ...]]:
    found: dict[str, list[Rule]] = {}
    for veto in vetoes:
        for option in veto.effect["forbids"]:
            found.setdefault(option, []).append(veto)
    return {option: tuple(rules) for option, rules in found.items()}


class _Ladder:
    """Needs that each option covers, under the permanent vetoes."""

    def __init__(
        self, status: Mapping[str, str], needs: tuple[Rule, ...], vetoes: Mapping[str, Any], waits: Mapping[str, Any]
    ) -> None:
        self.status = status
        self.waits = waits
        self.needs = needs
        self.allowed = [option for option in OPTIONS if option not in vetoes] or ["prompt"]
        self.parts = {o: [p for p in PARTS[o] if p == o or p != "few_shot" or p not in vetoes] for o in OPTIONS}

    def rank(self, option: str, need: Rule) -> int:
        """Return the best cell of the plan's parts, whatever was tried."""
        return max(RANK[need.effect["cells"][part]] for part in self.parts[option])

    def covers(self, option: str, need: Rule) -> bool:
        """True if some part of the option's plan covers the need, given how its rung did."""
        return any(self._covers(part, need) for part in self.parts[option])

    def _covers(self, rung: str, need: Rule) -> bool:
        cell, fared = need.effect["cells"][rung], self.status.get(rung)
        if cell == "partly":
            return fared not in SHORT
        if cell in ("unlikely", "hardly"):
            return fared == "works" or (fared == "costly" and str(need.effect["kind"]) != "cost")
        return str(cell) != "no"

    def destination(self) -> tuple[str, bool]:
        """Return the lowest rung that was measured and works, if nothing is against it; else the lowest plan that
        covers every need. A need that no allowed plan covers is met as well as any of them can.
        """
        for option in self.allowed:
            if self._stands(option):
                return option, True
        candidates = self.allowed
        for need in self.needs:
            able = {option for option in self.allowed if self.covers(option, need)}
            able = able or self._last_resort(need)
            candidates = [option for option in candidates if option in able] or candidates
        return candidates[0], False

    def _stands(self, option: str) -> bool:
        """True if a rung was measured, works, and has no veto."""
        works = self.status.get(option) == "works" and option not in self.waits
        return works and all(self.rank(option, need) for need in self.needs)

    def _last_resort(self, need: Rule) -> set[str]:
        """Return the plans nearest to a need that none covers; no prompt that fell short if a higher one adds to it."""
        best = max(self.rank(option, need) for option in self.allowed)
        near = {option for option in self.allowed if self.rank(option, need) == best}
        higher = {o for o in near if any(RANK[need.effect["cells"][p]] for p in self.parts[o] if p != "prompt")}
        return higher if higher and self.status.get("prompt") in SHORT else near

    def unmet(self) -> tuple[Rule, ...]:
        """Return the needs that no allowed plan covers."""
        return tuple(n for n in self.needs if not any(self.covers(option, n) for option in self.allowed))

    def path(self, destination: str, skipped: set[str]) -> tuple[str, ...]:
        """Return the rungs on the way, the destination last."""
        below = (rung for rung in self.parts[destination] if rung not in (destination, "fine_tune"))
        return (*(rung for rung in below if rung not in skipped), destination)


def _next(path: tuple[str, ...], status: Mapping[str, str]) -> str:
    """Return the first rung on the way that was not tried properly."""
    for rung in path[:-1]:
        if status.get(rung) in (None, "untried", "begun"):
            return rung
    return path[-1]
