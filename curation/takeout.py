"""Duplicates among rows that were just stored, and the pairs that stay: rows are read from the store when needed.

Of the rows of the training side, which may be very many, only numbers and fingerprints are held.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from curation.example import Example
from curation.store.ids import number_of, row_id
from curation.store.records import Link

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from curation.dedup import DedupResult, Removed
    from curation.prints import Collector
    from curation.sets import I64
    from curation.store import Store

TRAINING_SIDE = ("pool", "candidates", "train")
"""Roles in which duplicates are taken out; validation and test sets are kept as they are."""
LINKS_A_ROW = 50
"""Near rows remembered for each row, to be shown beside it; the checks find all of them anew."""
HASHES_HELD = 1 << 24
"""Hashes of rows, of 4 bytes each, that are held; those of more rows lie in a temporary file."""


class Stored:
    """Rows of the store by their place in `numbers`."""

    def __init__(self, connection: Connection, numbers: array[int]) -> None:
        self._connection, self._numbers = connection, numbers

    def fetch(self, indices: Sequence[int]) -> list[Example]:
        """The rows at `indices`."""
        from sqlalchemy import select

        from curation.store.reading import chunks
        from curation.store.tables import rows

        numbers = [self._numbers[index] for index in indices]
        found: dict[int, str] = {}
        for part in chunks(list(set(numbers))):
            asked = select(rows.c.id, rows.c.payload).where(rows.c.id.in_(part))
            found.update((number, row) for number, row in self._connection.execute(asked))
        return [Example.from_json(found[number]) for number in numbers]


def take_out(
    store: Store,
    connection: Connection,
    threshold: float,
    before: int,
    fresh: Iterable[tuple[int, Example]],
    actor: str,
) -> dict[str, int]:
    """Exclude duplicates among the fresh rows, remember near pairs; counts by kind. Rows up to number `before` were
    there already.
    """
    from curation.dedup import dedup_prints
    from curation.prints import Collector
    from curation.store.pairs import write_links

    collector, numbers = Collector(memory=HASHES_HELD), array("q")
    reviewed = _take_standing(connection, collector, numbers, before)
    start = len(numbers)
    for number, example in fresh:
        collector.add(example)
        numbers.append(number)
    if len(numbers) == start:
        return {}
    reviewed.extend(bytes(len(numbers) - start))
    source = Stored(connection, numbers)
    result = dedup_prints(collector.finish(source), source, threshold, reviewed=list(map(bool, reviewed)))
    counts = _exclude(store, connection, numbers, result, start, actor)
    write_links(connection, _links(numbers, result, start))
    fresh_pairs = [pair for pair in result.pairs if pair.other >= start]
    for kind in ("contradiction", "minimal_pair"):
        counts[kind] = sum(pair.kind == kind for pair in fresh_pairs)
    return counts


def _take_standing(connection: Connection, collector: Collector, numbers: array[int], before: int) -> bytearray:
    """Rows of the training side that are in and were not rejected; for each whether a person reviewed it."""
    from curation.store.reading import narrowed, query, stream
    from curation.store.tables import rows

    reviewed = bytearray()
    standing = narrowed(query(), list(TRAINING_SIDE), None, None, False).where(rows.c.id <= before)
    for each in stream(connection, standing):
        if each.state != "rejected":
            collector.add(each.example)
            numbers.append(number_of(each.id))
            reviewed.append(each.is_reviewed and not each.automatic)
    return reviewed


def _exclude(
    store: Store, connection: Connection, numbers: array[int], result: DedupResult, start: int, actor: str
) -> dict[str, int]:
    import numpy as np

    counts, fresh, of = {}, result.gone >= start, np.frombuffer(numbers, np.int64)
    for kind, its in (("exact", result.gone_exact), ("near", ~result.gone_exact)):
        places = np.flatnonzero(fresh & its)
        out = of[result.gone[places]]
        counts[kind] = len(places)

        def evidence(part: Sequence[int], places: I64 = places, out: I64 = out) -> dict[int, dict[str, Any]]:
            found = result.removed_at(places[np.searchsorted(out, part)])
            return {numbers[each.index]: _evidence(each, numbers) for each in found}

        if len(places):
            store.exclude_numbered(
                array("q", out.tobytes()), f"{kind} duplicate", "duplicates",
                actor=actor, evidence=evidence, connection=connection,
            )  # fmt: skip
    return counts


def _evidence(gone: Removed, numbers: array[int]) -> dict[str, Any]:
    via = {"via": row_id(numbers[gone.via])} if gone.via is not None else {}
    kept = row_id(numbers[gone.kept])
    return {"kind": gone.kind, "kept": kept, "similarity": round(gone.similarity, 4), **via}


def _links(numbers: array[int], result: DedupResult, start: int) -> Iterator[Link]:
    """Pairs with a fresh row, at most LINKS_A_ROW for each, contradictions first."""
    seen: dict[int, int] = {}
    order = {"contradiction": 0, "minimal_pair": 1, "short_near": 2}
    for pair in sorted(result.pairs, key=lambda pair: (order[pair.kind], -pair.similarity)):
        if pair.other < start or max(seen.get(pair.index, 0), seen.get(pair.other, 0)) >= LINKS_A_ROW:
            continue
        for index in (pair.index, pair.other):
            seen[index] = seen.get(index, 0) + 1
        yield Link(row_id(numbers[pair.index]), row_id(numbers[pair.other]), pair.kind, round(pair.similarity, 4))
