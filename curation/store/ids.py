"""How rows are named to people: `r-000123`."""

from __future__ import annotations

import re

from workspace.errors import RungError


def row_id(number: int) -> str:
    """The name of the row with this number."""
    return f"r-{number:06d}"


def number_of(name: str) -> int:
    """The number behind `r-000123` (or `123`). Raises RungError for anything else."""
    match = re.fullmatch(r"(?:r-)?0*(\d{1,18})", name.strip())
    if match is None:
        raise RungError(f'"{name}" is not the id of a row; ids look like r-000123.', "rung review next", found=name)
    return int(match[1])
