"""A file that is one JSON array (as ShareGPT and Alpaca sets often are), cut into its values without loading it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from workspace.errors import RungError

CHUNK = 1 << 20
_MARK = re.compile(rb'\\.|["{}\[\],]', re.DOTALL)


def is_array(start: bytes, suffix: str) -> bool:
    """Whether bytes begin an array of rows; a file that is called .jsonl never does."""
    return suffix not in ("jsonl", "ndjson") and re.match(rb"\s*\[\s*([{\]]|$)", start) is not None


def read_array(file: IO[bytes], path: Path) -> Iterator[tuple[int, bytes]]:
    """The line on which each value of the array begins, and the value's bytes unchanged.

    A value ends at the comma or bracket that closes it, whatever is inside; whether it is JSON is for the reader
    of one value to say. Raises RungError where the array never ends, or something follows it.
    """
    value, line = bytearray(), 1
    for chunk, at, end, sign in _marks(file):
        value += chunk[at:end]
        line += chunk.count(b"\n", at, end)
        if not sign:
            continue
        if text := value.strip():
            yield line - value.lstrip().count(b"\n"), bytes(text)
        value.clear()
        if sign == b"]":
            _nothing_follows(chunk[end + 1 :] + file.read(CHUNK), path, line)
            return
    raise RungError(f"{path}: the JSON array that begins on its first line never ends.", where=str(path))


def _marks(file: IO[bytes]) -> Iterator[tuple[bytes, int, int, bytes]]:
    """Pieces of the file as (chunk, start, end, sign): a sign `,` or `]` ends a value there, an empty one does not."""
    depth, quoted = 0, False
    for chunk in _chunks(file):
        at = 0
        for mark in _MARK.finditer(chunk):
            sign = mark[0]
            quoted ^= sign == b'"'
            if quoted or sign not in b"{}[],":
                continue
            depth += (sign in b"{[") - (sign in b"}]")
            if depth == 1 and sign == b"[":
                at = mark.end()
            if depth == 0 or (depth == 1 and sign == b","):
                yield chunk, at, mark.start(), b"," if depth else b"]"
                at = mark.end()
        yield chunk, at, len(chunk), b""


def _chunks(file: IO[bytes]) -> Iterator[bytes]:
    """Blocks of the file, none of which ends between a backslash and what it escapes."""
    while chunk := file.read(CHUNK):
        while chunk.endswith(b"\\") and (more := file.read(1)):
            chunk += more
        yield chunk


def _nothing_follows(tail: bytes, path: Path, line: int) -> None:
    if tail.strip():
        raise RungError(
            f"{path} line {line}: something follows the JSON array: {tail.strip()[:20]!r}.", where=str(path)
        )
