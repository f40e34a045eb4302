"""Every quality check on planted faults, and what they say of real sets: the tables of docs/measured.md.

    python benchmarks/checks.py [FOLDER] [--quick]

FOLDER holds banking77/{train,test}.csv, icd10cm/icd10cm_chat.jsonl and gsm8k/{train,test}.jsonl, those that
are there; without it only the synthetic corpora are used. Ten seeds a corpus, two with --quick.
"""

from __future__ import annotations

import csv
import json
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "shared"), str(ROOT / "tests" / "curation")]

import planted  # noqa: E402

from curation.checks.base import Subject  # noqa: E402
from curation.checks.label_noise import doubted  # noqa: E402
from curation.checks.private import Names, name_finder  # noqa: E402
from curation.checks.run import check_files  # noqa: E402
from curation.example import Example, chat_row  # noqa: E402
from workspace.errors import RungError  # noqa: E402

REAL = (
    ("banking77", ("banking77/train.csv", "banking77/test.csv")),
    ("ICD-10-CM", ("icd10cm/icd10cm_chat.jsonl",)),
    ("gsm8k", ("gsm8k/train.jsonl", "gsm8k/test.jsonl")),
)


def main() -> None:
    seeds = range(2 if "--quick" in sys.argv else 10)
    folder = next((Path(word) for word in sys.argv[1:] if not word.startswith("-")), None)
    show("Faults in single rows", row_table(seeds))
    show("Pairs of rows", pair_table(seeds))
    show("Sets as a whole", set_table(seeds))
    if folder:
        show("Flipped labels in real sets", label_table(folder, range(min(3, len(seeds)))))
        show("Real sets as they are", real_table(folder))


def show(title: str, lines: Iterable[str]) -> None:
    print(f"### {title}\n", flush=True)
    for line in lines:
        print(line, flush=True)
    print()


def row_table(seeds: range) -> Iterator[str]:
    yield "| check | planted | found | recall | false alarms |"
    yield "|---|---|---|---|---|"
    for name in planted.CASES:
        yield counted(name, [planted.measured(name, seed, 1000) for seed in seeds])
    noisy = [planted.noisy(seed) for seed in seeds]
    yield counted("label_noise", [(found, there, false, rows - there) for found, there, false, _, rows in noisy])
    try:
        find = name_finder()
    except RungError as error:
        print(f"names: not measured. {error}", file=sys.stderr)
        return
    yield counted("names", [with_names(find, seed) for seed in seeds])


NAMES = [
    "Maria Gonzalez", "John Smith", "Aisha Khan", "Wei Zhang", "Priya Sharma", "Lukas Meyer", "Fatima Al-Sayed",
    "Olga Petrova", "Kofi Mensah", "Sofia Rossi", "James O'Brien", "Yuki Tanaka", "Ana Silva", "Peter Novak",
    "Chloe Martin", "David Cohen", "Emma Johansson", "Ravi Patel", "Grace Okafor", "Daniel Kim",
]  # fmt: skip
CARRIERS = [
    "My name is {x} and my card is lost.",
    "Please call {x} about the open invoice.",
    "Dr. {x} prescribed the new tablets yesterday.",
    "I spoke to {x} at the desk this morning.",
    "The parcel for {x} has not arrived yet.",
]
NAMELESS = [
    "My card was lost on the way to Berlin on Monday.",
    "Alzheimer disease with late onset, Parkinson disease excluded.",
    "The Apple Pay top up was reverted by the bank.",
    "Type 2 diabetes mellitus with hyperglycemia.",
    "May I use Visa and Mastercard in Paris in April?",
]


def with_names(find, seed, count=200):
    """Found, planted, false and sound: half of the rows name a person in an ordinary sentence."""
    rng = random.Random(seed)
    rows, chosen = [], set()
    for i in range(count):
        if rng.random() < 0.5:
            chosen.add(i)
            rows.append(planted.row(rng.choice(CARRIERS).format(x=rng.choice(NAMES)), "it is done"))
        else:
            rows.append(planted.row(rng.choice(NAMELESS), "it is done"))
    check = Names(find)
    for i, each in enumerate(rows):
        check.see(Subject(Example(each), "rows.jsonl", i + 1, id=f"r-{i}"))
    found = {int(each.removeprefix("r-")) for each in check.pile.ids}
    return len(found & chosen), len(chosen), len(found - chosen), count - len(chosen)


def counted(name: str, counts: list[tuple[int, int, int, int]]) -> str:
    found, there, false, sound = (sum(column) for column in zip(*counts, strict=True))
    return f"| {name} | {there:,} | {found:,} | {found / there:.3f} | {false:,} of {sound:,} |"


def pair_table(seeds: range) -> Iterator[str]:
    """Copies and contradictions through `check_files`, malformed lines among them; minimal pairs are the decoys."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            counts.update(pairs_once(Path(folder) / "rows.jsonl", seed))
    yield "| check | planted | found | recall | false alarms |"
    yield "|---|---|---|---|---|"
    for name in ("exact", "near", "contradiction", "malformed"):
        there, found = counts[f"{name} planted"], counts[f"{name} found"]
        yield f"| {name} | {there:,} | {found:,} | {found / there:.3f} | {counts[name]:,} of {counts['sound']:,} |"


def pairs(seed: int, count: int = 400) -> tuple[list[dict], dict[str, set[int]]]:
    """Rows, and by kind the indices that are a copy (exact, near), the second of a contradiction, or neither.

    A near copy has one word more; a minimal pair one word more and another answer; signs and numbers make others.
    """
    rng = random.Random(seed)
    rows = [planted.row(planted.prose(rng, 3), planted.prose(rng, 1)) for _ in range(count)]
    truth: dict[str, set[int]] = {kind: set() for kind in ("exact", "near", "contradiction", "minimal pair")}
    for source in rng.sample(range(count), count // 5):
        question, answer = (m["content"] for m in rows[source]["messages"])
        kind = rng.choice(sorted(truth))
        longer = (
            f"{question} today"
            if kind in ("near", "minimal pair")
            else question.upper()
            if kind == "exact"
            else question
        )
        truth[kind].add(len(rows))
        rows.append(planted.row(longer, answer if kind in ("exact", "near") else f"{answer} Not so."))
    return rows, truth


def malformed_lines(seed: int) -> list[bytes]:
    """Lines of twelve kinds that are no rows, in an order drawn by seed."""
    sound = json.dumps(planted.row("what is it", "this"))
    lines = [
        b"{nope",
        sound[:-1].encode(),
        (sound + " x").encode(),
        sound.replace('"what', '"\\ud800').encode(),
        sound.replace('"what', '"\\u0000').encode(),
        sound.encode().replace(b"what", b"\xff\xfe"),
        (sound[:-1] + ', "n": NaN}').encode(),
        (sound[:-1] + ', "n": 1, "n": 2}').encode(),
        sound.replace('"this"', '""').encode(),
        sound.replace('"user"', '"usr"').encode(),
        sound.replace('"messages"', '"mesages"').encode(),
        b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ]
    random.Random(seed).shuffle(lines)
    return lines


def pairs_once(path: Path, seed: int) -> Counter[str]:
    rows, truth = pairs(seed)
    faulty = malformed_lines(seed)
    path.write_bytes(b"".join(json.dumps(each).encode() + b"\n" for each in rows) + b"\n".join(faulty) + b"\n")
    found = {finding.name: finding for finding in check_files([path]).findings}
    line = [int(e.places[0].rpartition(":")[2]) - 1 for e in found["duplicates"].evidence]
    kind = [e.note.split(",")[0] for e in found["duplicates"].evidence]
    second = {int(e.places[1].rpartition(":")[2]) - 1 for e in found["contradictions"].evidence}
    told = {name: {i for i, k in zip(line, kind, strict=True) if k == name} for name in ("exact", "near")}
    told["contradiction"] = second
    counts = Counter({"sound": len(rows) - sum(map(len, truth.values()))})
    for name, rows_told in told.items():
        counts[f"{name} planted"], counts[f"{name} found"] = len(truth[name]), len(rows_told & truth[name])
        counts[name] = len(rows_told - truth[name])
    bad = {int(e.places[0].rpartition(":")[2]) for e in found["malformed"].evidence}
    lines = set(range(len(rows) + 1, len(rows) + len(faulty) + 1))
    counts["malformed planted"], counts["malformed found"] = len(lines), len(bad & lines)
    counts["malformed"] = found["malformed"].rows - len(bad & lines)
    return counts


def set_table(seeds: range) -> Iterator[str]:
    yield "| check | sets with the fault | told | sets without | told |"
    yield "|---|---|---|---|---|"
    for name in planted.SETS:
        told, there, false, sound = planted.judged(name, seeds)
        yield f"| {name} | {there} | {told} | {sound} | {false} |"


def label_table(folder: Path, seeds: range) -> Iterator[str]:
    """A share of the labels flipped at random; errors of the set itself count as false."""
    yield "| set | classes | rows | flipped | found | recall | precision | told without any flip |"
    yield "|---|---|---|---|---|---|---|---|"
    for name, rows in labelled_sets(folder):
        labels = sorted({label for _, label in rows})
        for share in (0.02, 0.05, 0.1):
            there = told = hits = 0
            for seed in seeds:
                rng = random.Random(100 + seed)
                flipped = {i for i in range(len(rows)) if rng.random() < share}
                given = [
                    (q, rng.choice([x for x in labels if x != label]) if i in flipped else label)
                    for i, (q, label) in enumerate(rows)
                ]
                found = doubts(given)
                there, told, hits = there + len(flipped), told + len(found), hits + len(found & flipped)
            quiet = f"{len(doubts(rows))}" if share == 0.05 else ""
            yield (
                f"| {name}, {share:.0%} | {len(labels)} | {len(rows):,} | {there:,} | {hits:,} "
                f"| {hits / there:.3f} | {hits / max(1, told):.3f} | {quiet} |"
            )


def doubts(rows: list[tuple[str, str]]) -> set[int]:
    counts = Counter(label for _, label in rows)
    sound = [(i, q, label) for i, (q, label) in enumerate(rows) if counts[label] >= 5]
    subjects = [(Subject(Example(chat_row(q, label)), "rows", i), label) for i, q, label in sound]
    return {subject.line for subject, *_ in doubted(subjects, 13)}


def labelled_sets(folder: Path) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    for part in ("train", "test"):
        path = folder / "banking77" / f"{part}.csv"
        if path.is_file():
            with path.open(newline="") as file:
                yield f"banking77 {part}", [(row["text"], row["category"]) for row in csv.DictReader(file)]
    path = folder / "icd10cm" / "icd10cm_chat.jsonl"
    if path.is_file():
        codes = [json.loads(line) for line in path.read_text().splitlines()]
        for title, length in (("letter", 1), ("letter and digit", 2), ("category", 3)):
            rows = [(row["messages"][-2]["content"], row["meta"]["code"][:length]) for row in codes]
            counts = Counter(label for _, label in rows)
            yield f"ICD-10-CM, {title}", [row for row in rows if counts[row[1]] >= 5]


def real_table(folder: Path) -> Iterator[str]:
    yield "| set | rows | seconds | findings (rows) |"
    yield "|---|---|---|---|"
    for name, files in REAL:
        paths = [folder / file for file in files if (folder / file).is_file()]
        if paths:
            found = check_files(paths)
            told = ", ".join(f"{finding.name} {finding.rows:,}" for finding in found.findings) or "nothing"
            yield f"| {name} | {found.read:,} | {found.seconds:.0f} | {told} |"


if __name__ == "__main__":
    main()
