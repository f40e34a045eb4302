"""Duplicates and leaks from files to files: `rung data dedup` and `rung data leakage`.

A file of JSON lines is cut into chunks that can be hashed by other processes (`--workers`) or a Ray cluster; what comes
back is 4 bytes a shingle, and pairs are judged here. Ray's nodes must reach the files under the same path. The outcome
is that of one process, row for row.
"""

from __future__ import annotations

import io
import json
import time
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from chat.protocols import Embedder
from curation.example import Example
from curation.likeness.duplicates import DedupResult, dedup_prints
from curation.likeness.fingerprints import Collector, Fingerprints, use_compiled
from curation.likeness.hashing import bytes_key
from curation.likeness.join import Method
from curation.likeness.leaks.find import Leak, LeakReport, LeakSearch, without_leaks
from curation.likeness.semantic import Meaning, alike_across
from curation.rows import Columns, Reject, Row, malformed_error, write_rejects
from curation.rows.reading import read_json_lines
from curation.rows.rowfile import Chosen, RowFile
from curation.rows.source import Progress
from workspace.errors import RungError
from workspace.extras import require
from workspace.files import check_outputs, packing
from workspace.json_types import JsonObject

SIZE = 1 << 24
"""Bytes of a chunk."""


@dataclass(frozen=True, slots=True)
class FileChunk:
    """Whole lines of a file: the file's number and path, bytes `start` to `end`, the number of the first line."""

    number: int
    path: Path
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class HashedChunk:
    """The rows of a chunk: lines of canonical rows, other rows, unreadable lines, and all fingerprints."""

    number: int
    items: list[int | Row | Reject]
    prints: Fingerprints


def chunks_of(number: int, path: Path) -> Iterator[FileChunk]:
    """Cut at line ends, about 16 MiB each."""
    start, line, size = 0, 1, path.stat().st_size
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            data = file.read(SIZE)
            data += file.readline() if len(data) == SIZE else b""
            yield FileChunk(number, path, start, start + len(data), line)
            start, line = start + len(data), line + data.count(b"\n")


def hash_chunk(chunk: FileChunk) -> HashedChunk:
    """Read and hash one chunk; keys are the same in every process."""
    with chunk.path.open("rb") as file:
        file.seek(chunk.start)
        data = file.read(chunk.end - chunk.start)
    if chunk.start == 0:
        data = data.removeprefix(b"\xef\xbb\xbf")
    file = io.BufferedReader(io.BytesIO(data))
    collector, items = Collector(use_compiled(1 << 30), bytes_key), list[int | Row | Reject]()
    for block in read_json_lines(file, str(chunk.path), chunk.line):
        collector.add_rows(block.said())
        items += [item.line if isinstance(item, Row) and item.as_is else item for item in block]
    return HashedChunk(chunk.number, items, collector.collected())


def gather(files: RowFile, collector: Collector, blocks: Iterable[HashedChunk]) -> None:
    """Put blocks, which come in input order, where a pass over the files would have put their rows."""
    for block in blocks:
        files.note(block.number, block.items)
        collector.add_prints(block.prints)


def chunks_of_files(files: RowFile) -> list[FileChunk] | None:
    """Return all chunks of all files; None if a file is not one of plain JSON lines, and must be read here."""
    if not all(files.is_lines(number) for number in range(len(files.files))):
        return None
    return [chunk for number, path in enumerate(files.files) for chunk in chunks_of(number, path)]


def _on_ray(chunks: Sequence[FileChunk]) -> Iterator[HashedChunk]:
    """Yield the blocks of the chunks, in their order. Raises RungError if a node does not see a file."""
    ray = require("ray", "ray")
    if not ray.is_initialized():
        ray.init(logging_level="ERROR", log_to_driver=False)
    hash_there = ray.remote(hash_chunk)
    asked = deque((str(chunk.path), hash_there.remote(chunk)) for chunk in chunks)
    while asked:
        path, found = asked.popleft()
        try:
            yield ray.get(found)
        except FileNotFoundError as error:
            raise RungError(
                f"{path}: not there on a node of the Ray cluster.",
                "put it on storage that every node sees under the same path, or --engine local",
                where=path,
            ) from error


@dataclass(frozen=True, slots=True)
class DedupOrder:
    """Options of `rung data dedup`."""

    sources: tuple[Path, ...]
    out: Path
    threshold: float = 0.8
    removed: Path | None = None
    pairs: Path | None = None
    rejects: Path | None = None
    method: Method | None = None
    workers: int = 1
    engine: str = "local"
    sheet: str = ""


def dedup_files(order: DedupOrder, progress: Progress | None = None) -> JsonObject:
    """Run it and write the files; return the report.

    Raises InputError with all line numbers where lines cannot be read and no rejects file was named; then nothing
    is written.
    """
    if not 0 < order.threshold <= 1:
        raise RungError(f"--threshold {order.threshold}: expected a number over 0, at most 1.", "--threshold 0.8")
    check_outputs(order.out, order.removed, order.pairs, order.rejects, inputs=order.sources)
    started = time.monotonic()
    with RowFile(order.sources, columns=Columns(sheet=order.sheet), progress=progress) as files:
        result = _find(order, files)
        if files.rejects and order.rejects is None:
            raise malformed_error(files.rejects)
        _write(order, files, result)
    report = result.report()
    if files.rejects or order.rejects:
        report["read"] = result.read + len(files.rejects)
        report["rejected"] = len(files.rejects)
    return {**report, "seconds": round(time.monotonic() - started, 3)}


def _find(order: DedupOrder, files: RowFile) -> DedupResult:
    """Hash all rows here, in so many workers, or on a Ray cluster: that of `RAY_ADDRESS`, or one started here.

    Rows of files that are not plain JSON lines are hashed here. Raises RungError if Ray is asked for such files, or
    is not installed.
    """
    collector = Collector()
    chunks = chunks_of_files(files) if order.engine == "ray" or order.workers > 1 else []
    if order.engine == "ray":
        if chunks is None:
            why = "The Ray engine reads plain files of JSON lines (.jsonl)."
            raise RungError(why, "rung data convert IN -o OUT.jsonl")
        gather(files, collector, _on_ray(chunks))
    elif chunks:
        with ProcessPoolExecutor(order.workers) as pool:
            gather(files, collector, pool.map(hash_chunk, chunks))
    else:
        collector.add_rows(files.said())
    return dedup_prints(collector.finish(files.fetch), files.fetch, order.threshold, order.method)


def _write(order: DedupOrder, files: RowFile, result: DedupResult) -> None:
    with packing(order.out) as out:
        files.copy(result.keep, out)
    if order.removed is not None:
        _write_lines(order.removed, _removed(files, result))
    if order.pairs is not None:
        _write_lines(order.pairs, _pairs(files, result))
    if order.rejects is not None:
        write_rejects(order.rejects, files.rejects)


def _write_lines(path: Path, documents: Iterable[JsonObject]) -> None:
    with packing(path) as out:
        for document in documents:
            out.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")


def _place(files: RowFile, index: int, of: str = "") -> JsonObject:
    """Return line and file of a row, under names that begin with `of`."""
    file, line = files.where(index)
    return {f"{of}line": line, f"{of}file": file}


def _removed(files: RowFile, result: DedupResult) -> Iterable[JsonObject]:
    for row in result.removed:
        said = {"similarity": round(row.similarity, 6), "kind": row.kind, "answer": "same"}
        via = {} if row.via is None else {"via": _place(files, row.via)}
        yield {**_place(files, row.index), **_place(files, row.kept, "kept_"), **said, **via}


def _pairs(files: RowFile, result: DedupResult) -> Iterable[JsonObject]:
    for pair in result.pairs:
        said = {"similarity": round(pair.similarity, 6), "kind": pair.kind}
        yield {**_place(files, pair.index), **_place(files, pair.other, "other_"), **said}


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """Leaks between two files. `removed`: train rows left out of the clean file, None if no clean file was asked for;
    `meaning`: pairs (train, test) that say the same in other words and are no leaks yet, where that was asked.
    """

    report: LeakReport
    train: RowFile
    test: RowFile
    removed: int | None
    meaning: Meaning | None = None

    def document(self) -> JsonObject:
        """Return the document of `rung data leakage --json`, lists as iterators: an entry is larger than a leak."""
        document: JsonObject = {
            "train": self.report.train,
            "test": self.report.test,
            "leaked_test": self.report.leaked_test,
            "leaks": (self.leak_json(leak) for leak in self.report.shown()),
            "suspects": (self.leak_json(leak) for leak in self.report.suspects),
        }
        if self.removed is not None:
            document["removed"] = self.removed
        if self.meaning is not None:
            document["semantic"] = self.meaning.as_json()
            document["paraphrases"] = (
                {**self._places(row, item), "score": score} for row, item, score in self.meaning.pairs
            )
        return document

    def leak_json(self, leak: Leak) -> JsonObject:
        """Return one leak or suspect, with files and lines."""
        said = {"kind": leak.kind, "answer": leak.answer, "score": leak.score, "evidence": leak.evidence.as_json()}
        return {**self._places(leak.train, leak.test), **said}

    def _places(self, row: int, item: int) -> JsonObject:
        return {**_place(self.test, item, "test_"), **_place(self.train, row, "train_")}


def check_files(
    train: Sequence[Path],
    test: Sequence[Path],
    clean: Path | None = None,
    progress: Progress | None = None,
    embedder: Embedder | None = None,
    semantic_threshold: float | None = None,
) -> LeakCheck:
    """Check train files against test files; with `clean` write the train lines that leak nothing.

    Rows may be unanswered. Raises InputError with all lines that cannot be read.
    """
    check_outputs(clean, inputs=[*train, *test])
    with (
        RowFile(test, unanswered=True) as test_files,
        RowFile(train, unanswered=True, progress=progress) as train_files,
    ):
        items = list(test_files)
        search = LeakSearch(items)
        report = search.find(train_files)
        rejects = [*train_files.rejects, *test_files.rejects]
        if rejects:
            raise malformed_error(rejects, "put the lines right, or leave them out: rung data convert --rejects FILE")
        removed = None if clean is None else _write_clean(clean, train_files, search, report)
        meaning = None if embedder is None else _alike_to_test(embedder, semantic_threshold, train_files, items, report)
        return LeakCheck(report, train_files, test_files, removed, meaning)


def _alike_to_test(
    embedder: Embedder, threshold: float | None, train: RowFile, test: Sequence[Example], report: LeakReport
) -> Meaning:
    """Return pairs of questions with one meaning, but those that are leaks or suspects already."""
    known = {(leak.train, leak.test) for leak in (*report.leaks, *report.suspects)}
    questions = [example.question for example in train]
    found = alike_across(embedder, questions, [example.question for example in test], threshold)
    return replace(found, pairs=[pair for pair in found.pairs if pair[:2] not in known])


def _write_clean(out: Path, train: RowFile, search: LeakSearch, report: LeakReport) -> int:
    """Leave out what leaks; return how many rows went."""
    keep = np.zeros(len(train), np.bool_)
    keep[without_leaks(search, report, lambda places: Chosen(train, array("q", places.tobytes())))] = True
    with packing(out) as file:
        train.copy(keep, file)
    return int((~keep).sum())
