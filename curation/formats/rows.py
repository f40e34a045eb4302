"""What a reader yields: a row that is sound, or the line that is not and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from curation.example import Example


class Row(NamedTuple):
    """A sound row.

    `file` is the path as it was given (a file below a folder: that file); `line` counts from 1, blank lines too (of
    a table without lines: the row's number); `raw` is the line without its line feed, a BOM dropped, a CR kept.
    """

    file: str
    line: int
    raw: bytes
    example: Example

    @property
    def json_line(self) -> bytes:
        """One line of JSON Lines: `raw` byte for byte where it is one, else (a table, an array) the canonical row."""
        if self.raw.startswith(b"{") and b"\n" not in self.raw:
            return self.raw
        return self.example.to_json().encode()


class Reject(NamedTuple):
    """A line that could not be read: the field at fault (empty: the whole line), a sentence why, what to try."""

    file: str
    line: int
    field: str
    reason: str
    raw: bytes
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Columns:
    """Which columns of a table hold what. An empty name is sniffed (question, answer) or not used (system)."""

    question: str = ""
    answer: str = ""
    system: str = ""
