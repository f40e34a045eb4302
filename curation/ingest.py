"""Files into the store: every line is kept, counted as a duplicate with its evidence, known already, or rejected."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.formats import Columns, Reject, Row, malformed_error, read_rows
from curation.pieces import Part
from curation.spool import Rejects, Spool, Spooled
from curation.store import Added, NewRow, Role, Store
from curation.store.ids import row_id
from curation.store.records import ROLES
from curation.takeout import TRAINING_SIDE, take_out
from workspace.artefact import now
from workspace.errors import RungError, did_you_mean
from workspace.files import sha256_file
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Batch:
    """The lines of one file, read: its path as given, SHA-256, sound rows and rejects. No row is held."""

    path: str
    sha256: str
    rows: Spooled
    rejects: Sequence[Reject]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of a file's lines: read = kept + exact + near + known + rejected."""

    file: str
    sha256: str
    role: str
    read: int
    kept: int
    exact: int
    near: int
    known: int
    rejected: int
    contradictions: int = 0
    minimal_pairs: int = 0
    unanswered: int = 0
    first: str = ""
    last: str = ""
    rejects: Sequence[Reject] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """The counts, for `--json` and the store."""
        return {each.name: getattr(self, each.name) for each in fields(self) if each.name != "rejects"}


def read_batches(
    paths: Sequence[Path],
    role: str,
    *,
    fmt: str = "auto",
    columns: Columns | None = None,
    keep_rejects: bool = False,
    notice: Callable[[str], None] | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> list[Batch]:
    """Read whole files (those below a folder each by itself) before anything is stored.

    Raises RungError for an unknown role or a file that cannot be read, InputError with all malformed lines of all
    files, unless `keep_rejects`.
    """
    from curation.formats.source import files_of

    if role not in ROLES:
        raise RungError(f'"{role}" is not a role.{did_you_mean(role, ROLES)}', "--as " + "|".join(ROLES), found=role)
    files = [file for path in paths for file in files_of(path)]
    spool, rejects = Spool(), Rejects()
    batches = [_read(file, spool, rejects, role, fmt, columns, notice, progress) for file in files]
    if rejects and not keep_rejects:
        raise malformed_error(rejects)
    return batches


def ingest(store: Store, settings: Settings, batch: Batch, role: Role, *, actor: str = "rung") -> Imported:
    """Store one file in one transaction: killed at any moment, the same call again finishes the work.

    Duplicates of what the training side holds, and within the file, are stored too, but taken out with reason and
    evidence. Rows whose content this role holds already are counted as known.
    """
    from curation.review.queue import refresh_queue

    with store.write(alone=True) as connection:
        source, before = _source(connection, batch, role), _last(connection)
        added = store.add(batch.rows, role=role, source=source, twins=True, connection=connection)
        counts: dict[str, int] = {}
        if role in TRAINING_SIDE and added.fresh:
            fresh = ((number, row.example) for number, row in _fresh(batch, added))
            counts = take_out(store, connection, settings.dataset.threshold, before, fresh, actor)
        made = _counted(batch, role, added, counts)
        _finish(store, connection, source, made, actor)
    refresh_queue(store, settings)
    return made


def merge_rejects(path: Path, files: Sequence[str], rejects: Iterable[Reject]) -> None:
    """Write rejects to `path`; lines that an earlier import of other files left there stay.

    Raises RungError where `path` holds something else than rejects: it is not overwritten.
    """
    import json

    from curation.formats.rejects import write_rejects_to
    from workspace.files import replacing

    others, before = set(files), contextlib.nullcontext[Iterable[bytes]](())
    with path.open("rb") if path.is_file() else before as lines, replacing(path) as file:
        for number, line in enumerate(lines, 1):
            try:
                stands = bool(line.strip()) and json.loads(line)["file"] not in others
            except (ValueError, KeyError, TypeError) as error:
                raise RungError(
                    f"{path} line {number}: not a file of rejects. Nothing was written.", "--rejects with another name"
                ) from error
            if stands:
                file.write(line.removesuffix(b"\n") + b"\n")
        write_rejects_to(file, rejects)


def _read(
    file: Path,
    spool: Spool,
    rejects: Rejects,
    role: str,
    fmt: str,
    columns: Columns | None,
    notice: Callable[[str], None] | None,
    progress: Callable[[int, int], None] | None,
) -> Batch:
    before = "" if str(file) == "-" else _digest(file)
    rows, begin, lines = spool.begin(), len(rejects), hashlib.sha256()
    for each in read_rows(file, fmt, columns=columns, unanswered=role == "pool", notice=notice, progress=progress):
        if not before:
            lines.update(each.raw + b"\n")
        if isinstance(each, Row):
            rows.add(each)
        else:
            rejects.add(each)
    if before and _digest(file) != before:
        raise RungError(f"{file}: changed while it was read. Nothing was stored.", "The same command again.")
    return Batch(str(file), before or lines.hexdigest(), rows, Part(rejects, begin, len(rejects)))


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    try:
        return sha256_file(file)
    except OSError as error:
        raise RungError(f"{file}: cannot be read ({error.strerror}).", where=str(file)) from error


def _source(connection: Connection, batch: Batch, role: str) -> int:
    return source_number(connection, batch.path, batch.sha256, role)


def source_number(connection: Connection, path: str, sha256: str, role: str) -> int:
    """The source's number; the same file, role and path again is the same source."""
    from sqlalchemy import insert, select

    from curation.store.tables import sources

    where = (sources.c.sha256 == sha256, sources.c.role == role, sources.c.path == path)
    found = connection.execute(select(sources.c.id).where(*where)).scalar()
    if found is not None:
        return int(found)
    values = {"path": path, "sha256": sha256, "role": role, "at": now().isoformat(), "counts": "{}"}
    return int(connection.execute(insert(sources).values(**values).returning(sources.c.id)).scalar_one())


def _last(connection: Connection) -> int:
    """The highest number of a row."""
    from sqlalchemy import func, select

    from curation.store.tables import rows

    return int(connection.execute(select(func.max(rows.c.id))).scalar() or 0)


def _fresh(batch: Batch, added: Added) -> Iterator[tuple[int, NewRow]]:
    """Number and row of those that were not there before."""
    for number, twin, row in zip(added.numbers, added.twin, batch.rows, strict=True):
        if not twin:
            yield number, row


def _counted(batch: Batch, role: str, added: Added, counts: dict[str, int]) -> Imported:
    exact, near = counts.get("exact", 0), counts.get("near", 0)
    first, last = added.twin.find(0), added.twin.rfind(0)
    return Imported(
        file=batch.path,
        sha256=batch.sha256,
        role=role,
        read=len(batch.rows) + len(batch.rejects),
        kept=added.fresh - exact - near,
        exact=exact,
        near=near,
        known=len(added.twin) - added.fresh,
        rejected=len(batch.rejects),
        contradictions=counts.get("contradiction", 0),
        minimal_pairs=counts.get("minimal_pair", 0),
        unanswered=_unanswered(batch, added) if role == "pool" else 0,
        first=row_id(added.numbers[first]) if added.fresh else "",
        last=row_id(added.numbers[last]) if added.fresh else "",
        rejects=batch.rejects,
    )


def _unanswered(batch: Batch, added: Added) -> int:
    return sum(bool(row.example.messages) and not row.example.is_answered for _, row in _fresh(batch, added))


def _finish(store: Store, connection: Connection, source: int, made: Imported, actor: str) -> None:
    """Keep the counts of the first time, and one event each time."""
    import json

    from sqlalchemy import update

    from curation.store.tables import sources

    counts = {name: value for name, value in made.to_json().items() if isinstance(value, int)}
    if made.kept + made.exact + made.near or not made.known:
        connection.execute(update(sources).where(sources.c.id == source).values(counts=json.dumps(counts)))
    store.event("import", actor, made.file, {**counts, "role": made.role, "sha256": made.sha256}, connection=connection)
