"""Train/test leakage: rung against a scan for shared 13-grams as lm-eval's janitor does it, in plain Python.

    python benchmarks/leakage.py [FOLDER]

FOLDER holds leak_train.jsonl, leak_test.jsonl and leak_truth.json ({test index: {"kind", "train"}}; test items from
1,600 on are template negatives); by default a small set of that form is made up. Each contender runs in a process of
its own, one thread, CPU-seconds from after its imports. Printed: recall by kind of leak, false alarms, time, memory.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import string
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

GRAM = 13


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[2] == "--child":
        child(Path(sys.argv[1]), sys.argv[3])
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(sys.argv[1]) if len(sys.argv) > 1 else generated(Path(made))
        truth = {int(k): v["kind"] for k, v in json.loads((folder / "leak_truth.json").read_text()).items()}
        found = {name: run(folder, name) for name in ("rung", "13-grams")}
        report(folder, truth, found)


def run(folder: Path, name: str) -> dict:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(folder), "--child", name]
    root = Path(__file__).parent.parent
    environment["PYTHONPATH"] = str(root)
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=root, env=environment)
    return json.loads(done.stdout.strip().splitlines()[-1])


def report(folder: Path, truth: dict[int, str], found: dict[str, dict]) -> None:
    with (folder / "leak_train.jsonl").open("rb") as train, (folder / "leak_test.jsonl").open("rb") as test:
        sizes = sum(1 for _ in train), sum(1 for _ in test)
    print(f"{sizes[0]:,} train rows, {sizes[1]:,} test items, {len(truth)} planted, load {os.getloadavg()[0]:.1f}")
    kinds = Counter(truth.values())
    print(f"{'':20}" + "".join(f"{name:>12}" for name in found))
    for kind, count in kinds.items():
        hits = {name: sum(truth.get(i) == kind for i in result["leaked"]) / count for name, result in found.items()}
        print(f"{kind:20}" + "".join(f"{share:12.3f}" for share in hits.values()))
    for title, low, high in (("false, lone", 0, 1600), ("false, template", 1600, 1 << 30)):
        clean = sum(low <= i < high and i not in truth for i in range(sizes[1]))
        alarms = [sum(low <= i < high and i not in truth for i in result["leaked"]) for result in found.values()]
        print(f"{title:20}" + "".join(f"{count:12d}" for count in alarms) + f"   of {clean}")
    print(f"{'CPU-s':20}" + "".join(f"{result['cpu']:12.2f}" for result in found.values()))
    print(f"{'peak MB (at start)':20}" + "".join(f"{r['peak']:6.0f} ({r['start']:.0f})" for r in found.values()))
    print(f"rung needs 1/{found['13-grams']['cpu'] / found['rung']['cpu']:.1f} of the time")


def child(folder: Path, name: str) -> None:
    work = {"rung": rung, "13-grams": thirteen}[name](folder)
    start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    before = time.process_time()
    leaked = work()
    spent = time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"cpu": spent, "leaked": sorted(leaked), "start": start, "peak": peak}))


def rung(folder: Path):
    from curation.example import Example, chat_row
    from curation.likeness.leaks.find import find_leaks
    from curation.rows.rowfile import RowFile

    few = [Example(chat_row(f"row {i} of é those {i * 7}", f"that load the code once {i * 3} " * 3)) for i in range(30)]
    few += [Example(chat_row(f"row {i} of those", "that load")) for i in range(9)]
    for some in (few[:20], few[30:]):
        find_leaks(few, some, numba=True)
        find_leaks(some, some, numba=True)
    for part in (few[30:], few):
        find_leaks(part, few[:3], numba=True)
    with tempfile.NamedTemporaryFile("w", suffix=".jsonl") as lines:
        lines.write("".join(example.to_json() + "\n" for example in few[30:]))
        lines.flush()
        with RowFile([Path(lines.name)]) as rows:
            find_leaks(rows, few[:3], numba=True)

    def work() -> set[int]:
        with RowFile([folder / "leak_test.jsonl"]) as test, RowFile([folder / "leak_train.jsonl"]) as train:
            return set(find_leaks(train, list(test), numba=True).strongest())

    return work


def thirteen(folder: Path):  # noqa: C901  (four small functions that share a table)
    """lm_eval/decontamination: lower case, no punctuation, white space collapsed, word 13-grams in a set."""
    table = str.maketrans(dict.fromkeys(string.punctuation))

    def grams(text: str) -> set[str]:
        words = re.sub(r"\s+", " ", text.lower().translate(table)).strip().split(" ")
        return {" ".join(words[i : i + GRAM]) for i in range(max(0, len(words) - GRAM + 1))}

    def rows(name: str) -> list[list[str]]:
        with (folder / name).open() as file:
            return [[turn["content"] for turn in json.loads(line)["messages"]] for line in file]

    def work() -> set[int]:
        where: dict[str, list[int]] = {}
        for number, texts in enumerate(rows("leak_test.jsonl")):
            for text in texts:
                for gram in grams(text):
                    where.setdefault(gram, []).append(number)
        leaked: set[int] = set()
        for texts in rows("leak_train.jsonl"):
            for text in texts:
                for gram in grams(text):
                    if gram in where:
                        leaked.update(where[gram])
        return leaked

    return work


def generated(folder: Path) -> Path:
    """2,000 test items of made-up words, 20,000 train rows, 50 leaks of each of four kinds."""
    rng = random.Random(5)
    words = ["".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(3)) for _ in range(4000)]
    weights = [1 / (k + 2) for k in range(len(words))]
    prose = lambda size: " ".join(rng.choices(words, weights, k=size))  # noqa: E731
    chat = lambda q, a: {"messages": [{"role": "user", "content": q}, {"role": "assistant", "content": a}]}  # noqa: E731
    test = [chat(prose(12), prose(60)) for _ in range(2000)]
    train = [chat(prose(12), prose(60)) for _ in range(19_800)]
    truth = {}
    for number in range(200):
        kind = ("verbatim", "edited", "contained", "answer_in_prompt")[number % 4]
        question, answer = (turn["content"] for turn in test[number]["messages"])
        parts = answer.split(" ")
        for _ in range(5):
            parts[rng.randrange(len(parts))] = rng.choice(words)
        row = {
            "verbatim": chat(question, answer),
            "edited": chat(prose(12), " ".join(parts)),
            "contained": chat(f"{prose(90)} {answer} {prose(90)}", "ok"),
            "answer_in_prompt": chat(f"Context: {answer}\n{question}", "see the context"),
        }[kind]
        truth[number] = {"kind": kind, "train": len(train)}
        train.append(row)
    for name, rows in (("leak_train", train), ("leak_test", test)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "leak_truth.json").write_text(json.dumps(truth))
    return folder


if __name__ == "__main__":
    main()
