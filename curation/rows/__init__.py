"""Files of many formats in, canonical rows out, and back: nothing is dropped or cut in silence."""

from __future__ import annotations

from curation.rows.reading import read_rows
from curation.rows.rejects import malformed_error, write_rejects
from curation.rows.row import Columns, Reject, Row

__all__ = ["Columns", "Reject", "Row", "malformed_error", "read_rows", "write_rejects"]
