"""Spreadsheets (XLSX, XLSB, XLS, ODS): one sheet as records. A formula is its stored value, as its program wrote it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from workspace.errors import RungError, did_you_mean

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MEMORY = 2 << 30
"""Bytes in which a sheet must open: its cells are held as a whole rectangle, and a far cell makes that one huge."""
PROBE = """
import resource, sys
most = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
try:
    from python_calamine import CalamineWorkbook
    CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_name(sys.argv[2])
except MemoryError:
    sys.exit(9)
except Exception:
    pass
"""
WHOLE = 1e15
"""Whole numbers below it are exact in a cell, which holds floating point."""


def sheet_records(path: Path, name: str, notice: Callable[[str], None]) -> Iterator[tuple[int, bytes, list[str], str]]:
    """Number (from 1, as the program shows it), JSON, cells and fault (never one) of each row that is not blank.

    Of the sheet `name`, else of the first visible one; a workbook of several says which one. Raises RungError if
    the file is no workbook, has no such sheet or is too large.
    """
    from python_calamine import CalamineError, CalamineWorkbook, SheetVisibleEnum

    if not path.is_file():
        raise RungError(f"{path}: no such file.", where=str(path))
    try:
        with CalamineWorkbook.from_path(path) as book:
            names = [each.name for each in book.sheets_metadata if each.visible == SheetVisibleEnum.Visible]
            chosen = _chosen(path, name, names, book.sheet_names, notice)
            _demand_room(path, chosen)
            sheet = book.get_sheet_by_name(chosen)
            first, rows = (sheet.start or (0, 0))[0] + 1, sheet.to_python()
    except CalamineError as error:
        raise RungError(f"{path}: cannot be read as a workbook ({error}).", where=str(path)) from error
    filled = [place for place, cells in enumerate(zip(*rows, strict=True)) if any(cell != "" for cell in cells)]
    for number, row in enumerate(rows, first):
        cells = [cell_text(row[place]) for place in filled]
        if any(cells):
            yield number, json.dumps(cells, ensure_ascii=False).encode("utf-8", "surrogateescape"), cells, ""


def _demand_room(path: Path, sheet: str) -> None:
    """Raise RungError if the sheet does not open in `MEMORY`: calamine ends its process then, so a child tries."""
    command = [sys.executable, "-P", "-c", PROBE, str(path), sheet, str(MEMORY)]
    tried = subprocess.run(command, capture_output=True, check=False)
    if tried.returncode < 0 or tried.returncode == 9:
        most = f"{MEMORY >> 30} GB at most; a cell far from the rest makes it large"
        raise RungError(
            f'{path}: sheet "{sheet}" is too large to open ({most}).', "save the sheet as CSV", where=str(path)
        )


def _chosen(path: Path, name: str, visible: list[str], names: list[str], notice: Callable[[str], None]) -> str:
    if name and name not in names:
        raise RungError(
            f'{path}: no sheet "{name}".{did_you_mean(name, names)}',
            "--sheet with one of: " + ", ".join(names),
            where=str(path), expected="one of its sheets", found=name,
        )  # fmt: skip
    chosen = name or (visible or names)[0]
    others = [f'"{each}"' for each in visible if each != chosen]
    if others and not name:
        notice(f'{path}: read sheet "{chosen}", not {", ".join(others)} (--sheet NAME reads another)')
    return chosen


def cell_text(value: Any) -> str:
    """Return the text of a cell: whole numbers without a point, dates as ISO 8601, TRUE and FALSE."""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer() and abs(value) < WHOLE:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date | time) else str(value)
