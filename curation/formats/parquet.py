"""Columnar files: Parquet, and the Arrow files that `datasets.save_to_disk` writes. Read batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from curation.example import Example
from curation.formats.families import Family, family_of, read_object
from curation.formats.jsonline import Malformed
from curation.formats.rows import Columns, Reject, Row
from curation.formats.table import choose_columns, describe, to_row
from workspace.errors import RungError
from workspace.extras import require

BATCH = 1024


def read_parquet(
    path: Path, family: Family | None, columns: Columns, unanswered: bool, notice: Callable[[str], None]
) -> Iterator[Row | Reject]:
    """Each row by its number from 1; `raw` is the row as JSON. Empty cells of a struct are left out."""
    mapping: dict[str, str] | None = None
    for number, cells in enumerate(_cells(path), 1):
        if mapping is None:
            known = family or family_of(cells)
            mapping = {} if known and not _is_labelled(cells) else choose_columns(list(cells), columns, path)
            if mapping:
                notice(f"{path}: {describe(mapping)}")
        raw = json.dumps(cells, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
        try:
            row = to_row(cells, mapping) if mapping else read_object(cells, family, unanswered)
        except Malformed as error:
            yield Reject(str(path), number, error.field, error.reason, raw, error.hint)
        else:
            yield Row(str(path), number, raw, Example(row))


def _is_labelled(cells: dict[str, Any]) -> bool:
    """A table of text and label: question and answer, as in a CSV."""
    known = family_of(cells)
    return known is not None and known.name == "text" and len(cells) > 1 and "label" in cells


def _cells(path: Path) -> Iterator[dict[str, Any]]:
    parquet = require("quality", "pyarrow.parquet")
    arrow = require("quality", "pyarrow")
    try:
        if path.suffix == ".arrow":
            with arrow.memory_map(str(path)) as source:
                for batch in _arrow_batches(arrow, source):
                    yield from map(_full, batch.to_pylist())
        else:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from map(_full, batch.to_pylist())
    except (arrow.ArrowInvalid, OSError) as error:
        raise RungError(f"{path}: cannot be read ({error}).", where=str(path)) from error


def _arrow_batches(arrow: Any, source: Any) -> Iterator[Any]:
    try:
        yield from arrow.ipc.open_stream(source)
    except arrow.ArrowInvalid:
        reader = arrow.ipc.open_file(source)
        for index in range(reader.num_record_batches):
            yield reader.get_batch(index)


def _full(value: Any, inside: bool = False) -> Any:
    """Without the empty cells that a common schema puts into every struct of a list."""
    if isinstance(value, dict):
        return {k: _full(v, inside) for k, v in value.items() if not (inside and v is None)}
    if isinstance(value, list):
        return [_full(v, True) for v in value]
    return value
