"""Files of many formats in, canonical rows out, and back: nothing is dropped or cut in silence."""

from __future__ import annotations

from curation.rows.families import FORMATS, TARGETS, CannotHold, to_format
from curation.rows.jsonline import Malformed
from curation.rows.reading import read_rows
from curation.rows.rejects import malformed_error, write_rejects
from curation.rows.row import Columns, Reject, Row

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
