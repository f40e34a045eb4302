"""Lines that could not be read: kept with their bytes, and reported all at once; and the file in which they wait."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path
from typing import IO, overload

from curation.rows.row import Reject
from workspace.counted import counted
from workspace.errors import InputError, Problem, RungError
from workspace.files import packing

BLOCK = 1 << 20
"""Bytes that wait to be written."""


class Pieces:
    """Pieces of bytes, one after the other in a temporary file; of each the place where it begins is held."""

    def __init__(self) -> None:
        self._file: IO[bytes] | None = None
        self._waiting = bytearray()
        self._starts = array("q", [0])

    def __len__(self) -> int:
        return len(self._starts) - 1

    def add(self, piece: bytes) -> int:
        """Add a piece; return its number. Raises RungError if the temporary file has no room."""
        self._waiting += piece
        self._starts.append(self._starts[-1] + len(piece))
        if len(self._waiting) >= BLOCK:
            self._write()
        return len(self) - 1

    def read(self, number: int) -> bytes:
        """Return the piece of that number."""
        file, start = self._write(), self._starts[number]
        return os.pread(file.fileno(), self._starts[number + 1] - start, start)

    def _write(self) -> IO[bytes]:
        try:
            self._file = self._file or tempfile.TemporaryFile(prefix="rung-")  # noqa: SIM115
            if self._waiting:
                self._file.write(self._waiting)
                self._file.flush()
        except OSError as error:
            folder = tempfile.gettempdir()
            raise RungError(
                f"{folder}: the temporary row file could not be written ({error.strerror}). Nothing was stored.",
                "make room, or name another folder in TMPDIR",
                where=folder,
            ) from error
        self._waiting.clear()
        return self._file


NOT_UTF8 = "not UTF-8."
SHOWN = 20
"""Rejects that an error tells in full; the numbers of the others follow in one line."""


REASONS = 5
"""Kinds of rejects that are counted by themselves."""


class Rejects(Sequence[Reject]):
    """Lines that could not be read, in a temporary file; of each the place is held. A slice shares the file."""

    def __init__(self, lines: Pieces | None = None, places: range | None = None) -> None:
        self._lines, self._places = Pieces() if lines is None else lines, places

    def add(self, reject: Reject) -> None:
        """Add a line. Raises RungError if the temporary file has no room."""
        facts = json.dumps((reject.file, reject.line, reject.field, reject.reason, reject.hint))
        self._lines.add(facts.encode() + b"\n" + reject.raw)

    def _range(self) -> range:
        return range(len(self._lines)) if self._places is None else self._places

    def __len__(self) -> int:
        return len(self._range())

    @overload
    def __getitem__(self, index: int) -> Reject: ...

    @overload
    def __getitem__(self, index: slice) -> Rejects: ...

    def __getitem__(self, index: int | slice) -> Reject | Rejects:
        if isinstance(index, slice):
            return Rejects(self._lines, self._range()[index])
        facts, _, raw = self._lines.read(self._range()[index]).partition(b"\n")
        file, line, field, reason, hint = json.loads(facts)
        return Reject(file, line, field, reason, raw, hint)


def reject_json(reject: Reject) -> bytes:
    r"""Return one line of a rejects file: `{line, file, field, reason, hint, raw}`.

    `raw` is the line's text; bytes that are not UTF-8 are in it as Python's surrogateescape writes them
    (`\udcff` for 0xff), and `raw_base64` holds the bytes themselves.
    """
    document: dict[str, object] = {
        "line": reject.line,
        "file": reject.file,
        "field": reject.field,
        "reason": reject.reason,
        "hint": reject.hint,
        "raw": reject.raw.decode("utf-8", "surrogateescape"),
    }
    try:
        reject.raw.decode()
    except UnicodeDecodeError:
        document["raw_base64"] = base64.b64encode(reject.raw).decode()
    return json.dumps(document).encode() + b"\n"


def write_rejects(path: Path, rejects: Iterable[Reject]) -> None:
    """Write all rejects to `path`, atomically. The file is written even when there are none."""
    with packing(path) as file:
        file.writelines(map(reject_json, rejects))


def malformed_error(rejects: Sequence[Reject], hint: str = "") -> InputError:
    """Return the error that tells all malformed lines: the first in full, then every line number."""
    problems = [_problem(reject) for reject in rejects[:SHOWN]]
    if len(rejects) > SHOWN:
        reasons = "".join(f" {line}" for line in reason_lines(rejects))
        problems.append(Problem(f"{len(rejects):,} lines could not be read: {line_numbers(rejects)}.{reasons}"))
    if not hint and rejects and all(reject.reason.startswith(NOT_UTF8[:-1]) for reject in rejects):
        hint = f"{convert_hint(rejects[0].file)}   (without these lines: --rejects rejects.jsonl)"
    return InputError(problems, hint or "keep what can be read: --rejects rejects.jsonl")


def reason_lines(rejects: Iterable[Reject]) -> list[str]:
    """Return a sentence for each kind of row that was not read, with how many there are, the most frequent first."""
    counts = Counter(reject.reason for reject in rejects)
    lines = [f"{counted(count, 'line')}: {reason}" for reason, count in counts.most_common(REASONS)]
    more = sum(counts.values()) - sum(count for _, count in counts.most_common(REASONS))
    return [*lines, f"{counted(more, 'line')} for other reasons."] if more else lines


def convert_hint(path: Path | str) -> str:
    """Return the command that converts a file in another encoding to UTF-8."""
    return f'save it as UTF-8, or: iconv -f WINDOWS-1252 -t UTF-8 "{path}" > utf8{Path(path).suffix}'


def line_numbers(rejects: Iterable[Reject]) -> str:
    """Return all line numbers by file: `a.jsonl 3, 7-9`."""
    by_file: dict[str, list[int]] = {}
    for reject in rejects:
        by_file.setdefault(reject.file, []).append(reject.line)
    parts = []
    for file, lines in by_file.items():
        runs = [[line for _, line in run] for _, run in groupby(enumerate(lines), lambda each: each[1] - each[0])]
        shown = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
        parts.append(f"{file} {shown}")
    return "; ".join(parts)


def _problem(reject: Reject) -> Problem:
    hint = (
        f" {reject.hint[:1].upper()}{reject.hint[1:]}{'' if reject.hint[-1] in '.?)' else '.'}" if reject.hint else ""
    )
    found = reject.raw[:80].decode("utf-8", "replace")
    field = f"{reject.field}: " if "[" in reject.field and reject.field not in reject.reason else ""
    return Problem(f"{field}{reject.reason}{hint}", where=f"{reject.file} line {reject.line}", found=found)
