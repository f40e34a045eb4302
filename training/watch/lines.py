"""Reading a log line by line, plain or gzipped: what a line says, or why it cannot be read. Long lines are not held."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, cast

from curation.formats.jsonline import Malformed, decode_object
from curation.formats.rows import Reject
from training.watch.masking import masked_text
from workspace.errors import RungError

LONGEST = 8 << 20
"""Bytes of a line that are read: two million tokens of English."""
RAW = 2000
"""Characters of a line that cannot be read which are kept, masked before they are cut."""
MASKED = 64 << 10
"""Bytes of such a line that are masked."""
_QUOTE = re.compile(r"(something follows the JSON value at character \d+): .*", re.DOTALL)
"""A reason that holds a piece of the line, cut where masking could not see it any more."""

Progress = Callable[[int, int], None]


def read_lines(path: Path, progress: Progress | None = None) -> Iterator[tuple[int, dict[str, Any] | Reject | None]]:
    """Each line with its number from 1: an object, a Reject, or None where it is empty or ends a stream.

    Raises RungError where the file cannot be read or its gzip data is broken.
    """
    try:
        total = path.stat().st_size
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw)) if packed else raw
            for number, line in enumerate(_lines(file), 1):
                yield number, _read(line, number, str(path))
                if progress and not number % 2000:
                    progress(min(raw.tell(), total), total)
        if progress:
            progress(total, total)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RungError(
            f"{path}: its gzip data is broken or ends early ({error}). Nothing was stored.", f"gzip -t {path}"
        ) from error
    except OSError as error:
        raise RungError(f"{path}: cannot be read ({error.strerror or error}).", where=str(path)) from error


def _lines(file: IO[bytes]) -> Iterator[tuple[bytes, int]]:
    """A line and its whole length in bytes; of a line over LONGEST only the beginning."""
    while line := file.readline(LONGEST + 1):
        length = len(line)
        while not line.endswith(b"\n") and length > LONGEST:
            more = file.readline(LONGEST)
            length += len(more)
            if not more or more.endswith(b"\n"):
                break
        yield line, length


def _read(found: tuple[bytes, int], number: int, name: str) -> dict[str, Any] | Reject | None:
    line, length = found
    if length > LONGEST + 1:
        reason = f"{length / 1e6:,.1f} MB long; a line of over {LONGEST / 1e6:,.1f} MB is no request and its answer."
        return reject(number, name, "", reason, line)
    if number == 1:
        line = line.removeprefix(b"\xef\xbb\xbf")
    plain = line.strip()
    if plain.startswith(b"data:"):
        plain = plain.removeprefix(b"data:").strip()
    if not plain or plain == b"[DONE]":
        return None
    try:
        return decode_object(plain)
    except Malformed as fault:
        half = not line.endswith(b"\n")
        hint = fault.hint or ("The log was still being written: import it again later." if half else "")
        return reject(number, name, fault.field, fault.reason, line, hint)


def reject(number: int, name: str, field: str, reason: str, line: bytes, hint: str = "") -> Reject:
    """A line that cannot be read, its beginning masked: nothing personal is kept of it."""
    raw = masked_text(line[:MASKED].decode("utf-8", "replace").rstrip("\r\n"))[:RAW]
    said = _QUOTE.sub(r"\1.", reason)
    return Reject(name, number, masked_text(field), masked_text(said), raw.encode("utf-8", "replace"), hint)
