"""Reading and checking chat JSON Lines: `read_rows` against pydantic, plain json and datasets, CPU-seconds and misses.

    python benchmarks/reading.py [ROWS] [--mixed]    (default 200,000; 1 in 100 rows has one of eight faults)

With --mixed the rows have six sets of other keys. "rung convert" also writes the sound rows and the rejects.
Each contender runs in a process of its own, in turns; of several runs the quickest counts (`datasets` runs once). It
reads 100 rows first: "start-up" is the CPU-seconds of that and of its imports, the others are without. It prints a
table of ratios. `datasets` is left out where it is missing.
"""

from __future__ import annotations

import json
import random
import re
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

TURNS = 5
WORDS = [
    "the",
    "of",
    "and",
    "a",
    "package",
    "library",
    "tool",
    "that",
    "reads",
    "writes",
    "files",
    "from",
    "with",
    "data",
]


def spoil(rng: random.Random, row: dict, kind: int) -> dict:
    turns = row["messages"]
    if kind == 0:
        turns[-1]["role"] = "bot"
    elif kind in (1, 2, 6):
        turns[-1]["content"] = {1: "", 2: None, 6: [1, 2]}[kind]
    elif kind == 3:
        del turns[-1]
    elif kind == 4:
        return {"id": row.get("id"), "message": turns}
    elif kind == 5:
        turns[0], turns[-1] = turns[-1], turns[0]
    else:
        row["messages"] = []
    return row


def others(number: int, kind: int) -> tuple[dict, dict]:
    """Return the fields before and after the messages of a row of this kind."""
    named = {"id": f"r{number:07d}"}
    return (
        (named, {}),
        ({}, {}),
        ({}, {"source": "debian", "score": number / 7}),
        ({"id": number, "meta": {"lang": "en", "tags": ["a", "b"], "n": {"k": 1}}}, {}),
        ({}, {"tags": ["x", "y"], "ok": True}),
        (named, {"topic": "t", "lang": None}),
    )[kind]


def write(path: Path, count: int, mixed: bool, seed: int = 3) -> int:
    """Write `count` rows of about 560 bytes; returns how many are faulty."""
    rng, bad = random.Random(seed), 0
    with path.open("w") as file:
        for i in range(count):
            text = " ".join(rng.choices(WORDS, k=75))
            turns = [{"role": "user", "content": text[:120]}, {"role": "assistant", "content": text[120:]}]
            if i % 3 == 0:
                turns.insert(0, {"role": "system", "content": "You are a careful packaging assistant."})
            before, behind = others(i, rng.randrange(6) if mixed else 0)
            row = {**before, "messages": turns, **behind}
            if rng.random() < 0.01:
                bad += 1
                row = spoil(rng, row, rng.randrange(8))
            file.write(json.dumps(row) + "\n")
    return bad


def rung(path: Path) -> int:
    from curation.rows import Reject, read_rows

    return sum(type(item) is Reject for item in read_rows(path))


def convert(path: Path) -> int:
    from curation.rows.convert import ConvertOrder
    from curation.rows.convert import convert as converted

    with tempfile.TemporaryDirectory() as folder:
        order = ConvertOrder(path, Path(folder) / "rows.jsonl", rejects=Path(folder) / "rejects.jsonl")
        return converted(order).rejected


def order_is_right(messages: list) -> bool:
    roles = [m["role"] if isinstance(m, dict) else m.role for m in messages]
    if roles[:1] == ["system"]:
        roles = roles[1:]
    return (
        bool(roles) and roles[-1] == "assistant" and all(r == ("user", "assistant")[i % 2] for i, r in enumerate(roles))
    )


def pydantic(path: Path) -> int:
    from typing import Annotated, Literal

    from pydantic import BaseModel, StringConstraints, ValidationError, model_validator

    class Message(BaseModel):
        role: Literal["system", "user", "assistant", "tool"]
        content: Annotated[str, StringConstraints(min_length=1)]

    class Row(BaseModel):
        messages: list[Message]

        @model_validator(mode="after")
        def _order(self):
            if not order_is_right(self.messages):
                raise ValueError("order")
            return self

    bad = 0
    with path.open("rb") as file:
        for line in file:
            try:
                Row.model_validate_json(line)
            except ValidationError:
                bad += 1
    return bad


def is_right(row: dict) -> bool:
    turns = row.get("messages")
    known = ("system", "user", "assistant", "tool")
    if not isinstance(turns, list) or not all(isinstance(m.get("content"), str) and m["content"] for m in turns):
        return False
    return all(m.get("role") in known for m in turns) and order_is_right(turns)


def plain_json(path: Path) -> int:
    with path.open("rb") as file:
        return sum(not is_right(json.loads(line)) for line in file)


def datasets(path: Path) -> int:
    from datasets import load_dataset

    with tempfile.TemporaryDirectory() as cache:
        rows = load_dataset("json", data_files=str(path), split="train", cache_dir=cache)
        return sum(not is_right({k: v for k, v in row.items() if v is not None}) for row in rows)


CONTENDERS = {
    "rung read_rows": rung,
    "rung convert": convert,
    "pydantic BaseModel": pydantic,
    "json + loop": plain_json,
    "datasets + loop": datasets,
}


def spent() -> float:
    """CPU-seconds of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def child(name: str, path: Path) -> None:
    read, start = CONTENDERS[name], spent()
    try:
        read(path.with_name("few.jsonl"))
        warm = spent()
        bad = read(path)
    except ImportError:
        print("not installed")
        return
    except Exception as error:
        print(f"failed: {str(error).splitlines()[0][:80]}")
        return
    took = spent() - warm
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1]
    print(bad, took, warm - start, int(peak) / 1024)


def main() -> None:
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], Path(sys.argv[3]))
        return
    mixed = "--mixed" in sys.argv
    count = next((int(word) for word in sys.argv[1:] if word.isdigit()), 200_000)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.jsonl"
        write(Path(folder) / "few.jsonl", 100, mixed)
        bad = write(path, count, mixed)
        print(f"{count:,} rows, {path.stat().st_size / 1e6:.0f} MB, {bad:,} faulty\n")
        print("| method | CPU-s | start-up | rows/CPU-s | peak MB | found | against rung | with start-up |")
        print("|---|---|---|---|---|---|---|---|")
        table(path, count, bad)


def table(path: Path, count: int, bad: int) -> None:
    """The quickest of several runs of each; `datasets`, which takes minutes, runs once."""
    best: dict[str, tuple[float, float, float, float]] = {}
    words: dict[str, str] = {}
    for turn in range(TURNS):
        for name in CONTENDERS:
            if turn and name == "datasets + loop":
                continue
            out = run(name, path)
            if not out[:1].isdigit():
                words[name] = out
                continue
            found, seconds, start, peak = map(float, out.split())
            best[name] = min(best.get(name, (seconds, start, peak, found)), (seconds, start, peak, found))
    first, begun, _, _ = best["rung read_rows"]
    for name, (seconds, start, peak, found) in best.items():
        rate = f"{start:.2f} | {count / seconds:,.0f} | {peak:.0f} | {found:,.0f} of {bad:,}"
        whole = (seconds + start) / (first + begun)
        print(f"| {name} | {seconds:.2f} | {rate} | {seconds / first:.1f}x | {whole:.1f}x |")
    for name, why in words.items():
        print(f"| {name} | {why} | | | | | | |")


def run(name: str, path: Path) -> str:
    command = [sys.executable, __file__, "--child", name, str(path)]
    return subprocess.run(command, capture_output=True, text=True).stdout.split("\n")[0]


if __name__ == "__main__":
    main()
