"""Near-duplicate removal: rung against datasketch, rensa, text-dedup, datatrove and semhash, where they are installed.

    python benchmarks/dedup.py [FILE.jsonl] [--truth FILE.npz] [--rows N] [--naive-rows N] [--only "NAME;..."] [--texts]
    python benchmarks/dedup.py FILE.jsonl --marginal [100000,400000] [--only "NAME;..."]
    python benchmarks/dedup.py --small

FILE holds rows with "text" or "messages" (default: 40,000 generated rows). Every contender runs in a process of its
own, one thread, and is measured in CPU-seconds from after its imports (and rung's load of compiled code). The peers
begin with the questions in memory, rung begins with the file. F1 is on pairs of rows in one cluster, against the
components of an exact join: those of --truth (`labels`), else of `rung --exact`. Plain datasketch runs on
--naive-rows rows (default 10,000) and its time is scaled up, as it takes minutes. --texts leaves the rows their "text"
alone: of a row with "messages" too, rung compares the questions and then the answers, while a truth over whole texts
counts another thing.

--marginal turns the rows of FILE into chat rows (its texts asked, one answer) and runs every contender on the first
100,000 and the first 400,000 of them: the rate is that of the rows between, so that no start-up counts. Plain
datasketch does so on a twentieth of these sizes. --small times `rung data dedup` on a file of 5,000 generated rows
from outside, start-up included.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.dedup_contenders import CONTENDERS, questions


def main() -> None:
    args = arguments()
    if args.child:
        child(args)
        return
    with tempfile.TemporaryDirectory() as folder:
        if args.small:
            return small(Path(folder))
        if args.marginal:
            return marginal(args, Path(folder))
        source = Path(args.file) if args.file else generated(Path(folder) / "rows.jsonl", args.rows or 40_000)
        source = head(source, Path(folder) / "head.jsonl", args.rows) if args.file and args.rows else source
        source = texts_of(source, Path(folder) / f"{source.stem}.texts.jsonl") if args.texts else source
        table(args, source, Path(folder))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("file", nargs="?")
    parser.add_argument("--truth")
    parser.add_argument("--texts", action="store_true")
    parser.add_argument("--rows", type=int, default=0)
    parser.add_argument("--naive-rows", type=int, default=10_000)
    parser.add_argument("--marginal", nargs="?", const="100000,400000", default="")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--child", default="")
    parser.add_argument("--labels", default="")
    return parser.parse_args()


def generated(path: Path, rows: int) -> Path:
    """Sentences of a made-up language, recombined; four in ten rows are copies with a few edits."""
    rng = random.Random(7)
    words = [
        "".join(rng.choice("bdfgklmnprst") + rng.choice("aeiou") for _ in range(rng.randint(1, 4))) for _ in range(9000)
    ]
    texts: list[str] = []
    for _ in range(rows):
        if texts and rng.random() < 0.4:
            parts = rng.choice(texts).split(" ")
            for _ in range(rng.choice([0, 1, 1, 2, 4])):
                parts[rng.randrange(len(parts))] = rng.choice(words)
            texts.append(" ".join(parts))
        else:
            texts.append(" ".join(rng.choices(words, k=rng.randint(20, 140))))
    with path.open("w") as file:
        for text in texts:
            turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
            file.write(json.dumps({"messages": turns}) + "\n")
    return path


def texts_of(source: Path, out: Path) -> Path:
    with source.open("rb") as file, out.open("w") as to:
        to.writelines(json.dumps({"text": json.loads(line)["text"]}) + "\n" for line in file)
    return out


def head(source: Path, out: Path, rows: int) -> Path:
    with source.open("rb") as file, out.open("wb") as to:
        for _, line in zip(range(rows), file, strict=False):
            to.write(line)
    return out


def table(args: argparse.Namespace, source: Path, folder: Path) -> None:
    rows = sum(1 for line in source.open("rb") if line.strip())
    print(f"{source.name}: {rows:,} rows, {source.stat().st_size / 1e6:.1f} MB, load {os.getloadavg()[0]:.1f}")
    chosen = [name for name in CONTENDERS if (not args.only or name in args.only.split(";")) and present(name)]
    compile_once(args, chosen, source, folder)
    found = {name: run(args, name, source, folder) for name in chosen}
    truth = labels_of(args, folder, rows)
    base = found.get("rung", {}).get("cpu")
    titles = (
        ("CPU-s", 9),
        ("rows/CPU-s", 12),
        ("rung is", 9),
        ("peak MB", 9),
        ("over start", 11),
        ("kept", 9),
        ("F1", 9),
    )
    print(f"{'':24}" + "".join(f"{title:>{width}}" for title, width in titles) + f"{'precision':>10}")
    for name, result in found.items():
        if "error" in result:
            print(f"{name:24}failed: {result['error']}")
            continue
        cpu = result["cpu"] * rows / result["rows"]
        ratio = f"{cpu / base:.1f}x" if base else ""
        score = quality(folder / f"{name}.npy", truth) if result["rows"] == rows else ("", "")
        print(
            f"{name:24}{cpu:9.2f}{rows / cpu:12,.0f}{ratio:>9}{result['peak']:9.0f}"
            f"{result['peak'] - result['start']:11.0f}{result['kept']:9,}{score[0]:>9}{score[1]:>10}"
            + ("  (scaled up)" if result["rows"] != rows else "")
        )


def marginal(args: argparse.Namespace, folder: Path) -> None:
    """CPU-seconds between two sizes, and the rate of the rows between."""
    low, high = map(int, args.marginal.split(","))
    chosen = [name for name in CONTENDERS if (not args.only or name in args.only.split(";")) and present(name)]
    print(f"{args.file}: chat rows {low:,} to {high:,}, load {os.getloadavg()[0]:.1f}")
    print(f"{'':24}{'rows':>18}{'CPU-s':>16}{'rows/CPU-s':>12}{'rung is':>9}{'peak MB':>9}")
    base = 0.0
    args.naive_rows = 1 << 40
    compile_once(args, chosen, chat_rows(Path(args.file), folder, low), folder)
    for name in chosen:
        sizes = [size // (20 if name == "datasketch, plain" else 1) for size in (low, high)]
        found = [run(args, name, chat_rows(Path(args.file), folder, size), folder) for size in sizes]
        if any("error" in result for result in found):
            print(f"{name:24}failed: {[result.get('error') for result in found]}")
            continue
        cpu = [result["cpu"] for result in found]
        rate = (sizes[1] - sizes[0]) / max(1e-9, cpu[1] - cpu[0])
        base = base or rate
        spans = f"{sizes[0]:,}-{sizes[1]:,}", f"{cpu[0]:.2f}-{cpu[1]:.2f}"
        print(
            f"{name:24}{spans[0]:>18}{spans[1]:>16}{rate:12,.0f}{base / rate:8.1f}x{found[1]['peak']:9.0f}", flush=True
        )


def compile_once(args: argparse.Namespace, chosen: list[str], source: Path, folder: Path) -> None:
    """Let rung compile what it keeps compiled, for rows of this form: on a fresh copy this would count as work."""
    some = head(source, folder / "some.jsonl", 30_000)
    for name in chosen:
        if name.startswith("rung"):
            run(args, name, some, folder)


def chat_rows(source: Path, folder: Path, rows: int) -> Path:
    """The first rows as chat rows, all with one answer, so that near questions are duplicates."""
    out = folder / f"chat{rows}.jsonl"
    if not out.exists():
        with out.open("w") as file:
            for text in questions(source, rows):
                turns = [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]
                file.write(json.dumps({"messages": turns}) + "\n")
    return out


def small(folder: Path) -> None:
    """The whole command on 5,000 rows."""
    source = generated(folder / "rows.jsonl", 5000)
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "rung", "data", "dedup", str(source), "-o", str(folder / "out.jsonl"), "--json"]
    for _ in range(3):
        before = cpu()
        subprocess.run(command, check=True, capture_output=True, cwd=root)
        print(f"rung data dedup, 5,000 rows, start-up included: {cpu() - before:.2f} CPU-s")


def present(name: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in CONTENDERS[name][1])


def run(args: argparse.Namespace, name: str, source: Path, folder: Path) -> dict[str, Any]:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(source), "--child", name, "--labels", str(folder / f"{name}.npy")]
    command += ["--naive-rows", str(args.naive_rows)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=Path(__file__).parent.parent)
    if done.returncode:
        return {"error": done.stderr.strip().splitlines()[-1]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def labels_of(args: argparse.Namespace, folder: Path, rows: int) -> Any:
    import numpy as np

    if args.truth:
        return np.load(args.truth)["labels"][:rows] if not args.rows else None
    exact = folder / "rung --exact.npy"
    return np.load(exact) if exact.exists() else None


def quality(path: Path, truth: Any) -> tuple[str, str]:
    """F1 and precision on pairs of rows in one cluster."""
    import numpy as np

    if truth is None or not path.exists():
        return "", ""
    labels = np.load(path)
    both = pairs(np.unique(labels.astype(np.int64) * len(labels) + truth, return_counts=True)[1])
    mine, true = pairs(np.bincount(labels)), pairs(np.bincount(truth))
    precision, recall = both / max(mine, 1), both / max(true, 1)
    return f"{2 * precision * recall / max(precision + recall, 1e-9):.5f}", f"{precision:.4f}"


def pairs(sizes: Any) -> int:
    sizes = sizes.astype("int64")
    return int((sizes * (sizes - 1) // 2).sum())


def child(args: argparse.Namespace) -> None:
    """Run one contender; print its measures as JSON."""
    contender, _, in_memory = CONTENDERS[args.child]
    rows = args.naive_rows if args.child == "datasketch, plain" else None
    texts = questions(Path(args.file), rows) if in_memory else None
    work = contender(Path(args.file), texts)
    start = peak()
    before = cpu()
    labels, kept = work()
    spent = cpu() - before
    if labels is not None:
        import numpy as np

        np.save(args.labels, np.asarray(labels, dtype=np.int64))
    read = len(texts) if texts is not None else Path(args.file).read_bytes().count(b"\n")
    print(json.dumps({"cpu": spent, "rows": read, "kept": kept, "start": start, "peak": peak()}))


def cpu() -> float:
    own, children = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
