"""The plan's values as other trainers' scripts and files hold them."""

from __future__ import annotations

import json
import math
from importlib.resources import files
from pprint import pformat
from typing import Any

from training.export.bundle import Bundle, Table
from workspace.errors import Refusal

ADAPTERS = ("lora", "qlora", "dora", "qdora", "rslora")
ATTENTION = ("sdpa", "eager", "flash_attention_2")
"""What every trainer knows; packed rows are kept apart here by an attention of Rung's own, elsewhere by this one."""
KEPT = (
    "method", "rank", "alpha", "dropout", "targets", "quantisation", "learning_rate", "schedule", "warmup",
    "weight_decay", "grad_norm", "batch", "epochs", "steps", "max_length", "packing", "evals", "patience", "keep_last",
    "seed", "attention", "checkpointing",
)  # fmt: skip


def values(bundle: Bundle) -> Table:
    """The recipe as a plain table. Raises Refusal for a method that no export knows."""
    recipe = bundle.recipe
    if recipe.method != "full" and recipe.method not in ADAPTERS:
        raise Refusal(
            f"{bundle.plan.id} trains by {recipe.method}: exports know full, {', '.join(ADAPTERS)}.",
            "rung train   (trains it here)",
        )
    chosen = recipe.model_dump(include=set(KEPT))
    return {
        "plan": bundle.plan.id,
        "dataset": bundle.plan.dataset,
        "base": bundle.base,
        **{name: chosen[name] for name in KEPT},
        "attention": recipe.attention if recipe.attention in ATTENTION else "flash_attention_2",
        "rows_a_step": bundle.effective_batch,
        "rslora": recipe.rslora or recipe.method == "rslora",
        "dora": recipe.method in ("dora", "qdora"),
        "stream_over": bundle.stream_over,
        "rows": {split: len(rows) for split, rows in bundle.rows.items()},
    }


def title(bundle: Bundle) -> str:
    """`Trains plan P-001 (LoRA ...)`: the first line of a script."""
    return f"Trains plan {bundle.plan.id} of Rung: {bundle.recipe.method} on {bundle.plan.recipe.base}, " + (
        f"dataset {bundle.plan.dataset}, {len(bundle.rows['train']):,} rows."
    )


def script(name: str, bundle: Bundle) -> str:
    """The script `scripts/NAME.py.txt` with the plan's values in it."""
    text = (files("training.export") / "scripts" / f"{name}.py.txt").read_text(encoding="utf-8")
    shown = pformat(values(bundle), width=100, sort_dicts=False)
    return text.replace("@TITLE@", title(bundle)).replace("@VALUES@", shown)


def every(bundle: Bundle) -> int:
    """Steps between two evaluations."""
    per_epoch = math.ceil(len(bundle.rows["train"]) / bundle.effective_batch)
    return max(1, math.ceil(per_epoch / bundle.recipe.evals))


def yaml(table: Table, heading: str = "") -> str:
    """A flat YAML file: JSON values, which are YAML too, and floats with a point, which YAML 1.1 readers need."""
    lines = [f"# {line}" for line in heading.splitlines()]
    lines += [f"{key}: {_yaml_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _yaml_value(value: Any) -> str:
    if isinstance(value, float):
        text = repr(value)
        return text.replace("e", ".0e") if "e" in text and "." not in text else text
    return json.dumps(value, ensure_ascii=False)


def jsonl(rows: Any) -> str:
    """One JSON object a line."""
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
