"""Leaks planted in texts that had no part in choosing the leakage check's shares: Python's own docstrings, and gsm8k.

    python benchmarks/leakage_elsewhere.py [FOLDER]

FOLDER/gsm8k holds test.jsonl and train.jsonl; without it only the docstrings are used. Half of the test items
are leaked into train, evenly over seven kinds; the other half are clean. Answers that share eight words in a row with
another are left out first, so that a clean item is clean. Printed: recall by kind, false alarms.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import io
import json
import random
import re
import sys
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from curation.example import Example, chat_row
from curation.likeness.leaks.find import find_leaks

Item = tuple[str, str]
MODULES = [
    "argparse", "ast", "asyncio", "base64", "bisect", "calendar", "codecs", "collections", "concurrent.futures",
    "configparser", "contextlib", "copy", "csv", "ctypes", "datetime", "decimal", "difflib", "dis", "doctest",
    "email", "enum", "fileinput", "fractions", "ftplib", "functools", "gettext", "glob", "gzip", "heapq", "html",
    "http", "http.client", "imaplib", "inspect", "io", "ipaddress", "itertools", "json", "linecache", "locale",
    "logging", "lzma", "mailbox", "math", "mimetypes", "multiprocessing", "netrc", "nntplib", "numbers",
    "operator", "os", "pathlib", "pdb", "pickle", "pickletools", "platform", "plistlib", "poplib", "pprint",
    "profile", "pstats", "queue", "random", "re", "sched", "secrets", "select", "shelve", "shlex", "shutil",
    "signal", "smtplib", "socket", "socketserver", "sqlite3", "ssl", "statistics", "string", "struct",
    "subprocess", "symtable", "tarfile", "tempfile", "textwrap", "threading", "timeit", "token", "tokenize",
    "trace", "traceback", "tracemalloc", "turtle", "types", "typing", "unittest", "urllib.parse", "urllib.request",
    "uuid", "wave", "weakref", "webbrowser", "xml.dom", "xmlrpc.client", "zipfile", "zoneinfo", "numpy", "sklearn",
    "scipy.stats", "sqlalchemy", "textual", "pydantic", "jinja2", "typer", "rich",
]  # fmt: skip


def main() -> None:
    sets = {"docstrings": docstrings()}
    if len(sys.argv) > 1:
        sets["gsm8k"] = gsm8k(Path(sys.argv[1]) / "gsm8k")
    results = {name: measured(items, 11) for name, items in sets.items()}
    print("| kind | " + " | ".join(f"{name}: found of planted" for name in results) + " |")
    print("|---|" + "---|" * len(results))
    for kind in KINDS:
        print(f"| {kind} | " + " | ".join(f"{r[kind][0]} of {r[kind][1]}" for r in results.values()) + " |")
    print(
        "| false alarms, clean items | "
        + " | ".join(f"{r['clean'][0]} of {r['clean'][1]}" for r in results.values())
        + " |"
    )


def measured(items: list[Item], seed: int) -> dict[str, tuple[int, int]]:
    """(found, there) by kind; `clean` counts items that were not leaked and were called so."""
    rng = random.Random(seed)
    items = lone(items)
    rng.shuffle(items)
    test, others = items[: len(items) // 3], items[len(items) // 3 :]
    words = [word for question, answer in others for word in f"{question} {answer}".split()]
    leaked = {i: list(KINDS)[i % len(KINDS)] for i in range(len(test) // 2)}
    train = [chat_row(q, a) for q, a in others]
    for place, kind in leaked.items():
        train.append(KINDS[kind](rng, test[place], rng.choice(others), words))
    rng.shuffle(train)
    report = find_leaks([Example(row) for row in train], [Example(chat_row(q, a)) for q, a in test])
    told = {leak.test for leak in report.leaks}
    there = Counter(leaked.values())
    hits = Counter(kind for place, kind in leaked.items() if place in told)
    clean = [i for i in range(len(test)) if i not in leaked]
    return {kind: (hits[kind], there[kind]) for kind in KINDS} | {"clean": (sum(i in told for i in clean), len(clean))}


def lone(items: list[Item]) -> list[Item]:
    """Return the items of whose answers no eight words in a row are in another answer."""
    grams = [spans(answer) for _, answer in items]
    counts = Counter(gram for each in grams for gram in each)
    return [item for item, each in zip(items, grams, strict=True) if all(counts[gram] == 1 for gram in each)]


def spans(text: str, size: int = 8) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + size]) for i in range(len(words) - size + 1)}


def edited(rng: random.Random, text: str, share: float, words: list[str]) -> str:
    """A share of the words replaced by words of the set, dropped or swapped with the next."""
    parts = text.split()
    for _ in range(max(1, round(share * len(parts)))):
        place = rng.randrange(len(parts))
        act = rng.randrange(3)
        if act == 0:
            parts[place] = rng.choice(words)
        elif act == 1 and len(parts) > 10:
            del parts[place]
        elif place + 1 < len(parts):
            parts[place], parts[place + 1] = parts[place + 1], parts[place]
    return " ".join(parts)


def shouted(text: str) -> str:
    return re.sub(r"[.,;:()]", "", text.upper())


KINDS: dict[str, Callable[[random.Random, Item, Item, list[str]], dict]] = {
    "verbatim": lambda rng, item, other, words: chat_row(*item),
    "case and punctuation": lambda rng, item, other, words: chat_row(shouted(item[0]), shouted(item[1])),
    "3 words in 100 edited": lambda rng, item, other, words: chat_row(item[0], edited(rng, item[1], 0.03, words)),
    "10 words in 100 edited": lambda rng, item, other, words: chat_row(other[0], edited(rng, item[1], 0.1, words)),
    "contained": lambda rng, item, other, words: chat_row(other[0], f"{other[1]} {item[1]} {other[0]}"),
    "answer in a prompt": lambda rng, item, other, words: chat_row(f"Read this. {item[1]} What is it?", other[0]),
    "roles swapped": lambda rng, item, other, words: chat_row(item[1], item[0]),
}


def docstrings() -> list[Item]:
    """Items from docstrings: each text once."""
    found: dict[str, str] = {}
    quiet = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stderr(quiet), contextlib.redirect_stdout(quiet):
        warnings.simplefilter("ignore")
        for name in MODULES:
            with contextlib.suppress(ImportError):
                module = importlib.import_module(name)
                for owner, thing in members(module):
                    text = " ".join((inspect.getdoc(thing) or "").split())
                    if 30 <= len(text.split()) <= 300:
                        found.setdefault(text, f"What does {owner} in {name} do, and how is it called?")
    return [(question, text) for text, question in found.items()]


def members(module: object) -> list[tuple[str, object]]:
    mine = [(name, each) for name, each in vars(module).items() if not name.startswith("_") and callable(each)]
    inner = [
        (f"{name}.{key}", part)
        for name, each in mine
        if inspect.isclass(each)
        for key, part in vars(each).items()
        if not key.startswith("_") and callable(part)
    ]
    return [*mine, *inner]


def gsm8k(folder: Path) -> list[Item]:
    files = [folder / "test.jsonl", folder / "train.jsonl"]
    rows = [json.loads(line) for file in files if file.is_file() for line in file.read_text().splitlines()]
    return [(row["question"], row["answer"]) for row in rows]


if __name__ == "__main__":
    main()
