"""axolotl's YAML. Read against its schema, version 0.19."""

from __future__ import annotations

from training.export.bundle import Bundle, Row, Table, trained
from training.export.values import every, jsonl, title, values, yaml
from training.plan.methods import Loss


def files(bundle: Bundle) -> dict[str, str]:
    """`config.yaml` and the rows, with what trains of them marked."""
    found = {f"data/{split}.jsonl": jsonl(_marked(row, bundle.recipe.loss) for row in rows)
             for split, rows in bundle.rows.items()}  # fmt: skip
    head = f"{title(bundle)}\nRun here: axolotl train config.yaml"
    return {"config.yaml": yaml(config(bundle), head), **found}


def _marked(row: Row, loss: Loss) -> Row:
    return {
        **row,
        "messages": [{**m, "train": trains} for m, trains in zip(row["messages"], trained(row, loss), strict=True)],
    }


def config(bundle: Bundle) -> Table:
    """Axolotl's names for the plan's values; rows over the length were left out, none is cut."""
    plan = values(bundle)
    return {
        "base_model": plan["base"],
        **_adapter(plan),
        "datasets": [_dataset("train")],
        "test_datasets": [{**_dataset("validation"), "split": "train"}],
        "chat_template": "tokenizer_default",
        "sequence_len": plan["max_length"],
        "excess_length_strategy": "raise",
        "sample_packing": plan["packing"],
        "eval_sample_packing": False,
        "pad_to_sequence_len": False,
        "train_on_inputs": False,
        "micro_batch_size": plan["batch"],
        "gradient_accumulation_steps": bundle.recipe.accumulation,
        "num_epochs": float(plan["epochs"]),
        "max_steps": plan["steps"],
        "learning_rate": plan["learning_rate"],
        "lr_scheduler": plan["schedule"],
        "warmup_ratio": plan["warmup"],
        "weight_decay": plan["weight_decay"],
        "max_grad_norm": plan["grad_norm"],
        "optimizer": "adamw_torch",
        "bf16": "auto",
        "gradient_checkpointing": plan["checkpointing"],
        "attn_implementation": plan["attention"],
        "eval_steps": every(bundle),
        "save_steps": every(bundle),
        "save_total_limit": plan["keep_last"],
        "load_best_model_at_end": True,
        "metric_for_best_model": "eval_loss",
        "early_stopping_patience": plan["patience"],
        "logging_steps": 1,
        "seed": plan["seed"],
        "output_dir": "output",
    }


def _adapter(plan: Table) -> Table:
    if plan["method"] == "full":
        return {}
    quantised = plan["quantisation"] == "nf4"
    everything = plan["targets"] == "all-linear"
    targets = {"lora_target_linear": True} if everything else {"lora_target_modules": plan["targets"].split(",")}
    return {
        "adapter": "qlora" if quantised else "lora",
        "load_in_4bit": quantised,
        "lora_r": plan["rank"],
        "lora_alpha": plan["alpha"],
        "lora_dropout": plan["dropout"],
        **targets,
        "peft_use_rslora": plan["rslora"],
        "peft_use_dora": plan["dora"],
    }


def _dataset(split: str) -> Table:
    return {
        "path": f"data/{split}.jsonl",
        "ds_type": "json",
        "type": "chat_template",
        "field_messages": "messages",
        "message_field_training": "train",
        "roles_to_train": [],
        "train_on_eos": "turn",
    }
