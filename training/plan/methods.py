"""Methods and objectives, and the combinations that are known to fail, each with its reason.

Seen with torch 2.13, transformers 5.24, peft 0.21 and trl 1.16; the tests run every combination that is let through.
"""

from collections.abc import Mapping
from typing import Any, Literal

from advisor.sizing.adapters import LOW_RANK as LOW_RANK
from advisor.sizing.adapters import QUANTISED as QUANTISED
from advisor.sizing.adapters import Method as Method

Loss = Literal["last", "all"]
"""Assistant turns of a row that are trained."""
Objective = Literal["sft", "dpo", "reward", "grpo", "rloo"]

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
    method, objective = recipe["method"], recipe["objective"]
    other, virtual = objective != "sft", method in VIRTUAL
    rows, group = recipe["batch"] * recipe["accumulation"] * recipe["processes"], recipe["generations"]
    rules = (
        (recipe["packing"] and other, "packing: only with objective sft; the other trainers pad their rows."),
        (
            recipe["loss"] == "all" and other,
            'loss = "all": only with objective sft; the other objectives judge the last answer.',
        ),
        (
            recipe["replay"] and other,
            "replay: only with objective sft; the other objectives have no place for plain answers.",
        ),
        (
            recipe["packing"] and virtual,
            "packing with prefix or prompt tuning: the virtual tokens would come before the first row of a line only.",
        ),
        (
            objective == "reward" and virtual,
            "a reward model with prefix or prompt tuning: its new score head is not saved with virtual tokens.",
        ),
        (
            objective == "reward" and method in QUANTISED,
            "a reward model on a 4-bit base: trl casts the new score head to another precision than its input.",
        ),
        (
            recipe["checkpointing"] and method == "prefix",
            "prefix tuning with activation checkpointing: the prefix is in the cache, which checkpointing turns off.",
        ),
        (
            method == "adalora" and recipe["steps"] < ADALORA_STEPS,
            f"adalora in fewer than {ADALORA_STEPS} steps: its three phases do not fit; more epochs, or method lora.",
        ),
        (
            objective in REINFORCED and (group < 2 or rows % group),
            "grpo and rloo compare answers to one question: generations at least 2, and batch x accumulation a "
            "multiple.",
        ),
    )
    return [text for holds, text in rules if holds]
