"""Training speed against a plain TRL script on the same rows: tokens per CPU-second, and the losses side by side.

    OMP_NUM_THREADS=1 python benchmarks/training.py            (about 4 minutes of one core)

Each arm runs in a process of its own on the embedded model, LoRA r 16 on all linear layers, batch 8, one pass over
64 short rows. `plain` is TRL as its documentation has it (its defaults: gradient checkpointing, rows in random order,
the language head at every position). The losses of `same order` are those of plain TRL up to rounding: there the rows
come in TRL's own order and nothing differs but checkpointing and where the head runs.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

ROWS, BATCH, LENGTHS = 64, 8, (4, 14)
ARMS = ("plain", "same order", "rung fp32", "rung bf16")
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

    from training.recipe import Recipe
    from training.run.adapter import adapter_config
    from training.run.model import load_base, load_tokenizer
    from training.run.rows import encode
    from training.run.trainer import AnswerTrainer

    recipe = Recipe(base="embedded", method="lora", rank=16, alpha=32, learning_rate=1e-3, batch=BATCH, epochs=1,
                    steps=ROWS // BATCH, max_length=256)  # fmt: skip
    tokenizer, found = load_tokenizer(recipe.base), rows()
    encoded = encode(tokenizer, found, None, 256)
    common = {"output_dir": "/tmp/rung-benchmark", "use_cpu": True, "per_device_train_batch_size": BATCH, "seed": 0,
              "num_train_epochs": 1, "learning_rate": 1e-3, "logging_steps": 1, "report_to": "none",
              "save_strategy": "no", "disable_tqdm": True, "bf16": arm == "rung bf16"}  # fmt: skip
    if arm == "plain":
        kind, extra = SFTTrainer, {}
        table = [{"prompt": [dict(m) for m in r.asked], "completion": [dict(r.messages[-1])]} for r in found]
    else:
        kind, extra = (
            AnswerTrainer,
            {"activation_checkpointing": False, "dataset_kwargs": {"skip_prepare_dataset": True}},
        )
        table = [{"input_ids": t.ids, "labels": t.labels} for t in encoded.rows]
    if arm == "same order":
        kind = type("SameOrder", (AnswerTrainer,), {"_get_train_sampler": SFTTrainer._get_train_sampler})
    made = kind(model=load_base(recipe), args=SFTConfig(**common, **extra), train_dataset=Dataset.from_list(table),
                processing_class=tokenizer, peft_config=adapter_config(recipe))  # fmt: skip
    return made, sum(len(t.ids) for t in encoded.rows)


def one(arm: str) -> dict:
    made, tokens = trainer(arm)
    cpu, wall = time.process_time(), time.perf_counter()
    made.train()
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    losses = [line["loss"] for line in made.state.log_history if "loss" in line]
    return {"arm": arm, "tokens": tokens, "cpu": cpu, "wall": wall, "losses": losses}


def main() -> None:
    found = {}
    for arm in ARMS:
        done = subprocess.run([sys.executable, "-P", __file__, arm], capture_output=True, text=True, check=True)
        found[arm] = json.loads(done.stdout.strip().splitlines()[-1])
    plain = found["plain"]
    print(f"{'arm':<12} {'tok/cpu-s':>9} {'ratio':>6} {'last loss':>9} {'mean loss':>9}  largest difference to plain")
    for arm, seen in found.items():
        speed, ratio = seen["tokens"] / seen["cpu"], plain["cpu"] / seen["cpu"]
        apart = max(abs(a - b) for a, b in zip(seen["losses"], plain["losses"], strict=True))
        shown = f"{apart:.1e}" if arm in ("plain", "same order") else "other order"
        print(f"{arm:<12} {speed:>9.0f} {ratio:>6.2f} {seen['losses'][-1]:>9.4f} "
              f"{statistics.mean(seen['losses']):>9.4f}  {shown}")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(one(sys.argv[1])))
    else:
        main()
