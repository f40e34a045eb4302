"""A project on banking77 (PolyAI, CC BY 4.0), so that its report can be made again with Rung's own commands.

    python -m benchmarks.banking77 FOLDER INTO [--intents 77] [--train 15] [--test 4] [--choose-on 20]

FOLDER holds train.csv and test.csv (text, category); INTO must be new. So many of the 77 intents, and so many rows of
each for train and test, are drawn by a fixed seed. guideline.md beside this file names the intents; the documents that
the rag arm reads are its lines. docs/reports/banking77.md has the commands that follow and what they printed.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
from collections import defaultdict
from pathlib import Path

SEED = 13
CHOOSE_ON = 20
GUIDELINE = Path(__file__).with_name("guideline.md")
ASK = "Sort the customer's message to the bank into one intent."
SETTINGS = """[project]
name = "banking77"

[review]
pool = "trust"

[dataset]
validation = 0.13
licence = "CC BY 4.0"

[evaluation]
metric = "accuracy"
few_shot = 12
retrieved = 4
choose_on = 20

[model]
base = "embedded"
max_tokens = 20

[training]
system_prompt = "Intent."
epochs = 2
learning_rate = 1e-3
batch = 8
dropout = 0.0
choose_by = "loss"
"""
ANSWERS = """task = "classification"
prompting = "partial"
prompt_effort_days = 6
few_shot = "untried"
rag = "untried"
fine_tuning = "untried"
failure = "breaks_rules"
private_knowledge = false
citations = false
live_systems = false
domain_behaviour = true
knowledge_change = "yearly"
output_form = "strict"
breadth = "narrow"
calls_per_day = 4000
latency = "seconds"
model_access = "open"
privacy = "sensitive"
budget = "limited"
first_project = true
team = "part_time"
goal_score = 0.85
wants = "fine_tune"
"""


def intents(count: int) -> dict[str, str]:
    """`count` intents -> what the guideline says of each."""
    lines = [line.partition(": ") for line in GUIDELINE.read_text(encoding="utf-8").splitlines()]
    known = {name: meaning for name, colon, meaning in lines if colon and " " not in name}
    return {name: known[name] for name in sorted(random.Random(SEED).sample(sorted(known), count), key=str.lower)}


def drawn(file: Path, names: list[str], each: int) -> list[tuple[str, str]]:
    """`each` rows of every named intent, in a random but fixed order."""
    by_intent: dict[str, list[str]] = defaultdict(list)
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            by_intent[row["category"]].append(row["text"].strip())
    rng = random.Random(SEED)
    found = [(text, name) for name in names for text in rng.sample(by_intent[name], each)]
    rng.shuffle(found)
    return found


def prompts(names: list[str], example: tuple[str, str]) -> dict[str, str]:
    """The bare task, and three versions of the prompt; one shows `example`, a train row."""
    listed = "\n".join(f"- {name}" for name in names)
    short = f"{ASK} An intent is a few words joined by underscores. Answer with the intent only."
    worked = f'Message: "{example[0]}" -> {example[1]}\n'
    return {
        "base.md": f"{ASK} Answer with the intent only.\n",
        "prompt.md": f"{ASK} Answer with one of these and nothing else:\n{listed}\n",
        "prompt.short.md": f"{short}\n",
        "prompt.worked.md": f"{short}\n{worked}",
    }


def write_project(
    folder: Path, into: Path, meanings: dict[str, str], train: int, test: int, choose_on: int = CHOOSE_ON
) -> None:
    """Write settings, answers, guideline, prompts, documents and raw rows below `into`."""
    names = list(meanings)
    pool = drawn(folder / "train.csv", names, train)
    files = {
        "rung.toml": SETTINGS.replace("choose_on = 20", f"choose_on = {choose_on}"),
        "answers.toml": ANSWERS,
        "guideline.md": "# Guideline\n\n" + "".join(f"{name}: {meaning}\n" for name, meaning in meanings.items()),
        "about-data.md": "- banking77 is public and may be in the model's pre-training.\n",
        "labels.txt": "".join(f"{name}\n" for name in meanings),
        "documents/intents.md": "\n\n".join(f"{name}: {meaning}" for name, meaning in meanings.items()) + "\n",
        **{f"prompts/{name}": text for name, text in prompts(names, pool[0]).items()},
        "raw/test.jsonl": _lines(drawn(folder / "test.csv", names, test)),
        "raw/pool.jsonl": _lines(pool),
    }
    for name, text in files.items():
        path = into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def _lines(rows: list[tuple[str, str]]) -> str:
    found = [
        {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": name}]} for text, name in rows
    ]
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in found)


def main() -> int:
    """Write the project and say what comes next."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("into", type=Path)
    parser.add_argument("--intents", type=int, default=77)
    parser.add_argument("--train", type=int, default=15)
    parser.add_argument("--test", type=int, default=4)
    parser.add_argument("--choose-on", type=int, default=CHOOSE_ON, help="validation rows that arms are chosen on")
    asked = parser.parse_args()
    if asked.into.exists():
        parser.error(f"{asked.into} exists already")
    write_project(asked.folder, asked.into, intents(asked.intents), asked.train, asked.test, asked.choose_on)
    rows = asked.intents
    print(f"{rows * asked.train:,} pool rows and {rows * asked.test} test rows of {rows} intents in {asked.into}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
