"""Dedup from files to files: the kept lines byte for byte, and where the others went."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chat.protocols import Embedder
from curation.dedup import DedupResult, dedup_prints
from curation.formats import malformed_error, write_rejects
from curation.join import Method
from curation.prints import Collector
from curation.rowfiles import Progress, RowFiles
from curation.semantic import MOST, Meaning, alike_within
from workspace.errors import RungError
from workspace.files import check_outputs, replacing


@dataclass(frozen=True, slots=True)
class Order:
    """What `rung data dedup` was asked for."""

    sources: tuple[Path, ...]
    out: Path
    threshold: float = 0.8
    removed: Path | None = None
    pairs: Path | None = None
    rejects: Path | None = None
    method: Method | None = None
    workers: int = 1
    engine: str = "local"
    embedder: Embedder | None = None
    semantic_threshold: float | None = None


def dedup_files(order: Order, progress: Progress | None = None) -> dict[str, Any]:
    """Run it and write the files; return the report.

    Raises InputError with all line numbers where lines cannot be read and no rejects file was named; then nothing
    is written.
    """
    if not 0 < order.threshold <= 1:
        raise RungError(f"--threshold {order.threshold}: expected a number over 0, at most 1.", "--threshold 0.8")
    check_outputs(order.out, order.removed, order.pairs, order.rejects, inputs=order.sources)
    started = time.monotonic()
    with RowFiles(order.sources, progress=progress) as files:
        result = _find(order, files)
        meaning = None if order.embedder is None else _alike(order, order.embedder, files, result)
        if files.rejects and order.rejects is None:
            raise malformed_error(files.rejects)
        _write(order, files, result, meaning)
    report = result.report()
    if meaning is not None:
        report["paraphrases"] = len(meaning.pairs)
        report["semantic"] = meaning.as_json()
    if files.rejects or order.rejects:
        report["read"] = result.read + len(files.rejects)
        report["rejected"] = len(files.rejects)
    return {**report, "seconds": round(time.monotonic() - started, 3)}


def _find(order: Order, files: RowFiles) -> DedupResult:
    collector = Collector()
    _collect(order, files, collector)
    return dedup_prints(collector.finish(files), files, order.threshold, order.method)


def _collect(order: Order, files: RowFiles, collector: Collector) -> None:
    """Take all rows' fingerprints: here, in other processes, or on a Ray cluster."""
    if order.engine == "ray":
        from curation.scale import collect_with_ray

        return collect_with_ray(files, collector)
    if order.workers > 1:
        from curation.chunks import chunks_of_files, collect_with_workers

        if chunks := chunks_of_files(files):
            return collect_with_workers(files, collector, chunks, order.workers)
    for part in files.scanned(collector.compiled):
        collector.add_part(part)
    return None


def _alike(order: Order, embedder: Embedder, files: RowFiles, result: DedupResult) -> Meaning:
    """Pairs of kept rows that ask the same in other words, by their places among all rows."""
    if len(result.kept) > MOST:
        raise RungError(f"--semantic compares up to {MOST:,} kept rows; these are {len(result.kept):,}.", "use a part")
    texts = [example.question for example in files.fetch(result.kept)]
    found = alike_within(embedder, texts, order.semantic_threshold)
    known = {(pair.index, pair.other) for pair in result.pairs}
    pairs = [(result.kept[a], result.kept[b], score) for a, b, score in found.pairs]
    return replace(found, pairs=[pair for pair in pairs if pair[:2] not in known])


def _write(order: Order, files: RowFiles, result: DedupResult, meaning: Meaning | None) -> None:
    with replacing(order.out) as out:
        files.copy(result.keep, out)
    if order.removed is not None:
        _write_lines(order.removed, _removed(files, result))
    if order.pairs is not None:
        _write_lines(order.pairs, [*_pairs(files, result), *_paraphrases(files, meaning)])
    if order.rejects is not None:
        write_rejects(order.rejects, files.rejects)


def _write_lines(path: Path, documents: Iterable[dict[str, Any]]) -> None:
    with replacing(path) as out:
        for document in documents:
            out.write(json.dumps(document, ensure_ascii=False).encode() + b"\n")


def _removed(files: RowFiles, result: DedupResult) -> Iterable[dict[str, Any]]:
    for row in result.removed:
        file, line = files.where(row.index)
        kept_file, kept_line = files.where(row.kept)
        document: dict[str, Any] = {
            "line": line, "file": file, "kept_line": kept_line, "kept_file": kept_file,
            "similarity": round(row.similarity, 6), "kind": row.kind, "answer": "same",
        }  # fmt: skip
        if row.via is not None:
            via_file, via_line = files.where(row.via)
            document["via"] = {"line": via_line, "file": via_file}
        yield document


def _pairs(files: RowFiles, result: DedupResult) -> Iterable[dict[str, Any]]:
    for pair in result.pairs:
        file, line = files.where(pair.index)
        other_file, other_line = files.where(pair.other)
        yield {
            "line": line, "file": file, "other_line": other_line, "other_file": other_file,
            "similarity": round(pair.similarity, 6), "kind": pair.kind,
        }  # fmt: skip


def _paraphrases(files: RowFiles, meaning: Meaning | None) -> Iterable[dict[str, Any]]:
    for index, other, score in meaning.pairs if meaning else ():
        file, line = files.where(index)
        other_file, other_line = files.where(other)
        yield {
            "line": line, "file": file, "other_line": other_line, "other_file": other_file,
            "similarity": score, "kind": "paraphrase",
        }  # fmt: skip
