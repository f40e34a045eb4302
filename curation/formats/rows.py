"""What a reader yields: a row that is sound, or the line that is not and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from curation.example import Example

_decode = msgspec.json.Decoder().decode


class Row(msgspec.Struct, gc=False):
    """A sound row.

    `file` is the path as it was given (a file below a folder: that file); `line` counts from 1, blank lines too (of
    a table without lines: the row's number); `raw` is the line without its line feed, a BOM dropped, a CR kept.
    `parsed` is the canonical row; of a chat row that only the quick pass saw it is None until `example` is asked for.
    """

    file: str
    line: int
    raw: bytes
    parsed: Example | None = None

    @property
    def example(self) -> Example:
        """The canonical row."""
        if self.parsed is None:
            self.parsed = Example(_decode(self.raw))
        return self.parsed

    @property
    def is_plain_chat(self) -> bool:
        """Whether `raw` was seen to be a canonical row as it stands."""
        return self.parsed is None

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
