"""Files of many formats in, canonical rows out, and back: nothing is dropped or cut in silence."""

from __future__ import annotations

from curation.formats.families import FORMATS, TARGETS, CannotHold, to_format
from curation.formats.jsonline import Malformed
from curation.formats.reader import read_rows
from curation.formats.rejects import malformed_error, write_rejects
from curation.formats.rows import Columns, Reject, Row

__all__ = [
    "FORMATS",
    "TARGETS",
    "CannotHold",
    "Columns",
    "Malformed",
    "Reject",
    "Row",
    "malformed_error",
    "read_rows",
    "to_format",
    "write_rejects",
]
