"""The contenders of `dedup.py`: what each does with a file or with texts in memory, once its compiled code is loaded.

A contender gives the work that is measured; the work gives the cluster of each row, where it has clusters, and the
number of rows that stay.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

THRESHOLD, PERMUTATIONS = 0.8, 128


def questions(path: Path, rows: int | None = None) -> list[str]:
    out = []
    with path.open() as file:
        for line in file:
            row = json.loads(line)
            out.append(row["text"] if "text" in row else "\n".join(m["content"] for m in row["messages"][:-1]))
            if len(out) == rows:
                break
    return out


def shingles(text: str) -> set[str]:
    words = re.findall(r"\w+", text.lower())
    return {" ".join(words[i : i + 5]) for i in range(max(1, len(words) - 4))} if words else set()


Work = Callable[[], tuple[Any, int]]


def rung(method: str, numba: bool) -> Callable[[Path, Any], Work]:
    def contender(path: Path, _: Any) -> Work:
        from curation.example import Example
        from curation.likeness.duplicates import dedup, dedup_prints
        from curation.likeness.fingerprints import Collector
        from curation.rows.rowfile import RowFile

        few = [Example({"text": f"row {i} é of a few that load the code once"}) for i in range(40)]
        few += [
            Example({"text": "one more row that is near the others of its kind here today " + "x" * (i % 3)})
            for i in range(9)
        ]
        few += [Example({"text": example.question.replace("é", "e")}) for example in few]
        for _ in range(2):
            dedup(few, method=method, numba=numba).report()  # type: ignore[arg-type]

        def work() -> tuple[Any, int]:
            with RowFile([path]) as files, tempfile.TemporaryFile() as out:
                collector = Collector(numba)
                collector.add_rows(files.said())
                result = dedup_prints(collector.finish(files.fetch), files.fetch, THRESHOLD, method, None, numba)  # type: ignore[arg-type]
                files.copy(result.keep, out)
                return result.cluster_of, int(result.keep.sum())

        return work

    return contender


def datasketch_plain(_: Path, texts: list[str]) -> Work:
    from datasketch import MinHash, MinHashLSH

    def work() -> tuple[Any, int]:
        index, joined = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS), Joined(len(texts))
        for number, text in enumerate(texts):
            sketch = MinHash(num_perm=PERMUTATIONS)
            for shingle in shingles(text):
                sketch.update(shingle.encode())
            for other in index.query(sketch):
                joined.join(number, other)
            index.insert(number, sketch)
        return joined.result()

    return work


def datasketch_bulk(_: Path, texts: list[str]) -> Work:
    from datasketch import MinHash, MinHashLSH

    def work() -> tuple[Any, int]:
        index, joined = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS), Joined(len(texts))
        sets = ([s.encode() for s in shingles(text)] for text in texts)
        for number, sketch in enumerate(MinHash.generator(sets, num_perm=PERMUTATIONS)):
            for other in index.query(sketch):
                joined.join(number, other)
            index.insert(number, sketch)
        return joined.result()

    return work


def rensa_query(_: Path, texts: list[str]) -> Work:
    import rensa

    def work() -> tuple[Any, int]:
        joined = Joined(len(texts))
        sketches = rensa.RMinHash.from_token_sets([shingles(text) for text in texts], PERMUTATIONS, 42)
        index = rensa.RMinHashLSH(THRESHOLD, PERMUTATIONS, 16)
        index.insert_many(sketches)
        for number, (sketch, found) in enumerate(zip(sketches, index.query_all(sketches), strict=True)):
            for other in found:
                if other < number and sketch.jaccard(sketches[other]) >= THRESHOLD:
                    joined.join(number, other)
        return joined.result()

    return work


def semhash(_: Path, texts: list[str]) -> Work:
    """With the embedding that wordllama's wheel holds: its own default is fetched from the hub."""
    import wordllama
    from semhash import SemHash

    class Packaged:
        model = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent)

        def encode(self, texts: Any, **_: Any) -> Any:
            return self.model.embed(list(texts), norm=True)

    def work() -> tuple[Any, int]:
        found = SemHash.from_records(texts, model=Packaged())
        return None, len(found.self_deduplicate(threshold=0.95).selected)

    return work


def text_dedup(path: Path, texts: list[str]) -> Work:
    def work() -> tuple[Any, int]:
        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder) / "rows.jsonl"
            rows.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
            command = [sys.executable, "-m", "text_dedup.minhash", "--path", "json", "--data_files", str(rows)]
            command += ["--split", "train", "--column", "text", "--output", f"{folder}/out", "--num_perm", "128"]
            command += ["--threshold", str(THRESHOLD), "--ngram", "5", "--num_proc", "1", "--cache_dir", folder]
            subprocess.run(command, check=True, capture_output=True)
            import datasets

            return None, len(datasets.load_from_disk(f"{folder}/out"))

    return work


def datatrove(path: Path, texts: list[str]) -> Work:
    from datatrove.data import Document
    from datatrove.pipeline.dedup import (
        MinhashDedupBuckets,
        MinhashDedupCluster,
        MinhashDedupFilter,
        MinhashDedupSignature,
    )
    from datatrove.pipeline.dedup.minhash import MinhashConfig

    def work() -> tuple[Any, int]:
        with tempfile.TemporaryDirectory() as folder:
            config = MinhashConfig(num_buckets=16, hashes_per_bucket=8, n_grams=5)
            documents = lambda: (Document(text=text, id=str(i)) for i, text in enumerate(texts))  # noqa: E731
            MinhashDedupSignature(f"{folder}/s", config).run(documents(), 0, 1)
            for bucket in range(16):
                MinhashDedupBuckets(f"{folder}/s", f"{folder}/b", config=config).run(None, bucket, 16)
            MinhashDedupCluster(f"{folder}/b", f"{folder}/r", config=config).run(None, 0, 1)
            return None, sum(1 for _ in MinhashDedupFilter(f"{folder}/r").run(documents(), 0, 1))

    return work


class Joined:
    """Union-find for the peers that only propose pairs."""

    def __init__(self, count: int) -> None:
        self.parent = list(range(count))

    def root(self, node: int) -> int:
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def join(self, one: int, other: int) -> None:
        a, b = self.root(one), self.root(other)
        self.parent[max(a, b)] = min(a, b)

    def result(self) -> tuple[Any, int]:
        labels = [self.root(node) for node in range(len(self.parent))]
        return labels, len(set(labels))


CONTENDERS: dict[str, tuple[Callable[[Path, Any], Work], tuple[str, ...], bool]] = {
    "rung": (rung("minhash", True), ("numba",), False),
    "rung --exact": (rung("exact", True), ("numba",), False),
    "rung, nothing compiled": (rung("minhash", False), (), False),
    "datasketch, plain": (datasketch_plain, ("datasketch",), True),
    "datasketch, bulk": (datasketch_bulk, ("datasketch",), True),
    "rensa, query + verify": (rensa_query, ("rensa",), True),
    "text-dedup": (text_dedup, ("text_dedup", "datasets"), True),
    "datatrove": (datatrove, ("datatrove", "spacy"), True),
    "semhash, 0.95": (semhash, ("semhash", "wordllama"), True),
}
