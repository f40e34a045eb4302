"""Paraphrases that a language model wrote: how many are found by meaning, and how many pairs are right.

    python benchmarks/semantic.py FOLDER [--model FOLDER]

FOLDER holds gsm_train.jsonl and gsm_test.jsonl (openai/grade-school-math: "question") and rephrase.jsonl
(lm-sys/llm-decontaminator, data/rephrase/rephrase_gsm8k.jsonl, one line for each test question). 400 rephrases are
planted among 1,500 training questions; 400 other test questions are clean. Thresholds are chosen on the even items,
the odd ones are the figures of rules/semantic.toml. One thread.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")
THRESHOLDS = (0.8, 0.82, 0.85, 0.88, 0.9)
PLANTED, CLEAN, TRAIN = 400, 400, 1500


def main() -> None:
    from chat.local.embed import open_embedder
    from curation.likeness.semantic import alike_across

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", type=Path)
    args = parser.parse_args()
    train, test = sample(args.folder)
    started = time.process_time()
    found = alike_across(open_embedder(args.model), train, test, min(THRESHOLDS))
    spent = time.process_time() - started
    print(f"{found.model}: {found.embedded:,} texts, {spent:.0f} CPU-s, {found.embedded / spent:.0f} a CPU-second")
    print(f"{'half':6}{'threshold':>10}{'recall':>9}{'precision':>11}{'clean flagged':>15}")
    for half, name in enumerate(("chosen", "held")):
        for threshold in THRESHOLDS:
            pairs = [(row, item) for row, item, score in found.pairs if score >= threshold and item % 2 == half]
            right = sum(item < PLANTED and row == TRAIN + item for row, item in pairs)
            flagged = len({item for _, item in pairs if item >= PLANTED}) / (CLEAN / 2)
            recall, precision = right / (PLANTED / 2), right / max(1, len(pairs))
            print(f"{name:6}{threshold:10.2f}{recall:9.3f}{precision:11.3f}{flagged:15.3f}")


def sample(folder: Path) -> tuple[list[str], list[str]]:
    """Training questions with the rephrases behind them, and the test questions, the rephrased ones first."""
    questions = [json.loads(line)["question"] for line in (folder / "gsm_test.jsonl").open()]
    others = [json.loads(line)["question"] for line in (folder / "gsm_train.jsonl").open()]
    reworded = [
        json.loads(line)["text"].removeprefix("Question: ").split("\nAnswer:")[0].strip()
        for line in (folder / "rephrase.jsonl").open()
    ]
    rng = random.Random(7)
    drawn = rng.sample(range(len(questions)), PLANTED + CLEAN)
    train = [*rng.sample(others, TRAIN), *(reworded[place] for place in drawn[:PLANTED])]
    return train, [questions[place] for place in drawn]


if __name__ == "__main__":
    main()
