"""Hashes and duplicates against a slow, plain reading of the definitions, on thousands of random small sets.

From files to files: lines byte for byte, every line accounted for, the same outcome by workers and by Ray.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys
import tracemalloc
from collections import Counter
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.sparse.csgraph import connected_components
from tries import tries

from curation.example import Example, chat_row
from curation.likeness import fingerprints
from curation.likeness.duplicates import DedupResult, dedup
from curation.likeness.files import DedupOrder, dedup_files
from curation.likeness.fingerprints import Fingerprinted
from curation.likeness.hashing import BLOCK_CHARS, hash_texts, words_of
from curation.likeness.sets import Sets
from curation.likeness.words import exact, find_template, grams, jaccard, same_answer, shingles, words

WORDS = [*(f"w{i}" for i in range(12)), "left", "right", "not", "10", "-1", "é", "e\u0301", "日本"]
LONG = [f"v{i}" for i in range(40)]


def random_rows(seed: int, size: int) -> list[Example]:
    """Rows made by copying and editing each other, so that clusters, chains and clashes are common."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    while len(rows) < size:
        if rows and rng.random() < 0.75:
            rows.append(edited(rng, rng.choice(rows)))
        elif rng.random() < 0.1:
            rows.append({"text": rng.choice(["", "!", "?", "!!", " ! ", "left right", "Left  RIGHT"])})
        elif rng.random() < 0.2:
            rows.append({"text": sentence(rng)})
        else:
            rows.append(chat_row(sentence(rng), rng.choice(["yes", "no", "1", "-1", sentence(rng)]), "", k=len(rows)))
    return [Example(row) for row in rows]


def sentence(rng: random.Random) -> str:
    pool = WORDS if rng.random() < 0.5 else LONG
    return " ".join(rng.choice(pool) for _ in range(rng.choice([1, 2, 4, 5, 8, 19, 20, 30, 60])))


def edited(rng: random.Random, row: dict[str, Any]) -> dict[str, Any]:
    if "text" in row:
        return {"text": edit(rng, row["text"])}
    messages = [dict(m) for m in row["messages"]]
    place = rng.choice([-2, -2, -1])
    messages[place]["content"] = edit(rng, messages[place]["content"]) or "x"
    if rng.random() < 0.15:
        messages = [{"role": "system", "content": rng.choice(["Be brief.", "Be long."])}, *messages[-2:]]
    out = {**row, "messages": messages}
    if rng.random() < 0.1:
        out["tools"] = [{"name": rng.choice("ab")}]
    return out


def edit(rng: random.Random, text: str) -> str:
    parts = text.split(" ")
    kind = rng.randrange(6)
    if kind == 0:
        return text
    if kind == 1:
        return rng.choice([text.upper(), text + " ", text.replace(" ", "  "), text + ".", text.replace("é", "e\u0301")])
    if kind == 2:
        return " ".join([*parts, rng.choice(WORDS)])
    parts[rng.randrange(len(parts))] = rng.choice(WORDS)
    return " ".join(parts)


class Oracle:
    """Every pair of rows, by the words of the definition."""

    def __init__(self, rows: list[Example], threshold: float) -> None:
        self.rows, self.threshold = rows, threshold
        template = find_template([r.question for r in rows if r.answer is not None])
        self.sets = [
            (found - template) or found if row.answer is not None else found
            for row, found in ((row, shingles(row.question)) for row in rows)
        ]
        edges = np.zeros((len(rows), len(rows)), bool)
        for i, j in combinations(range(len(rows)), 2):
            edges[i, j] = self.is_edge(i, j)
        parts = connected_components(edges, directed=False)[1].tolist() if rows else []
        self.cluster = [parts.index(part) for part in parts]
        self.removed = {
            i: self.cluster[i] for i in range(len(rows)) if self.cluster[i] != i and self.same(i, self.cluster[i])
        }
        stays = [i for i in range(len(rows)) if i not in self.removed]
        self.pairs = {(i, j): kind for i, j in combinations(stays, 2) if (kind := self.kind(i, j))}
        self.clusters = sum(1 for count in Counter(self.cluster).values() if count > 1)

    def exact(self, i: int, j: int) -> bool:
        return exact(self.rows[i].question, self.rows[j].question)

    def near(self, i: int, j: int) -> bool:
        return self.exact(i, j) or jaccard(self.sets[i], self.sets[j]) >= self.threshold

    def same(self, i: int, j: int) -> bool:
        return same_answer(self.rows[i].answer, self.rows[j].answer, self.threshold)

    def is_edge(self, i: int, j: int) -> bool:
        return self.near(i, j) and self.same(i, j) and self.rows[i].context == self.rows[j].context

    def kind(self, i: int, j: int) -> str:
        if self.near(i, j):
            if self.same(i, j):
                return ""
            clash = self.exact(i, j) and self.rows[i].system == self.rows[j].system
            return "contradiction" if clash else "minimal_pair"
        one, other = grams(self.rows[i].question), grams(self.rows[j].question)
        return "short_near" if jaccard(one, other) >= 0.8 else ""


def check(rows: list[Example], threshold: float, result: DedupResult) -> None:
    oracle = Oracle(rows, threshold)
    assert {r.index: r.kept for r in result.removed} == oracle.removed
    assert {(p.index, p.other): p.kind for p in result.pairs} == oracle.pairs
    assert len(result.pairs) == len(oracle.pairs)
    assert result.clusters == oracle.clusters
    assert result.kept == [i for i in range(len(rows)) if i not in oracle.removed]
    for r in result.removed:
        assert (r.kind == "exact") == oracle.exact(r.index, r.kept)
        score = 1.0 if r.kind == "exact" else jaccard(oracle.sets[r.index], oracle.sets[r.kept])
        assert r.similarity == pytest.approx(score)
        assert (r.via is None) == (score >= threshold)
        assert r.via is None or oracle.is_edge(r.via, r.index)
    for p in result.pairs:
        near = jaccard(oracle.sets[p.index], oracle.sets[p.other]) if p.kind != "short_near" else None
        assert near is None or p.similarity == pytest.approx(1.0 if oracle.exact(p.index, p.other) else near)
    report = result.report()
    assert report["read"] == report["kept"] + report["exact"] + report["near"] == len(rows)  # type: ignore[operator]


def same_outcome(one: DedupResult, other: DedupResult) -> None:
    """All but `via`, where any neighbour will do."""
    assert [replace(r, via=None) for r in one.removed] == [replace(r, via=None) for r in other.removed]
    assert one.pairs == other.pairs


@tries(1500)
@given(
    seed=st.integers(0, 1 << 40),
    size=st.integers(0, 24),
    threshold=st.sampled_from([0.5, 0.8, 0.8, 0.9, 1.0]),
)
def test_agrees_with_the_definition(seed: int, size: int, threshold: float) -> None:
    rows = random_rows(seed, size)
    check(rows, threshold, dedup(rows, threshold))


@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_a_template_and_compiled(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shared instruction in the user message; numba's code and numpy's find the same, however few rows at once."""
    monkeypatch.setattr(fingerprints, "ROWS_AT_ONCE", 40)
    rng = random.Random(seed)
    instruction = "Read the message of our customer and name the one intent that fits it best of all: "
    rows = []
    for row in random_rows(seed, 150):
        if row.answer is not None and rng.random() < 0.8:
            messages = [dict(m) for m in row.messages]
            messages[-2]["content"] = instruction + messages[-2]["content"]
            row = Example({**row.row, "messages": messages})
        rows.append(row)
    result = dedup(rows)
    assert result.template.startswith(instruction.lower().rstrip(": "))
    check(rows, 0.8, result)
    same_outcome(dedup(rows, numba=True, method="exact"), result)


def test_minhash_gives_what_the_exact_join_gives() -> None:
    rows = random_rows(11, 1200)
    exact_join, bands = dedup(rows, method="exact"), dedup(rows, method="minhash")
    shared = {(r.index, r.kept) for r in exact_join.removed} & {(r.index, r.kept) for r in bands.removed}
    assert len(shared) >= 0.98 * len(exact_join.removed) > 200
    same_outcome(dedup(rows, method="minhash", numba=True), bands)


def test_a_reviewed_row_stays_before_an_earlier_one() -> None:
    rows = [Example(chat_row(f"one two three four five six {end}", "yes")) for end in ("", ".", "!")]
    assert dedup(rows).kept == [0]
    assert dedup(rows, reviewed=[False, False, True]).kept == [2]


def test_rows_whose_fingerprints_are_shared_give_what_the_rows_alone_give() -> None:
    """Half the rows have an instruction in common: it is a template of some selections and not of others."""
    rows, rng = random_rows(1, 120), random.Random(1)
    for at in range(0, 120, 2):
        asked = "Answer the following question in one word: " + rows[at].question
        rows[at] = Example(chat_row(asked, rows[at].answer or "yes", ""))
    known, more = Fingerprinted(rows), random_rows(101, 30)
    for size in (0, 1, 40, 90, 120):
        some = sorted(rng.sample(range(120), size))
        same_outcome(dedup(known.take(some)), dedup([rows[place] for place in some]))
    same_outcome(dedup(known.followed_by(more)), dedup([*rows, *more]))


def random_lines(seed: int, size: int) -> list[bytes]:
    rng = random.Random(seed)
    words = [f"word{i}" for i in range(60)]
    texts: list[str] = []
    lines = []
    for number in range(size):
        parts = (
            rng.choice(texts).split(" ") if texts and rng.random() < 0.5 else rng.choices(words, k=rng.choice([3, 30]))
        )
        if rng.random() < 0.5:
            parts[rng.randrange(len(parts))] = rng.choice(words)
        texts.append(" ".join(parts))
        row = chat_row(texts[-1], rng.choice(["yes", "no", "é"]), rng.choice(["", "Be brief."]), id=number)
        lines.append(json.dumps(row, ensure_ascii=rng.random() < 0.5).encode() + rng.choice([b"", b"", b"\r", b" "]))
    return lines


def run(folder: Path, *sources: Path, **other: Any) -> tuple[dict[str, Any], list[bytes]]:
    folder.mkdir(exist_ok=True)
    files = {name: folder / f"{name}.jsonl" for name in ("out", "removed", "pairs")}
    report = dedup_files(DedupOrder(sources, **files, **other))
    report.pop("seconds")
    return report, [file.read_bytes() for file in files.values()]


@pytest.fixture
def two_files(tmp_path: Path) -> tuple[Path, Path]:
    """Two files with a BOM, blank lines, CRLF and no line feed at the end."""
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    lines = random_lines(1, 400)
    one.write_bytes(b"\xef\xbb\xbf" + b"\n".join([*lines[:100], b"", b"  ", *lines[100:200]]))
    two.write_bytes(b"\n".join(lines[200:]) + b"\n")
    return one, two


def test_every_line_is_kept_or_removed_and_workers_give_the_same_bytes(
    two_files: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report, (out, removed, pairs) = run(tmp_path / "o", *two_files)
    lines = {str(path): path.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n") for path in two_files}
    gone = {(row["file"], row["line"]) for row in map(json.loads, removed.splitlines())}
    kept = [
        line
        for file, all_lines in lines.items()
        for number, line in enumerate(all_lines, 1)
        if line.strip() and (file, number) not in gone
    ]
    assert out == b"\n".join(kept) + b"\n"
    assert report["read"] == 400 == report["kept"] + report["exact"] + report["near"] == len(kept) + len(gone)
    for row in map(json.loads, removed.splitlines()):
        assert (row["kept_file"], row["kept_line"]) not in gone and row["answer"] == "same"
        assert row["similarity"] >= 0.8 or row["via"]["line"]
    assert (
        report
        == dedup([Example(json.loads(line)) for every in lines.values() for line in every if line.strip()]).report()
    )
    found = [row["kind"] for row in map(json.loads, pairs.splitlines())]
    assert len(found) == report["contradictions"] + report["minimal_pairs"] + report["short_near"] > 0
    monkeypatch.setattr("curation.likeness.files.SIZE", 5000)
    assert run(tmp_path / "w", *two_files, workers=2) == (report, [out, removed, pairs])


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the ray extra")
def test_ray_on_two_nodes_gives_the_same_bytes(two_files: tuple[Path, Path], tmp_path: Path) -> None:
    """A cluster of two nodes on this machine; rows are read and hashed by both."""
    script = tmp_path / "ray_run.py"
    script.write_text(
        "import json, sys\n"
        "from pathlib import Path\n"
        "import time\n"
        "import ray\n"
        "from ray._private import services\n"
        "from ray.cluster_utils import Cluster\n"
        "import curation.likeness.files\n"
        "from curation.likeness.files import DedupOrder, dedup_files\n"
        "from workspace.errors import RungError\n"
        "curation.likeness.files.SIZE = 5000\n"
        "once = services.get_node\n"
        "def patient(*asked):  # Ray gives a node 30 s to start, whatever its settings: a busy machine takes longer\n"
        "    for _ in range(200):\n"
        "        try:\n"
        "            return once(*asked)\n"
        "        except RuntimeError:\n"
        "            time.sleep(1)\n"
        "    return once(*asked)\n"
        "services.get_node = patient\n"
        "cluster = Cluster(initialize_head=True, head_node_args={'num_cpus': 1, 'wait': False})\n"
        "cluster.add_node(num_cpus=1, wait=False)\n"
        "cluster.wait_for_nodes(timeout=300)  # `wait` gives them 30 s\n"
        "ray.init(address=cluster.address, log_to_driver=False)\n"
        "assert len([n for n in ray.nodes() if n['Alive']]) == 2\n"
        "out, *sources = map(Path, sys.argv[1:])\n"
        "order = DedupOrder(tuple(sources), out / 'out.jsonl', removed=out / 'removed.jsonl',\n"
        "              pairs=out / 'pairs.jsonl',\n"
        "              engine='ray')\n"
        "report = dedup_files(order)\n"
        "gone = out / 'gone.jsonl'\n"
        "gone.write_bytes(sources[0].read_bytes())\n"
        "chunks = list(curation.likeness.files.chunks_of(0, gone))\n"
        "gone.unlink()\n"
        "try:\n"
        "    list(curation.likeness.files._on_ray(chunks))\n"
        "except RungError as error:  # a node that does not see the file\n"
        "    report['where'] = error.where\n"
        "print(json.dumps(report), flush=True)\n"
        "ray.shutdown()\n"
        "cluster.shutdown()\n"
    )
    alone = run(tmp_path / "a", *two_files)
    out = tmp_path / "b"
    out.mkdir()
    root = Path(__file__).parents[2]
    patience = {"RAY_NUM_REDIS_GET_RETRIES": "200"}  # seconds, about, for the head to answer: Ray waits 20
    environment = {**os.environ, **patience, "PYTHONPATH": str(root), "RAY_DEDUP_LOGS": "0"}
    command = [sys.executable, script, out, *two_files]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.strip().splitlines()[-1])
    report.pop("seconds")
    assert report.pop("where") == str(out / "gone.jsonl")
    assert (report, [(out / f"{name}.jsonl").read_bytes() for name in ("out", "removed", "pairs")]) == alone


ALPHABET = "ab C1_ .,\n\té\u0301\u0301ßIİKſไทย\u0e31日本カ\u3099ー_٣न\u093f\u200d\U0001f600\U00020000"
text = st.one_of(
    st.text(alphabet=ALPHABET, max_size=30),
    st.text(max_size=20),
    st.lists(st.sampled_from(["a", "b", "cc", "dog", "Dog", "x1", "left", "é"]), max_size=40).map(" ".join),
)
paths = pytest.mark.parametrize("compiled", [False, True], ids=["plain", "numba"])


def same_partition(found: Sets, plain: list[frozenset[str]]) -> None:
    """Each hashed set has the size of the plain one, and any two share as many members."""
    ends = zip(found.starts[:-1], found.starts[1:], strict=True)
    pairs = list(zip((set(found.hashes[a:b].tolist()) for a, b in ends), plain, strict=True))
    for i, (hashed, said) in enumerate(pairs):
        assert len(hashed) == len(said)
        assert all(len(hashed & other) == len(said & another) for other, another in pairs[i + 1 :])


@paths
@tries(400)
@example(texts=["one two three four five"])
@given(texts=st.lists(text, max_size=8))
def test_hashes_are_the_sets_of_the_definition(compiled: bool, texts: list[str]) -> None:
    found = hash_texts(texts, compiled=compiled)
    cut = words_of(texts, compiled=compiled)
    assert cut.sizes.tolist() == [len(words(t)) for t in texts]
    np.testing.assert_array_equal(cut.hashes, words_of(texts, compiled=not compiled).hashes)
    same_partition(found.shingles, [shingles(t) for t in texts])
    same_partition(found.grams, [grams(t) for t in texts])
    for i, one in enumerate(texts):
        for j, other in enumerate(texts):
            assert (found.exact[i] == found.exact[j]) == exact(one, other)


def test_a_line_longer_than_a_block_takes_memory_of_its_own_size() -> None:
    rng = np.random.default_rng(8)
    words = np.array([f"w{k}" for k in range(50_000)], object)
    line = " ".join(words[rng.integers(0, 50_000, 200_000)].tolist())
    tracemalloc.start()
    one = hash_texts([line, "another one"])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(line) > BLOCK_CHARS
    assert peak < 40 * len(line)
    two = hash_texts([line, "another one"], compiled=True)
    np.testing.assert_array_equal(np.sort(one.shingles.hashes), np.sort(two.shingles.hashes))
    assert len({*one.exact.tolist()}) == len({*two.exact.tolist()}) == 2
