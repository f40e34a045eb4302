"""Training speed against a plain TRL script on the same rows: tokens per CPU-second, and the losses side by side.

    OMP_NUM_THREADS=1 python benchmarks/training.py [--times 1] [--arms plain,"same order"]   (4 minutes of a core)
    OMP_NUM_THREADS=1 python benchmarks/training.py --profile "same order"  where the time of a step goes, by operation

Each arm runs in a process of its own on the embedded model, LoRA r 16 on all linear layers, batch 8, one pass over
64 short rows. `plain` is TRL as its documentation has it (its defaults: gradient checkpointing, rows in random order,
the language head at every position). Each of Rung's fp32 arms stands against plain TRL on the very same batches, whose
losses are its own up to rounding: `same order` has the rows in TRL's order; `plain grouped` is plain TRL with the rows
in Rung's, of like length together, which is how Rung trains. Rung's arms take the attention that a plan takes here:
plain matrices up to 256 tokens on a CPU, where TRL's default is the fused one. Ratios are to `plain`. With --times
the arms take turns and the quickest of each counts, so that what else the machine does falls on all alike. The bf16
arm is left out where the CPU has no bf16, unless it is named.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROWS, BATCH, LENGTHS = 64, 8, (4, 14)
ARMS = ("plain", "same order", "plain grouped", "rung fp32", "rung bf16")
TWINS = {"plain": "plain", "same order": "plain", "plain grouped": "plain grouped", "rung fp32": "plain grouped"}
"""Arms with the same batches: the losses are compared."""
WORDS = "macular edema eye with without neuropathy kidney vascular severe mild"


def rows() -> list:
    from curation.example import Example, chat_row

    chance, words = random.Random(0), WORDS.split()
    made = []
    for _ in range(ROWS):
        question = " ".join(chance.choice(words) for _ in range(chance.randint(*LENGTHS)))
        made.append(Example(chat_row(question, f"E1{chance.randint(0, 3)} eye both", "House line.")))
    return made


def trainer(arm: str):
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from training.plan.hyperparameters import value
    from training.plan.recipe import Recipe
    from training.run.base_model import load_base, load_tokenizer
    from training.run.building import adapter_config
    from training.run.inputs import answers
    from training.run.trainer import AnswerTrainer

    attention = "sdpa" if arm.startswith("plain") else value("attention", {"device": "cpu", "max_length": 256})[0]
    recipe = Recipe(base="embedded", method="lora", rank=16, alpha=32, learning_rate=1e-3, batch=BATCH, epochs=1,
                    steps=ROWS // BATCH, max_length=256, attention=attention)  # fmt: skip
    tokenizer, found = load_tokenizer(recipe.base), rows()
    columns = answers(tokenizer, found, None, 256, Path("/tmp")).columns
    common = {"output_dir": "/tmp/rung-benchmark", "use_cpu": True, "per_device_train_batch_size": BATCH, "seed": 0,
              "num_train_epochs": 1, "learning_rate": 1e-3, "logging_steps": 1, "report_to": "none",
              "save_strategy": "no", "disable_tqdm": True, "bf16": arm == "rung bf16"}  # fmt: skip
    if arm.startswith("plain"):
        kind, extra = SFTTrainer, {}
        table = [{"prompt": [dict(m) for m in r.asked], "completion": [dict(r.messages[-1])]} for r in found]
    else:
        kind, extra = (
            AnswerTrainer,
            {"activation_checkpointing": False, "dataset_kwargs": {"skip_prepare_dataset": True}},
        )
        table = list(columns)
    if arm == "same order":
        kind = type("SameOrder", (AnswerTrainer,), {"_get_train_sampler": SFTTrainer._get_train_sampler})
    if arm == "plain grouped":
        sizes = [len(column["input_ids"]) for column in columns]
        kind = type("Grouped", (SFTTrainer,), {"_get_train_sampler": lambda self, rows=None: by_length(sizes, self)})
    made = kind(model=load_base(recipe), args=SFTConfig(**common, **extra), train_dataset=Dataset.from_list(table),
                processing_class=tokenizer, peft_config=adapter_config(recipe))  # fmt: skip
    return made, sum(len(column["input_ids"]) for column in columns)


def by_length(sizes: list[int], trainer):
    from training.run.trainer import ByLength

    return ByLength(sizes, BATCH, 0, trainer)


def one(arm: str) -> dict:
    made, tokens = trainer(arm)
    cpu, wall = time.process_time(), time.perf_counter()
    made.train()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    losses = [line["loss"] for line in made.state.log_history if "loss" in line]
    return {"arm": arm, "tokens": tokens, "cpu": cpu, "wall": wall, "losses": losses}


def profiled(arm: str) -> None:
    """The operations of three steps, the costliest first."""
    from torch.profiler import ProfilerActivity, profile

    made, _ = trainer(arm)
    made.args.max_steps = 3
    with profile(activities=[ProfilerActivity.CPU]) as seen:
        made.train()
    print(seen.key_averages().table(sort_by="self_cpu_time_total", row_limit=22, max_name_column_width=48))


def fresh(arm: str) -> dict:
    done = subprocess.run([sys.executable, "-P", __file__, "--arm", arm], capture_output=True, text=True, check=True)
    return json.loads(done.stdout.strip().splitlines()[-1])


def here() -> list[str]:
    """The arms that this CPU can run in fair time."""
    import torch

    return [arm for arm in ARMS if arm != "rung bf16" or torch.ops.mkldnn._is_mkldnn_bf16_supported()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=1)
    parser.add_argument("--profile", choices=ARMS)
    parser.add_argument("--arms", default="", help="some of them, with commas; plain among them")
    parser.add_argument("--arm", choices=ARMS, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.profile:
        return profiled(asked.profile)
    if asked.arm:
        return print(json.dumps(one(asked.arm)))
    arms = asked.arms.split(",") if asked.arms else here()
    if "plain" not in arms or not set(arms) <= set(ARMS):
        parser.error(f"--arms: plain and others of {', '.join(ARMS)}")
    runs = [fresh(arm) for _ in range(asked.times) for arm in arms]
    found = {arm: min((run for run in runs if run["arm"] == arm), key=lambda run: run["cpu"]) for arm in arms}
    print(f"{'arm':<14} {'tok/cpu-s':>9} {'ratio':>6} {'last loss':>9} {'mean loss':>9}  largest difference")
    for arm, seen in found.items():
        speed, ratio = seen["tokens"] / seen["cpu"], found["plain"]["cpu"] / seen["cpu"]
        twin = found.get(TWINS.get(arm, ""))
        apart = max(abs(a - b) for a, b in zip(seen["losses"], twin["losses"], strict=True)) if twin else None
        shown = "no twin" if apart is None else f"{apart:.1e} to {twin['arm']}"
        print(f"{arm:<14} {speed:>9.0f} {ratio:>6.2f} {seen['losses'][-1]:>9.4f} "
              f"{statistics.mean(seen['losses']):>9.4f}  {shown}")  # fmt: skip


if __name__ == "__main__":
    main()
