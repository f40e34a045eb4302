"""LLaMA-Factory's YAML and dataset_info.json. Read against its argument parser, version 0.9.5."""

from __future__ import annotations

import json

from training.export.bundle import Bundle, Row, Table
from training.export.values import every, jsonl, title, values, yaml
from workspace.errors import Refusal

COLUMNS = {"messages": "messages", "tools": "tools"}
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function",
    "system_tag": "system",
}
ROOM = 32
"""Tokens beyond the plan's longest row, so that its own rendering of a row is never cut."""


def files(bundle: Bundle) -> dict[str, str]:
    """`train.yaml`, `data/dataset_info.json` and the rows.

    Raises Refusal where an assistant message calls tools: its format holds such calls in a role of their own.
    """
    if any("tool_calls" in message for rows in bundle.rows.values() for row in rows for message in row["messages"]):
        raise Refusal("Rows with tool calls do not fit LLaMA-Factory's format as they are.", "rung plan export trl")
    found = {f"data/{split}.jsonl": jsonl(map(_row, rows)) for split, rows in bundle.rows.items()}
    info = {f"rung_{split}": _info(split, bundle) for split in bundle.rows}
    head = f"{title(bundle)}\nRun here: llamafactory-cli train train.yaml"
    found["data/dataset_info.json"] = json.dumps(info, indent=1) + "\n"
    return {"train.yaml": yaml(config(bundle), head), **found}


def _row(row: Row) -> Row:
    return {**row, "tools": json.dumps(row["tools"], ensure_ascii=False)} if "tools" in row else row


def _info(split: str, bundle: Bundle) -> Table:
    columns = COLUMNS if any("tools" in row for row in bundle.rows["train"]) else {"messages": "messages"}
    return {"file_name": f"{split}.jsonl", "formatting": "sharegpt", "columns": columns, "tags": TAGS}


def config(bundle: Bundle) -> Table:
    """Its names for the plan's values. No `template`: it then takes the tokenizer's own."""
    plan = values(bundle)
    return {
        "model_name_or_path": plan["base"],
        "stage": "sft",
        "do_train": True,
        **_adapter(plan),
        "dataset": "rung_train",
        "eval_dataset": "rung_validation",
        "dataset_dir": "data",
        "cutoff_len": plan["max_length"] + ROOM,
        "train_on_prompt": False,
        "mask_history": bundle.recipe.loss == "last",
        "packing": plan["packing"],
        "neat_packing": plan["packing"],
        "per_device_train_batch_size": plan["batch"],
        "per_device_eval_batch_size": plan["batch"],
        "gradient_accumulation_steps": bundle.recipe.accumulation,
        "num_train_epochs": float(plan["epochs"]),
        "max_steps": plan["steps"],
        "learning_rate": plan["learning_rate"],
        "lr_scheduler_type": plan["schedule"],
        "warmup_steps": round(plan["warmup"] * plan["steps"]),
        "weight_decay": plan["weight_decay"],
        "max_grad_norm": plan["grad_norm"],
        "optim": "adamw_torch",
        "bf16": True,
        "disable_gradient_checkpointing": not plan["checkpointing"],
        "flash_attn": "sdpa" if plan["attention"] == "sdpa" else "auto",
        "eval_strategy": "steps",
        "eval_steps": every(bundle),
        "save_strategy": "steps",
        "save_steps": every(bundle),
        "save_total_limit": plan["keep_last"],
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "greater_is_better": False,
        "early_stopping_steps": plan["patience"],
        "logging_steps": 1,
        "seed": plan["seed"],
        "output_dir": "output",
        "report_to": "none",
    }


def _adapter(plan: Table) -> Table:
    if plan["method"] == "full":
        return {"finetuning_type": "full"}
    found = {
        "finetuning_type": "lora",
        "lora_rank": plan["rank"],
        "lora_alpha": plan["alpha"],
        "lora_dropout": plan["dropout"],
        "lora_target": "all" if plan["targets"] == "all-linear" else plan["targets"],
        "use_rslora": plan["rslora"],
        "use_dora": plan["dora"],
    }
    if plan["quantisation"] == "nf4":
        found |= {"quantization_method": "bnb", "quantization_bit": 4, "quantization_type": "nf4"}
        found["double_quantization"] = True
    return found
