"""Conditions of rules: structure, not strings, and three-valued where an answer is unknown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from advisor.answers import FACTS, Fact, FactValues

OPTIONS = ("prompt", "few_shot", "rag", "fine_tune", "rag_and_fine_tune")
"""Options that can be advised, in the order of the ladder."""
RUNGS = OPTIONS[:4]
METHODS = ("qlora", "lora", "full")

DERIVED = {
    "rows": Fact("rows", "integer"),
    "usable_examples": Fact("usable_examples", "integer"),
    "unreviewed": Fact("unreviewed", "integer"),
    "class_floor": Fact("class_floor", "integer"),
    "class_balance": Fact("class_balance", "number"),
    "gb_per_billion": Fact("gb_per_billion", "number"),
    "total_gb_per_billion": Fact("total_gb_per_billion", "number"),
}
"""Facts worked out from answers: `derive` says how."""

OUTCOME = {
    "next_step": Fact("next_step", "choice", OPTIONS),
    "destination": Fact("destination", "choice", OPTIONS),
    "tuning": Fact("tuning", "boolean"),
    "retrieval": Fact("retrieval", "boolean"),
    "kept": Fact("kept", "boolean"),
    "stuck": Fact("stuck", "boolean"),
    "blocked": Fact("blocked", "choice", ("nothing", "data", "effort", "money")),
    "method": Fact("method", "choice", METHODS),
}
"""Facts that the first pass settles, for rules about action, method and gates."""

WORKLOAD = {
    **{name: Fact(name, "integer") for name in ("calls", "prefix_tokens", "answers")},
    **{name: Fact(name, "number") for name in ("failing", "repeats", "prefix_share", "usd_per_month")},
    **{name: Fact(name, "boolean") for name in ("narrow", "pays", "cheaper")},
}
"""Facts of one workload of a log (`training/monitoring/workloads.py`), for rules of that kind alone."""

ALL_FACTS: dict[str, Fact] = {**FACTS, **DERIVED, **OUTCOME, **WORKLOAD}

THIN = 50
"""A mean class size under which the smallest class is surely too small."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A number at or above `at_least` and below `below`; with `unknown`, "don't know" holds too."""

    at_least: float | None = None
    below: float | None = None
    unknown: bool = False

    def __contains__(self, value: object) -> bool:
        """True if a number lies between the bounds; `None` means "don't know"."""
        if value is None:
            return self.unknown
        if not isinstance(value, (int, float)):
            return False
        return (self.at_least is None or value >= self.at_least) and (self.below is None or value < self.below)

    def words(self) -> str:
        """`at least 5, below 50 or unknown`."""
        parts = [f"at least {self.at_least:,g}" if self.at_least is not None else ""]
        parts += [f"below {self.below:,g}" if self.below is not None else ""]
        text = ", ".join(part for part in parts if part)
        return f"{text} or unknown" if self.unknown else text


Condition = Mapping[str, "frozenset[Any] | Bounds"]
"""Key to the values that satisfy it; `None` in a set means "don't know". All keys must hold."""


def holds(condition: Condition, values: Mapping[str, Any]) -> bool | None:
    """True, False, or None if an unknown answer leaves it open. A missing key is unknown."""
    state: bool | None = True
    for key, allowed in condition.items():
        value = values.get(key)
        if value in allowed:
            continue
        if value is not None:
            return False
        state = None
    return state


def derive(values: Mapping[str, Any]) -> FactValues:
    """Return the derived facts; None if an answer they rest on is unknown.

    usable_examples: the reviewed ones where their number is known, else all; unknown while `examples` is. All of them
    where a prompt works and only costs too much (its model can label every row), and in recommendation (what users did
    is the label).
    class_floor: the smallest class; where it was not counted, the mean if even that is under `THIN` (a larger mean says
    nothing about the smallest). class_balance: smallest class over mean class.
    gb_per_billion: memory of one card (total_: of all cards) for each billion parameters.
    """
    get = values.get
    examples, reviewed, classes, smallest = map(get, ("examples", "reviewed_examples", "classes", "smallest_class"))
    gb, size, gpus = get("gpu_memory_gb"), get("model_size_b"), get("gpus")
    labelled = get("prompting") == "works_but_costly" or get("task") == "recommendation"
    usable = examples if reviewed is None or examples is None or labelled else reviewed
    mean = usable / classes if usable is not None and classes else None
    each = gb / size if gb is not None and size else None
    return {
        "rows": examples if examples is not None else reviewed or None,
        "usable_examples": usable,
        "unreviewed": None if examples is None or reviewed is None else max(0, examples - reviewed),
        "class_floor": smallest if smallest is not None else int(mean) if mean is not None and mean < THIN else None,
        "class_balance": None if smallest is None or not mean else smallest / mean,
        "gb_per_billion": each,
        "total_gb_per_billion": None if each is None else each * (1 if gpus is None else gpus),
    }
