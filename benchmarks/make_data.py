"""The corpora that the tables of the docs need, made from public sources with a fixed seed.

    python benchmarks/make_data.py rows INTO [--rows 1000000]      INTO/rows.jsonl, for dedup.py and load.py
    python benchmarks/make_data.py leaks INTO [--rows 100000]      INTO/leak_{train,test}.jsonl, leak_truth.json
    python benchmarks/make_data.py sets INTO CLONES                INTO/{banking77,gsm8k}/, rephrase.jsonl

`rows` and `leaks` are built from the English descriptions of Debian's packages: apt reads them into INTO/apt (about
70,000 texts; they change with the release, so compare ratios across dates, never counts). `rows`: 55% new
recombinations of real sentences; 14% light edits, 12% heavy edits, 5% copies, 5% copies in other case, 4% in another
order and 5% with a sentence before, each of an earlier row. `leaks`: 2,000 test items, of which 900 are leaked into
train in nine ways; 400 others share only template text with train.

`sets` copies from clones of openai/grade-school-math, PolyAI-LDN/task-specific-datasets and lm-sys/llm-decontaminator
(CLONES/NAME, git's default folder names). CLONES may lack some: what it lacks is named.
"""

from __future__ import annotations

import argparse
import collections
import json
import random
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SEED = 20260923
SENTENCE = re.compile(r"(?<=[.!?:])\s+(?=[A-Z0-9\"'(*-])|\n\s*\n|\n(?=\s*[-*] )")
KINDS = {"new": 55, "near": 14, "heavy": 12, "exact": 5, "case": 5, "order": 4, "before": 5}
BEFORE = (
    "Please note that this record was collected automatically and reviewed by the data team before release.",
    "The following answer is based on the documentation that was available at the time of writing.",
)
SYNONYMS = {
    word: other
    for pair in re.findall(
        r"(\w+) (\w+)",
        "big large, fast quick, make create, show display, help assist, use employ, begin start, find locate, "
        "get obtain, give provide, small little, many numerous, simple easy, allows permits, contains includes",
    )
    for word, other in (pair, pair[::-1])
}
ASKED = ("What is {} and what does it do?", "Explain what the {} package is used for.", "Tell me about {}.")
LEAKS = ("verbatim", "case", "near", "heavy", "paraphrase", "contained", "answer in prompt", "cross role", "short span")
SETS = {
    "gsm8k/train.jsonl": "grade-school-math/grade_school_math/data/train.jsonl",
    "gsm8k/test.jsonl": "grade-school-math/grade_school_math/data/test.jsonl",
    "gsm_train.jsonl": "grade-school-math/grade_school_math/data/train.jsonl",
    "gsm_test.jsonl": "grade-school-math/grade_school_math/data/test.jsonl",
    "banking77/train.csv": "task-specific-datasets/banking_data/train.csv",
    "banking77/test.csv": "task-specific-datasets/banking_data/test.csv",
    "rephrase.jsonl": "llm-decontaminator/data/rephrase/rephrase_gsm8k.jsonl",
}


def descriptions(into: Path) -> dict[str, str]:
    """Package name to description, by apt, with lists of its own."""
    lists = into / "apt"
    (lists / "partial").mkdir(parents=True, exist_ok=True)
    if not list(lists.glob("*Translation-en*")):
        own = ["-o", f"Dir::State::lists={lists.resolve()}", "-o", "Acquire::Languages=en"]
        subprocess.run(["apt-get", "update", "-qq", *own], check=True)
    found: dict[str, str] = {}
    for file in sorted(lists.glob("*Translation-en*")):
        read = subprocess.run(["/usr/lib/apt/apt-helper", "cat-file", str(file)], check=True, capture_output=True)
        for part in read.stdout.decode("utf-8", "replace").split("\n\n"):
            name, body = re.match(r"Package: (\S+)\n", part), part.partition("Description-en:")[2].strip()
            if name and body:
                lines = ("" if line.strip() == "." else line.removeprefix(" ") for line in body.split("\n"))
                found.setdefault(name[1], "\n".join(lines))
    return found


class Editor:
    """Variants of a text, by a seeded chance."""

    def __init__(self, texts: Iterable[str], chance: random.Random) -> None:
        counts = collections.Counter(word for text in texts for word in text.split() if word.isalpha())
        self.words = sorted(word for word, count in counts.items() if count >= 5)
        self.chance = chance

    def edited(self, text: str, share: float) -> str:
        """Some words replaced (60%), left out (25%) or put in (15%)."""
        words = text.split(" ")
        for _ in range(max(1, round(len(words) * share + self.chance.random() * 0.6))):
            place, kind = self.chance.randrange(len(words)), self.chance.random()
            words[place : place + (kind < 0.85)] = [] if 0.6 <= kind < 0.85 and len(words) > 1 else [self.word()]
        return " ".join(words)

    def word(self) -> str:
        """A word of the corpus."""
        return self.chance.choice(self.words)

    def variant(self, text: str, kind: str) -> str:
        """One of `KINDS` of a text."""
        if kind == "near":
            return self.edited(text, self.chance.uniform(0.003, 0.022))
        if kind == "heavy":
            return self.edited(text, self.chance.uniform(0.03, 0.11))
        if kind == "case":
            cased = self.chance.choice((text.upper(), text.lower(), text.title(), text))
            return cased.replace(".", " !") if self.chance.random() < 0.5 else cased.replace(" ", "  ")
        if kind == "order":
            parts = SENTENCE.split(text)
            self.chance.shuffle(parts)
            return " ".join(parts)
        return f"{self.chance.choice(BEFORE)} {text}" if kind == "before" else text


def write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    with path.open("w") as file:
        count = sum(bool(file.write(json.dumps(row, ensure_ascii=False) + "\n")) for row in rows)
    print(f"{path}: {count:,} rows, {path.stat().st_size / 1e6:.1f} MB")


def sentences(texts: Iterable[str]) -> list[str]:
    found = (" ".join(part.split()) for text in texts for part in SENTENCE.split(text))
    return list(dict.fromkeys(part for part in found if len(part) > 25))


def rows(into: Path, count: int) -> None:
    texts, chance = descriptions(into), random.Random(SEED)
    editor, parts = Editor(texts.values(), chance), sentences(texts.values())
    made: list[str] = []

    def some() -> Iterator[dict[str, Any]]:
        for number in range(count):
            kind = chance.choices(list(KINDS), list(KINDS.values()))[0] if number >= 1000 else "new"
            hot = chance.random() < 0.05  # a few rows have very many variants
            text = " ".join(chance.choices(parts, k=chance.randint(2, 6)))
            made.append(text if kind == "new" else editor.variant(made[chance.randrange(400 if hot else number)], kind))
            yield {"id": number, "text": made[-1], "kind": kind}

    write(into / "rows.jsonl", some())


def leaks(into: Path, count: int, items: int = 2000) -> None:
    texts, chance = descriptions(into), random.Random(SEED)
    editor, parts = Editor(texts.values(), chance), sentences(texts.values())
    grams = {name: _grams(text) for name, text in texts.items()}
    seen = collections.Counter(gram for found in grams.values() for gram in found)
    names = [name for name, text in texts.items() if 25 <= len(text.split()) <= 160 and len(grams[name]) > 8]
    chance.shuffle(names)
    shared = {name: sum(seen[gram] > 1 for gram in grams[name]) / len(grams[name]) for name in names}
    alone = [name for name in names if not shared[name]][: items * 4 // 5]
    chosen = alone + [name for name in names if 0.05 < shared[name] <= 0.4][: items - len(alone)]
    test = [_chat(ASKED[i % 3].format(name), texts[name]) for i, name in enumerate(chosen)]
    planted = [(_leak(editor, test[i], LEAKS[i % len(LEAKS)], parts), (i, LEAKS[i % len(LEAKS)])) for i in range(900)]
    others = [name for name in texts if name not in set(chosen)]
    train: list[tuple[dict[str, Any], Any]] = [
        (_chat(chance.choice(ASKED).format(name), texts[name]), None) for name in others[: count - len(planted)]
    ]
    while len(train) < count - len(planted):
        train.append((_chat("Write a description of a program.", " ".join(chance.choices(parts, k=4))), None))
    train += planted
    chance.shuffle(train)
    truth = {where[0]: {"train": i, "kind": where[1]} for i, (_, where) in enumerate(train) if where}
    write(into / "leak_train.jsonl", (row for row, _ in train))
    write(into / "leak_test.jsonl", test)
    (into / "leak_truth.json").write_text(json.dumps(truth))


def _grams(text: str) -> set[int]:
    words = re.findall(r"\w+", text.lower())
    return {hash(tuple(words[i : i + 8])) for i in range(len(words) - 7)}


def _chat(question: str, answer: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]}


def _leak(editor: Editor, row: dict[str, Any], kind: str, parts: list[str]) -> dict[str, Any]:
    """The test item `row` as a train row that leaks it in this way."""
    question, answer = (turn["content"] for turn in row["messages"])
    filler = [" ".join(editor.chance.choices(parts, k=6)) for _ in range(2)]
    words = answer.split()
    first = editor.chance.randrange(max(1, len(words) - 16))
    other = " ".join(SYNONYMS.get(w, w) if editor.chance.random() < 0.9 else w for w in words)
    return {
        "verbatim": lambda: _chat(question, answer),
        "case": lambda: _chat(question.upper(), editor.variant(answer, "case")),
        "near": lambda: _chat(question, editor.variant(answer, "near")),
        "heavy": lambda: _chat(question, editor.variant(answer, "heavy")),
        "paraphrase": lambda: _chat(question, editor.variant(other, "order")),
        "contained": lambda: _chat(f"Summarise this: {filler[0]} {answer} {filler[1]}", "It lists some programs."),
        "answer in prompt": lambda: _chat(f"Context: {answer}\nQuestion: {question}", "See the context."),
        "cross role": lambda: _chat(answer, question),
        "short span": lambda: _chat(
            f"Proofread: {filler[0]} {' '.join(words[first : first + 16])} {filler[1]}", "Fine."
        ),
    }[kind]()


def sets(into: Path, clones: Path) -> None:
    for name, source in SETS.items():
        if not (clones / source).exists():
            print(f"{clones / source} is missing: {name} is not made")
            continue
        (into / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(clones / source, into / name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rows", "leaks", "sets"))
    parser.add_argument("into", type=Path)
    parser.add_argument("clones", type=Path, nargs="?")
    parser.add_argument("--rows", type=int)
    args = parser.parse_args()
    args.into.mkdir(parents=True, exist_ok=True)
    if args.what == "sets":
        return sets(args.into, args.clones or parser.error("sets needs the folder of the clones"))
    return rows(args.into, args.rows or 1_000_000) if args.what == "rows" else leaks(args.into, args.rows or 100_000)


if __name__ == "__main__":
    main()
