"""A file of JSON lines in chunks that can be hashed anywhere: in other processes, on other machines."""

from __future__ import annotations

import json
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from curation.example import Example
from curation.formats import Reject
from curation.prints import Collector, use_compiled
from curation.quickrows import read_chunk
from curation.rowfiles import RowFiles
from curation.sets import U64
from curation.shingling import Hashed, bytes_key, hash_texts

SIZE = 1 << 24


@dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines of a file: the file's number and path, bytes `start` to `end`, the number of the first line."""

    number: int
    path: Path
    start: int
    end: int
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """The rows of a chunk: the line of each, lines that cannot be read, and the fingerprints."""

    number: int
    lines: array[int]
    rejects: list[Reject]
    hashed: Hashed
    answers: U64
    contexts: U64
    systems: U64


def chunks_of(number: int, path: Path) -> Iterator[Chunk]:
    """Cut at line ends, about 16 MiB each."""
    start, line, size = 0, 1, path.stat().st_size
    with path.open("rb") as file:
        while start < size:
            file.seek(start)
            data = file.read(SIZE)
            data += file.readline() if len(data) == SIZE else b""
            yield Chunk(number, path, start, start + len(data), line)
            start, line = start + len(data), line + data.count(b"\n")


def hash_chunk(chunk: Chunk, numba: bool | None = None) -> Block:
    """Read and hash one chunk; keys are the same in every process."""
    with chunk.path.open("rb") as file:
        file.seek(chunk.start)
        data = file.read(chunk.end - chunk.start)
    if chunk.start == 0:
        data = data.removeprefix(b"\xef\xbb\xbf")
    batch = read_chunk(data.split(b"\n"), chunk.line, str(chunk.path), unanswered=False)
    compiled = use_compiled(1 << 30, numba)
    parts = [_parts(row) for row in batch.rows]
    hashed = hash_texts([question for question, *_ in parts], compiled=compiled)
    answers, contexts, systems = (np.array([part[k] for part in parts], np.uint64) for k in (1, 2, 3))
    return Block(chunk.number, array("Q", batch.lines), batch.rejects, hashed, answers, contexts, systems)


def _parts(row: Mapping[str, Any]) -> tuple[str, int, int, int]:
    """Question, and keys of answer (0: none), context and system message."""
    example = Example(row)
    system, tools = bytes_key(example.system), row.get("tools")
    context = system if not tools else bytes_key(example.system + json.dumps(tools, sort_keys=True))
    return example.question, 0 if example.answer is None else bytes_key(example.answer) or 1, context, system


def gather(files: RowFiles, collector: Collector, blocks: Iterable[Block]) -> None:
    """Put blocks, which come in input order, where a pass over the files would have put their rows."""
    for block in blocks:
        files.note(block.number, block.lines, block.rejects)
        collector.add_block(block.hashed, block.answers, block.contexts, block.systems)


def chunks_of_files(files: RowFiles) -> list[Chunk] | None:
    """All chunks of all files; None where a file is not one of plain JSON lines, and must be read here."""
    if not all(files.is_lines(number) for number in range(len(files.files))):
        return None
    return [chunk for number, path in enumerate(files.files) for chunk in chunks_of(number, path)]


def collect_with_workers(files: RowFiles, collector: Collector, chunks: Sequence[Chunk], workers: int) -> None:
    """Hash the chunks in `workers` processes."""
    with ProcessPoolExecutor(workers) as pool:
        gather(files, collector, pool.map(hash_chunk, chunks))
