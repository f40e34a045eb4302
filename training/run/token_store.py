"""A large split, tokenised onto disk as its rows are streamed, and read there while they train.

An Arrow file that `datasets` maps into memory: the system keeps of it what fits and lets go of the rest. The file's
name is gone once it is open, so that nothing of it outlives the process, however that ends.
"""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, overload

from training.run.tokens import EncodedRows, Tokens

IDS = ("input_ids", "labels")
AT_ONCE = 500
"""Rows that are held before they are written."""


def stored(
    rows: Iterable[Tokens],
    found: EncodedRows,
    folder: Path,
    more: Callable[[Tokens], Mapping[str, str]] | None = None,
) -> Any:
    """Return the rows, put into `found` as they are on the disk of `folder`, and their columns as a `datasets.Dataset`.

    The columns are ids and labels, or what `more` makes of a row in their place.
    """
    columns = (
        {"row": tokens.row, "input_ids": tokens.ids, "labels": tokens.labels, **(more(tokens) if more else {})}
        for tokens in rows
    )
    table = _store(columns, folder)
    found.rows = StoredTokens(table)
    return table.select_columns([n for n in table.column_names if n not in ("row", *IDS)] if more else list(IDS))


class StoredTokens(Sequence[Tokens]):
    """The tokens of a table, row by row."""

    def __init__(self, table: Any) -> None:
        self.table = table.select_columns(["row", *IDS])

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[Tokens]:
        return (_tokens(column) for column in self.table)

    @overload
    def __getitem__(self, place: int) -> Tokens: ...
    @overload
    def __getitem__(self, place: slice) -> list[Tokens]: ...
    def __getitem__(self, place: int | slice) -> Tokens | list[Tokens]:
        if isinstance(place, slice):
            return [self[n] for n in range(*place.indices(len(self)))]
        return _tokens(self.table[place])


def _tokens(column: Mapping[str, Any]) -> Tokens:
    return Tokens(column["row"], column["input_ids"], column["labels"])


def _store(columns: Iterator[Mapping[str, Any]], folder: Path) -> Any:
    """Return the columns as a `datasets.Dataset` in a nameless file; a token takes 8 bytes with its label."""
    import pyarrow as pa
    from datasets import Dataset

    ids = pa.list_(pa.int32())
    schema = pa.schema({"row": pa.int32(), "input_ids": ids, "labels": ids})
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".rows-", dir=folder) as place:
        path = str(Path(place) / "rows.arrow")
        writer = None
        while some := list(islice(columns, AT_ONCE)):
            if writer is None:
                for name in some[0].keys() - set(schema.names):
                    schema = schema.append(pa.field(name, pa.large_string()))
                writer = pa.RecordBatchStreamWriter(path, schema)
            writer.write_table(pa.Table.from_pylist(some, schema=schema))
        (writer or pa.RecordBatchStreamWriter(path, schema)).close()
        return Dataset.from_file(path)
