"""Columnar files: Parquet, and the Arrow files that `datasets.save_to_disk` writes. Read batch by batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from curation.rows.families import Family, family_of
from curation.rows.jsonline import Malformed
from curation.rows.labelling import check_export
from curation.rows.row import Columns, Read, Reject, Row
from curation.rows.table import check_named, choose_columns, describe, to_row
from workspace.errors import RungError
from workspace.extras import require

BATCH = 1024


def read_parquet(
    path: Path, family: Family | None, columns: Columns, read: Read, notice: Callable[[str], None]
) -> Iterator[Row | Reject]:
    """Yield each row by its number from 1; `raw` is the row as JSON. Empty cells of a struct are left out.

    `read` is for rows whose keys tell what they are, or whose columns were named; of others the columns are guessed.
    """
    mapping: dict[str, str] = {}
    name = columns.name_of(path)
    for number, cells in enumerate(cells_of(path), 1):
        if number == 1:
            check_named(list(cells), columns, name)
            if not columns.named and family is None and family_of(cells) is None and not check_export(cells):
                mapping = choose_columns(list(cells), columns, name)
                notice(f"{name}: {describe(mapping)}")
        raw = json.dumps(cells, ensure_ascii=False, default=str).encode("utf-8", "surrogateescape")
        try:
            row = to_row(cells, mapping) if mapping else read(cells)
        except Malformed as error:
            yield Reject(name, number, error.field, error.reason, raw, error.hint)
        else:
            yield Row(name, number, raw, row, as_is=False)


def cells_of(path: Path) -> Iterator[dict[str, Any]]:
    """Yield each row as a mapping of column to value. Raises RungError if the file cannot be read."""
    parquet = require("quality", "pyarrow.parquet")
    arrow = require("quality", "pyarrow")
    try:
        if path.suffix == ".arrow":
            with arrow.memory_map(str(path)) as source:
                for batch in _arrow_batches(arrow, source):
                    yield from _rows(batch)
        else:
            with parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=BATCH):
                    yield from _rows(batch)
    except (arrow.ArrowInvalid, OSError) as error:
        raise RungError(f"{path}: cannot be read ({error}).", where=str(path)) from error


def _rows(batch: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a batch: columns of JSON decoded, class numbers of `datasets` as their names."""
    coded = {field.name for field in batch.schema if getattr(field.type, "extension_name", "") == "arrow.json"}
    names = class_names(batch.schema.metadata or {})
    for cells in batch.to_pylist():
        row = {}
        for name, value in cells.items():
            if name in coded:
                row[name] = json.loads(value) if isinstance(value, str) else value
            elif name in names and isinstance(value, int) and 0 <= value < len(names[name]):
                row[name] = names[name][value]
            else:
                row[name] = _full(value)
        yield row


def class_names(metadata: Mapping[bytes, bytes]) -> dict[str, list[str]]:
    """Return the names of each ClassLabel column, as `datasets` leaves them in a file's schema."""
    try:
        features = json.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
        return {name: kind["names"] for name, kind in features.items() if kind.get("_type") == "ClassLabel"}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


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
