"""Files into the store: every line is kept, counted as a duplicate with its evidence, known already, or rejected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.formats import Columns, Reject, Row, malformed_error, read_rows
from curation.store import Added, NewRow, Role, Store, StoredRow
from curation.store.records import ROLES, Link
from workspace.artefact import now
from workspace.errors import RungError, did_you_mean
from workspace.files import sha256_bytes, sha256_file
from workspace.settings import Settings

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from curation.dedup import DedupResult

TRAINING_SIDE = ("pool", "candidates", "train")
"""Roles in which duplicates are taken out; validation and test sets are kept as they are."""
LINKS_A_ROW = 50
"""Near rows remembered for each row, to be shown beside it; the checks find all of them anew."""


@dataclass(frozen=True, slots=True)
class Batch:
    """The lines of one file, read: its path as given, SHA-256, sound rows and rejects."""

    path: str
    sha256: str
    rows: tuple[Row, ...]
    rejects: tuple[Reject, ...]


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
    rejects: tuple[Reject, ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """The counts, for `--json` and the store."""
        return {name: value for name, value in asdict(self).items() if name != "rejects"}


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
    batches = [_read(file, role, fmt, columns, notice, progress) for file in files]
    rejects = [reject for batch in batches for reject in batch.rejects]
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
        before = _standing(connection) if role in TRAINING_SIDE else []
        source = _source(connection, batch, role)
        new = [NewRow(row.example, row.line) for row in batch.rows]
        added = store.add(new, role=role, source=source, twins=True, connection=connection)
        fresh = [(name, batch.rows[i].example) for i, name in enumerate(added.ids) if i not in added.known]
        counts = _take_out(store, connection, settings, before, fresh, actor) if role in TRAINING_SIDE else {}
        made = _counted(batch, role, added, fresh, counts)
        _finish(store, connection, source, made, actor)
    refresh_queue(store, settings)
    return made


def merge_rejects(path: Path, files: Sequence[str], rejects: Sequence[Reject]) -> None:
    """Write rejects to `path`; lines that an earlier import of other files left there stay.

    Raises RungError where `path` holds something else than rejects: it is not overwritten.
    """
    import json

    from curation.formats.rejects import write_rejects_to
    from workspace.files import replacing

    kept = []
    for number, line in enumerate(path.read_bytes().split(b"\n") if path.is_file() else [], 1):
        try:
            stands = json.loads(line)["file"] not in files if line.strip() else False
        except (ValueError, KeyError, TypeError) as error:
            raise RungError(
                f"{path} line {number}: not a file of rejects. Nothing was written.", "--rejects with another name"
            ) from error
        kept += [line] if stands else []
    with replacing(path) as file:
        file.writelines(line + b"\n" for line in kept)
        write_rejects_to(file, rejects)


def _read(
    file: Path,
    role: str,
    fmt: str,
    columns: Columns | None,
    notice: Callable[[str], None] | None,
    progress: Callable[[int, int], None] | None,
) -> Batch:
    before = "" if str(file) == "-" else _digest(file)
    found = list(read_rows(file, fmt, columns=columns, unanswered=role == "pool", notice=notice, progress=progress))
    rows = tuple(each for each in found if isinstance(each, Row))
    rejects = tuple(each for each in found if isinstance(each, Reject))
    if not before:
        before = sha256_bytes(b"".join(each.raw + b"\n" for each in found))
    elif _digest(file) != before:
        raise RungError(f"{file}: changed while it was read. Nothing was stored.", "The same command again.")
    return Batch(str(file), before, rows, rejects)


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    try:
        return sha256_file(file)
    except OSError as error:
        raise RungError(f"{file}: cannot be read ({error.strerror}).", where=str(file)) from error


def _standing(connection: Connection) -> list[StoredRow]:
    """Rows of the training side that are in and were not rejected."""
    from curation.store.reading import fetch, narrowed, query

    found = fetch(connection, narrowed(query(), list(TRAINING_SIDE), None, None, False))
    return [row for row in found if row.state != "rejected"]


def _take_out(
    store: Store,
    connection: Connection,
    settings: Settings,
    before: Sequence[StoredRow],
    fresh: Sequence[tuple[str, Example]],
    actor: str,
) -> dict[str, int]:
    """Exclude duplicates among the fresh rows, remember near pairs; counts by kind."""
    from curation.dedup import dedup
    from curation.store.pairs import write_links

    if not fresh:
        return {}
    ids = [row.id for row in before] + [name for name, _ in fresh]
    examples = [row.example for row in before] + [example for _, example in fresh]
    reviewed = [row.is_reviewed and not row.automatic for row in before] + [False] * len(fresh)
    result = dedup(examples, settings.dataset.threshold, reviewed=reviewed)
    removed = [each for each in result.removed if each.index >= len(before)]
    for kind, reason in (("exact", "exact duplicate"), ("near", "near duplicate")):
        evidence = {
            ids[each.index]: {"kind": kind, "kept": ids[each.kept], "similarity": round(each.similarity, 4)}
            | ({"via": ids[each.via]} if each.via is not None else {})
            for each in removed
            if each.kind == kind
        }
        if evidence:
            store.exclude(list(evidence), reason, "duplicates", actor=actor, evidence=evidence, connection=connection)
    write_links(connection, _links(ids, result, len(before)))
    counts = {kind: sum(each.kind == kind for each in removed) for kind in ("exact", "near")}
    fresh_pairs = [pair for pair in result.pairs if pair.other >= len(before)]
    for kind in ("contradiction", "minimal_pair"):
        counts[kind] = sum(pair.kind == kind for pair in fresh_pairs)
    return counts


def _links(ids: Sequence[str], result: DedupResult, start: int) -> Iterator[Link]:
    """Pairs with a fresh row, at most LINKS_A_ROW for each, contradictions first."""
    seen: dict[int, int] = {}
    order = {"contradiction": 0, "minimal_pair": 1, "short_near": 2}
    for pair in sorted(result.pairs, key=lambda pair: (order[pair.kind], -pair.similarity)):
        if pair.other < start or max(seen.get(pair.index, 0), seen.get(pair.other, 0)) >= LINKS_A_ROW:
            continue
        for index in (pair.index, pair.other):
            seen[index] = seen.get(index, 0) + 1
        yield Link(ids[pair.index], ids[pair.other], pair.kind, round(pair.similarity, 4))


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


def _counted(
    batch: Batch, role: str, added: Added, fresh: Sequence[tuple[str, Example]], counts: dict[str, int]
) -> Imported:
    exact, near = counts.get("exact", 0), counts.get("near", 0)
    return Imported(
        file=batch.path,
        sha256=batch.sha256,
        role=role,
        read=len(batch.rows) + len(batch.rejects),
        kept=len(fresh) - exact - near,
        exact=exact,
        near=near,
        known=len(added.known),
        rejected=len(batch.rejects),
        contradictions=counts.get("contradiction", 0),
        minimal_pairs=counts.get("minimal_pair", 0),
        unanswered=sum(bool(example.messages) and not example.is_answered for _, example in fresh),
        first=fresh[0][0] if fresh else "",
        last=fresh[-1][0] if fresh else "",
        rejects=batch.rejects,
    )


def _finish(store: Store, connection: Connection, source: int, made: Imported, actor: str) -> None:
    """Keep the counts of the first time, and one event each time."""
    import json

    from sqlalchemy import update

    from curation.store.tables import sources

    counts = {name: value for name, value in made.to_json().items() if isinstance(value, int)}
    if made.kept + made.exact + made.near or not made.known:
        connection.execute(update(sources).where(sources.c.id == source).values(counts=json.dumps(counts)))
    store.event("import", actor, made.file, {**counts, "role": made.role, "sha256": made.sha256}, connection=connection)
