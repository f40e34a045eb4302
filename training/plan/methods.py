"""What can be trained how: methods, objectives, and the combinations that are known not to work, each with its reason.

Seen with torch 2.13, transformers 5.24, peft 0.21 and trl 1.16; the tests run every combination that is let through.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from advisor.sizing.adapters import LOW_RANK as LOW_RANK
from advisor.sizing.adapters import QUANTISED as QUANTISED
from advisor.sizing.adapters import Method as Method

Loss = Literal["last", "all"]
"""Which assistant turns of a row train."""
Objective = Literal["sft", "dpo", "grpo"]

Holds = Callable[[Mapping[str, Any]], bool]
ROW_BY_ROW = "rung_rows"
"""The attention of packed rows (training/run/packing.py): of variable length, each row by itself."""


def objections(recipe: Mapping[str, Any]) -> list[str]:
    """Why these values cannot be trained together; empty where they can. All reasons at once."""
    return [text for holds, text in _RULES if holds(recipe)]


def _uneven(recipe: Mapping[str, Any]) -> bool:
    rows = recipe["batch"] * recipe["accumulation"] * recipe["processes"]
    return bool(recipe["generations"] < 2 or rows % recipe["generations"])


_RULES: tuple[tuple[Holds, str], ...] = (
    (
        lambda recipe: recipe["packing"] and recipe["objective"] != "sft",
        "packing: only with objective sft; the other trainers pad their rows.",
    ),
    (
        lambda recipe: recipe["loss"] == "all" and recipe["objective"] != "sft",
        'loss = "all": only with objective sft; the other objectives judge the last answer.',
    ),
    (
        lambda recipe: recipe["objective"] == "grpo" and _uneven(recipe),
        "grpo compares answers to one question: generations at least 2, and batch x accumulation a multiple of it.",
    ),
)
