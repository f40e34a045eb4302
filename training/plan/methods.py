"""Methods and objectives, and the combinations that are known to fail, each with its reason.

Seen with torch 2.13, transformers 5.24, peft 0.21 and trl 1.16; the tests run every combination that is let through.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from advisor.sizing.adapters import LOW_RANK as LOW_RANK
from advisor.sizing.adapters import QUANTISED as QUANTISED
from advisor.sizing.adapters import Method as Method

Loss = Literal["last", "all"]
"""Assistant turns of a row that are trained."""
Objective = Literal["sft", "dpo", "reward", "grpo", "rloo"]

Holds = Callable[[Mapping[str, Any]], bool]
VIRTUAL = ("prefix", "prompt")
"""Methods of virtual tokens: nothing that could be merged into the weights."""
PAIRED = ("dpo", "reward")
"""Objectives that train on pairs of the review log: a better and a worse answer to one question."""
REINFORCED = ("grpo", "rloo")
"""Objectives whose rows are questions: the model answers, the metric of the project rewards."""
ROW_BY_ROW = "rung_rows"
"""The attention of packed rows (training/run/packing.py): of variable length, each row by itself."""
ADALORA_STEPS = 20
"""Fewer steps leave no room for the three phases: learn, prune, settle."""


def objections(recipe: Mapping[str, Any]) -> list[str]:
    """Return all reasons why these values cannot be trained together; empty if they can."""
    return [text for holds, text in _RULES if holds(recipe)]


def _is(name: str, *values: str) -> Holds:
    return lambda recipe: bool(recipe[name] in values)


def _both(*conditions: Holds) -> Holds:
    return lambda recipe: all(condition(recipe) for condition in conditions)


def _packs(recipe: Mapping[str, Any]) -> bool:
    return bool(recipe["packing"])


def _uneven(recipe: Mapping[str, Any]) -> bool:
    rows = recipe["batch"] * recipe["accumulation"] * recipe["processes"]
    return bool(recipe["generations"] < 2 or rows % recipe["generations"])


_RULES: tuple[tuple[Holds, str], ...] = (
    (
        _both(_packs, _is("objective", *PAIRED, *REINFORCED)),
        "packing: only with objective sft; the other trainers pad their rows.",
    ),
    (
        _both(_is("loss", "all"), _is("objective", *PAIRED, *REINFORCED)),
        'loss = "all": only with objective sft; the other objectives judge the last answer.',
    ),
    (
        _both(lambda recipe: bool(recipe["replay"]), _is("objective", *PAIRED, *REINFORCED)),
        "replay: only with objective sft; the other objectives have no place for plain answers.",
    ),
    (
        _both(_packs, _is("method", *VIRTUAL)),
        "packing with prefix or prompt tuning: the virtual tokens would come before the first row of a line only.",
    ),
    (
        _both(_is("objective", "reward"), _is("method", *VIRTUAL)),
        "a reward model with prefix or prompt tuning: its new score head is not saved with virtual tokens.",
    ),
    (
        _both(_is("objective", "reward"), _is("method", *QUANTISED)),
        "a reward model on a 4-bit base: trl casts the new score head to another precision than its input.",
    ),
    (
        _both(lambda recipe: recipe["checkpointing"], _is("method", "prefix")),
        "prefix tuning with activation checkpointing: the prefix is in the cache, which checkpointing turns off.",
    ),
    (
        _both(lambda recipe: recipe["method"] == "adalora" and recipe["steps"] < ADALORA_STEPS),
        f"adalora in fewer than {ADALORA_STEPS} steps: its three phases do not fit; more epochs, or method lora.",
    ),
    (
        _both(_is("objective", *REINFORCED), _uneven),
        "grpo and rloo compare answers to one question: generations at least 2, and batch x accumulation a multiple.",
    ),
)
