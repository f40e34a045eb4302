"""Rows from elsewhere as a file that the reader takes: a query of another database, a split of a dataset of the Hub."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

from sqlalchemy import Connection, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from chat.local.offline import tell_nobody
from workspace.errors import RungError
from workspace.extras import require
from workspace.files import read_utf8

AT_ONCE = 1000
READS = (sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE)
"""All that SQLite is allowed to do for a query."""
NESTED = ("messages", "conversations", "tools")
"""Columns that hold a list; SQLite keeps it as a text of JSON."""


def write_query(url: str, query: Path, out: Path) -> str:
    """Write what the query gives to `out`, one JSON object a row; return the name of the source, without a password.

    Raises RungError if the URL is of no database that can be read only, where the database refuses the query (it
    changes something, is wrong, or is two), and where two columns have one name or a value is no text.
    """
    place = _place(url)
    sql = read_utf8(query).strip()
    if not sql:
        raise RungError(f"{query}: an empty query.", "write one SELECT into it", where=str(query))
    name = f"{place.set(drivername=place.get_backend_name()).render_as_string(hide_password=True)} {query}"
    try:
        with _reading(place) as connection, out.open("w", encoding="utf-8") as file:
            for row in _rows(connection, sql, name):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    except SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).split("\n")[0]
        raise RungError(f"{name}: the database refused the query ({said}).", "one SELECT; the query may only read",
                        where=str(query)) from error  # fmt: skip
    return name


def _place(url: str) -> URL:
    try:
        place = make_url(url)
    except ArgumentError as error:
        raise RungError("--sql: not the URL of a database.", "--sql sqlite:///rows.db", where="--sql") from error
    kind = place.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise RungError(f"--sql {kind}: only SQLite and PostgreSQL can be opened for reading alone.",
                        "export the rows as CSV, or --sql postgresql://...", where="--sql", found=kind)  # fmt: skip
    if kind == "sqlite" and not Path(place.database or "").is_file():
        raise RungError(f"{place.database or 'no file'}: no such database.", "--sql sqlite:///FILE", where="--sql")
    if kind == "postgresql":
        require("postgres", "psycopg")
        place = place.set(drivername="postgresql+psycopg")
    return place


@contextmanager
def _reading(place: URL) -> Iterator[Connection]:
    if place.get_backend_name() == "sqlite":
        engine = create_engine(f"sqlite:///{Path(place.database or '').resolve().as_uri()}?mode=ro&uri=true")
        event.listen(engine, "connect", lambda connection, _: connection.set_authorizer(_only_reads))
    else:
        engine = create_engine(place)
    try:
        with engine.connect().execution_options(
            postgresql_readonly=True, no_parameters=True, stream_results=True, yield_per=AT_ONCE
        ) as connection:
            yield connection
    finally:
        engine.dispose()


def _only_reads(action: int, *_: object) -> int:
    return sqlite3.SQLITE_OK if action in READS else sqlite3.SQLITE_DENY


def _rows(connection: Connection, sql: str, name: str) -> Iterator[dict[str, object]]:
    found = connection.exec_driver_sql(sql)
    if not found.returns_rows:
        raise RungError(f"{name}: the query returns no rows.", "one SELECT", where=name)
    columns = list(found.keys())
    twice = sorted({column for column in columns if columns.count(column) > 1})
    if twice:
        raise RungError(f"{name}: two columns are called {', '.join(twice)}.", "name one with AS", where=name)
    for row in found:
        yield {column: _value(value, column) for column, value in zip(columns, row, strict=True)}


def _value(value: object, column: str) -> object:
    """Return a value as JSON has it: times as ISO 8601, decimals as their digits."""
    if column in NESTED and isinstance(value, str) and value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    if isinstance(value, datetime):
        return value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, bytes | memoryview):
        raise RungError(f'column "{column}" holds bytes, not text.', "leave it out of the query", where=column)
    if isinstance(value, Decimal):
        return format(value, "f")
    return value if value is None or isinstance(value, str | int | float | list | dict) else str(value)


SCHEME = re.compile(r"hf:/{1,2}(?P<name>[\w.-]+/[\w.-]+)(/(?P<subset>[\w.-]+))?")


def write_split(address: Path, split: str, revision: str, out: Path) -> str:
    """Write a split to `out` as Parquet; return its full name, with the commit that `revision` (main) is now.

    Raises RungError if the Hub cannot be reached, has no such dataset, revision, subset or split.
    """
    shown = str(address).replace("hf:/", "hf://", 1)
    found = SCHEME.fullmatch(str(address))
    if found is None:
        raise RungError(f"{shown}: not the address of a dataset.", "hf://owner/name", where=shown)
    tell_nobody()
    datasets, hub = require("hub", "datasets"), require("hub", "huggingface_hub")
    name, subset = found["name"], found["subset"]
    datasets.disable_progress_bars()
    try:
        commit = str(hub.HfApi().dataset_info(name, revision=revision or None).sha)
        splits = datasets.get_dataset_split_names(name, subset, revision=commit)
        if len(splits) > 1 and not split and "train" not in splits:
            raise RungError(f"{shown}: which split?", "--split with one of: " + ", ".join(splits), where=shown)
        chosen = split or ("train" if "train" in splits else splits[0])
        if chosen not in splits:
            raise RungError(f'{shown}: no split "{chosen}".', "--split with one of: " + ", ".join(splits),
                            where=shown, found=chosen)  # fmt: skip
        datasets.load_dataset(name, subset, split=chosen, revision=commit).to_parquet(str(out))
    except RungError:
        raise
    except Exception as error:  # hub, datasets and their HTTP client each raise what they like
        kind, said = type(error).__name__, str(error).strip().split("\n")[0]
        why = f"the Hub cannot be reached ({kind}: {said})."
        way = "download its files elsewhere, then rung data import FILE"
        if kind in ("RepositoryNotFoundError", "RevisionNotFoundError", "DatasetNotFoundError"):
            why = "the Hub has no such dataset or revision, or it needs `hf auth login`."
            way = "check owner, name and --revision"
        elif isinstance(error, ValueError):
            why, way = said, "hf://owner/name/SUBSET"
        raise RungError(f"{shown}: {why}", way, where=shown) from error
    return f"hf://{name}{f'/{subset}' if subset else ''}@{commit} {chosen}"
