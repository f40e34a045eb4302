"""How many tokens a server must have room for, so that it answers what the run was trained and measured on."""

from __future__ import annotations

import json
from pathlib import Path

from training.plan import read_plan
from training.release.making import Making
from training.release.parity import NEW_TOKENS
from training.run.rows import with_system

USUAL = 4096
"""What a server gets where the model can read so much, and no row needs more."""


def context_of(making: Making) -> int:
    """The model's own limit or the usual length, whichever is less; more where the recipe's rows, or a validation row
    with its answer, are longer.
    """
    from chat.local.prompt import encode, render

    tokenizer = making.tokenizer()
    asks = ((with_system(row.asked, making.run.system_prompt), row.row.get("tools")) for row in making.rows)
    asked = max((len(encode(tokenizer, render(tokenizer, *each))) for each in asks), default=0)
    answer = max(making.settings.model.max_tokens, NEW_TOKENS)
    trained = read_plan(making.project.runs / making.run.id / "plan.toml").recipe.max_length
    return max(trained, asked + answer, min(USUAL, _positions(making.work / "merged") or USUAL))


def _positions(model: Path) -> int | None:
    """How many positions a model says that it has; None where it says nothing."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    told = config.get("max_position_embeddings") or config.get("text_config", {}).get("max_position_embeddings")
    return told if isinstance(told, int) else None
