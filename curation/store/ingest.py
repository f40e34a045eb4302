"""Files into the store: every line is kept, counted as a duplicate with its evidence, known already, or rejected."""

from __future__ import annotations

import contextlib
import hashlib
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy import Connection

from curation.example import Example
from curation.likeness.duplicates import DedupResult, Removed, dedup_prints
from curation.likeness.fingerprints import Collector
from curation.likeness.sets import I64
from curation.rows import Columns, Reject, malformed_error
from curation.rows.rejects import reject_json
from curation.rows.rowfile import Chosen, RowFile
from curation.store import Added, NewRow, Role, Store, StoredRows
from curation.store.reading import up_to
from curation.store.records import LEARNT, ROLES, Link, number_of, row_id
from curation.store.writing import change_rows, last_row, source_number, write_counts, write_links
from workspace.errors import InputError, Problem, RungError, did_you_mean
from workspace.files import replacing, sha256_file
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class ImportBatch:
    """The lines of one file, read: its path as given, SHA-256, sound rows and rejects. No row is held."""

    path: str
    sha256: str
    rows: Chosen
    rejects: Sequence[Reject]
    columns: Columns = field(default_factory=Columns)
    """The columns that were named for it."""


@dataclass(frozen=True, slots=True)
class Imported:
    """Result of an import: read = kept + exact + near + known + rejected lines."""

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
        """Return the counts, for `--json` and the store."""
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
) -> list[ImportBatch]:
    """Read whole files (those below a folder each by itself) before anything is stored.

    Raises RungError for an unknown role or a file that cannot be read, InputError with all malformed lines of all
    files, unless `keep_rejects`.
    """
    if role not in ROLES:
        raise RungError(f'"{role}" is not a role.{did_you_mean(role, ROLES)}', "--as " + "|".join(ROLES), found=role)
    rows = RowFile(paths, fmt, columns=columns, unanswered=role == "pool", notice=notice, progress=progress)
    batches = [replace(_read(rows, number), columns=columns or Columns()) for number in range(len(rows.files))]
    if rows.rejects and not keep_rejects:
        raise malformed_error(rows.rejects)
    empty = [batch.path for batch in batches if not batch.rows and not batch.rejects]
    if empty and len(empty) == len(batches):
        text = "no rows. Nothing was imported."
        raise InputError([Problem(text, where=path, expected="rows", found="none") for path in empty])
    for path in empty:
        if notice:
            notice(f"! {path}: no rows.")
    return batches


def ingest(store: Store, settings: Settings, batch: ImportBatch, role: Role, *, actor: str = "rung") -> Imported:
    """Store one file in one transaction: killed at any moment, the same call again finishes the work.

    Duplicates of what the training side holds, and within the file, are stored too, but taken out with reason and
    evidence. Rows whose content this role holds already are counted as known. `refresh_queue` then queues what the
    policy asks for.
    """
    with store.write(alone=True) as connection:
        source, before = source_number(connection, batch.path, batch.sha256, role), last_row(connection)
        new = (NewRow(example, batch.rows.where(index)[1]) for index, example in enumerate(batch.rows))
        added = store.add(new, role=role, source=source, twins=True, connection=connection)
        counts: dict[str, int] = {}
        if role in LEARNT and added.fresh:
            counts = take_out(connection, settings.dataset.threshold, before, _fresh(batch, added), actor)
        made = _counted(batch, role, added, counts)
        counts = {name: value for name, value in made.to_json().items() if isinstance(value, int)}
        if made.kept + made.exact + made.near or not made.known:  # the counts of the first time are kept
            write_counts(connection, source, counts)
        detail: dict[str, Any] = {**counts, "role": role, "sha256": made.sha256}
        if batch.columns.named:
            detail["columns"] = asdict(batch.columns)
        store.event("import", actor, made.file, detail, connection=connection)
    return made


def columns_before(store: Store, header: Sequence[str]) -> Columns:
    """Return the columns that the newest import of a file with these columns named, undone imports left out."""
    kept = {source.path for source in store.sources()}
    for event in reversed(store.events(kind="import")):
        columns = Columns(**event.detail.get("columns", {}))
        if event.ref in kept and columns.named and set(columns.named) <= set(header):
            return columns
    return Columns()


def merge_rejects(path: Path, files: Sequence[str], rejects: Iterable[Reject]) -> None:
    """Write rejects to `path`; lines that an earlier import of other files left there stay.

    Raises RungError if `path` holds something else than rejects: it is not overwritten.
    """
    others, before = set(files), contextlib.nullcontext[Iterable[bytes]](())
    with path.open("rb") if path.is_file() else before as lines, replacing(path) as file:
        for number, line in enumerate(lines, 1):
            try:
                stands = bool(line.strip()) and json.loads(line)["file"] not in others
            except (ValueError, KeyError, TypeError) as error:
                said = f"{path} line {number}: not a file of rejects. Nothing was written."
                raise RungError(said, "--rejects with another name", where=str(path)) from error
            if stands:
                file.write(line.removesuffix(b"\n") + b"\n")
        file.writelines(map(reject_json, rejects))


def _read(rows: RowFile, number: int) -> ImportBatch:
    file, first, rejected, lines = rows.files[number], len(rows), len(rows.rejects), hashlib.sha256()
    before = "" if str(file) == "-" else _digest(file)
    for items in rows.read_file(number):
        if not before:
            lines.update(b"".join([item.raw + b"\n" for item in items]))
    if before and _digest(file) != before:
        raise RungError(f"{file}: changed while it was read. Nothing was stored.", "Rerun the command.")
    rejects = rows.rejects[rejected:]
    return ImportBatch(
        rows.name_of(number), before or lines.hexdigest(), Chosen(rows, range(first, len(rows))), rejects
    )


def _digest(file: Path) -> str:
    if not file.is_file():
        return ""
    try:
        return sha256_file(file)
    except OSError as error:
        raise RungError(f"{file}: cannot be read ({error.strerror}).", where=str(file)) from error


def _fresh(batch: ImportBatch, added: Added) -> Iterator[tuple[int, Example]]:
    for number, twin, example in zip(added.numbers, added.twin, batch.rows, strict=True):
        if not twin:
            yield number, example


def _counted(batch: ImportBatch, role: str, added: Added, counts: dict[str, int]) -> Imported:
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
        unanswered=added.unanswered,
        first=row_id(added.numbers[first]) if added.fresh else "",
        last=row_id(added.numbers[last]) if added.fresh else "",
        rejects=batch.rejects,
    )


LINKS_A_ROW = 50
"""Near rows remembered for each row, to be shown beside it; the checks find all of them again."""


def take_out(
    connection: Connection,
    threshold: float,
    before: int,
    fresh: Iterable[tuple[int, Example]],
    actor: str,
) -> dict[str, int]:
    """Exclude duplicates among the rows after `before`, store near pairs; return counts by kind."""
    collector, numbers = Collector(), array("q")
    reviewed = bytearray()
    for each in up_to(connection, before, LEARNT):
        if each.state != "rejected":
            collector.add_rows((each.example,))
            numbers.append(number_of(each.id))
            reviewed.append(each.is_kept_by_person)
    start = len(numbers)
    for number, example in fresh:
        collector.add_rows((example,))
        numbers.append(number)
    if len(numbers) == start:
        return {}
    reviewed.extend(bytes(len(numbers) - start))
    fetch = StoredRows(connection, numbers).fetch
    result = dedup_prints(collector.finish(fetch), fetch, threshold, reviewed=list(map(bool, reviewed)))
    counts = _exclude(connection, numbers, result, start, actor)
    write_links(connection, _links(numbers, result, start))
    fresh_pairs = [pair for pair in result.pairs if pair.other >= start]
    for kind in ("contradiction", "minimal_pair"):
        counts[kind] = sum(pair.kind == kind for pair in fresh_pairs)
    return counts


def _exclude(
    connection: Connection, numbers: array[int], result: DedupResult, start: int, actor: str
) -> dict[str, int]:
    counts, fresh, of = {}, result.gone >= start, np.frombuffer(numbers, np.int64)
    for kind, its in (("exact", result.gone_exact), ("near", ~result.gone_exact)):
        places = np.flatnonzero(fresh & its)
        out = of[result.gone[places]]
        counts[kind] = len(places)

        def evidence(part: Sequence[int], places: I64 = places, out: I64 = out) -> dict[int, dict[str, Any]]:
            found = result.removed_at(places[np.searchsorted(out, part)])
            return {numbers[each.index]: _evidence(each, numbers) for each in found}

        if len(places):
            change_rows(
                connection, "exclude", array("q", out.tobytes()), {},
                actor=actor, reason=f"{kind} duplicate", finding="duplicates", evidence=evidence,
            )  # fmt: skip
    return counts


def _evidence(gone: Removed, numbers: array[int]) -> dict[str, Any]:
    via = {"via": row_id(numbers[gone.via])} if gone.via is not None else {}
    kept = row_id(numbers[gone.kept])
    return {"kind": gone.kind, "kept": kept, "similarity": round(gone.similarity, 4), **via}


def _links(numbers: array[int], result: DedupResult, start: int) -> Iterator[Link]:
    """Yield pairs with a fresh row, at most LINKS_A_ROW for each, contradictions first."""
    seen: dict[int, int] = {}
    order = {"contradiction": 0, "minimal_pair": 1, "short_near": 2}
    for pair in sorted(result.pairs, key=lambda pair: (order[pair.kind], -pair.similarity)):
        if pair.other < start or max(seen.get(pair.index, 0), seen.get(pair.other, 0)) >= LINKS_A_ROW:
            continue
        for index in (pair.index, pair.other):
            seen[index] = seen.get(index, 0) + 1
        yield Link(row_id(numbers[pair.index]), row_id(numbers[pair.other]), pair.kind, round(pair.similarity, 4))
