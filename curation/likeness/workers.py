"""Rows hashed by other processes (`--workers`) or by a Ray cluster; pairs are judged here.

A file of JSON lines is cut into chunks that can be hashed anywhere; what comes back is 4 bytes a shingle. Ray's nodes
must reach the files under the same path. The outcome is that of one process, row for row.
"""

from __future__ import annotations

import io
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from curation.likeness.fingerprints import Collector, Fingerprints, use_compiled
from curation.likeness.hashing import bytes_key
from curation.rows import Reject, Row
from curation.rows.reading import read_json_lines
from curation.rows.rowfile import RowFile
from workspace.errors import RungError
from workspace.extras import require

SIZE = 1 << 24


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


def collect(files: RowFile, collector: Collector, workers: int | None) -> None:
    """Hash all rows in so many `workers`, or (None) on a Ray cluster: that of `RAY_ADDRESS`, or one started here.

    Rows of files that are not plain JSON lines are hashed here. Raises RungError if Ray is asked for such files, or
    is not installed.
    """
    chunks = chunks_of_files(files)
    if workers is None:
        if chunks is None:
            why = "The Ray engine reads plain files of JSON lines (.jsonl)."
            raise RungError(why, "rung data convert IN -o OUT.jsonl")
        gather(files, collector, _on_ray(chunks))
    elif not chunks:
        collector.add_rows(files.said())
    else:
        with ProcessPoolExecutor(workers) as pool:
            gather(files, collector, pool.map(hash_chunk, chunks))


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
