"""What a freeze would do: the splits, what is left out and why, what stands in the way. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from curation.fixes import dismissals
from curation.freeze.eligible import Blocker, blockers, drop, named, sort_rows
from curation.manifest import SplitName, newest_dataset, read_manifest
from curation.review.queue import refresh_queue
from curation.store import Store, StoredRow
from workspace.errors import did_you_mean
from workspace.folder import Project
from workspace.settings import Settings

Settled = Mapping[str, Sequence[frozenset[str]]]
Stage = Callable[[str], None]
"""Told what is being looked at, before it is."""
FIXED_ROLES: Mapping[str, SplitName] = {"train": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True, slots=True)
class FreezePlan:
    """`splits` in the order in which they will be written; `dropped` as the manifest tells it.

    `across`: near pairs with different answers that stay on two sides, because both were fixed there. `kept_test`
    names the version whose test set this one keeps, `other_test` the newest one where it is not kept. `dates` are
    keys that hold dates, by which rows could be split and are not.
    """

    test_only: bool
    splits: Mapping[SplitName, tuple[StoredRow, ...]]
    dropped: tuple[Mapping[str, Any], ...]
    blockers: tuple[Blocker, ...]
    across: tuple[Mapping[str, Any], ...] = ()
    shares: Mapping[str, float] | None = None
    rule: str = ""
    classes: Mapping[str, int] | None = None
    kept_test: str | None = None
    other_test: str | None = None
    dismissed: int = 0
    dates: tuple[str, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by split."""
        return {split: len(rows) for split, rows in self.splits.items()}


def plan_freeze(
    store: Store,
    project: Project,
    settings: Settings,
    *,
    test_only: bool = False,
    leave_out: bool = False,
    stage: Stage = lambda _: None,
) -> FreezePlan:
    """Work out a freeze from what stands in the store now."""
    refresh_queue(store, settings)
    rows = store.rows()
    settled = dismissals(store)
    before = _test_before(project)
    has_test = any(row.role == "test" for row in rows)
    if test_only and has_test:
        rows = [row for row in rows if row.role == "test"]
    found = sort_rows(rows, settings, leave_out=leave_out)
    stops = blockers(found, settings)
    fixed = {row.id: split for row in found.rows if (split := _fixed(row, before[1], settings, has_test))}
    stage("Looking for duplicates and contradictions")
    stay, doubles = _without_doubles(found.rows, fixed, settings, stops, settled)
    stage("Looking for leaks into the test set")
    leaks = [] if test_only and has_test else _leaks(stay, fixed, settled)
    if leaks:
        stops.append(_leak_blocker(leaks))
    dropped = [*found.dropped, *doubles]
    stops += _undated(stay, fixed, settings)
    if not stay and not stops:
        stops.append(Blocker("empty", "There is no row to freeze.", (), "rung data import FILE"))
    if stops:
        return FreezePlan(test_only, {}, tuple(dropped), tuple(stops))
    shares = _shares(settings, has_test)
    stage("Splitting, and looking for leaks between the splits")
    return _planned(stay, fixed, dropped, settings, settled, shares, test_only=test_only, before=before)


def _test_before(project: Project) -> tuple[str | None, frozenset[str]]:
    """The newest frozen version and the ids of its test rows: a test set stays the same from version to version."""
    folder = newest_dataset(project)
    if folder is None:
        return None, frozenset()
    manifest = read_manifest(folder)
    return manifest.version, frozenset(str(row["id"]) for row in manifest.rows if row.get("split") == "test")


def _fixed(row: StoredRow, tested: frozenset[str], settings: Settings, has_test: bool) -> SplitName | None:
    """The split that a row must go to, None where the split is free."""
    if row.role in FIXED_ROLES:
        return FIXED_ROLES[row.role]
    if row.id in tested and not has_test:
        return "test"
    if row.origin == "generated" and not settings.review.generated_in_test:
        return "train"
    return "validation" if row.mark == "validation" else "train" if row.mark == "train" else None


def _without_doubles(
    rows: Sequence[StoredRow],
    fixed: Mapping[str, SplitName],
    settings: Settings,
    stops: list[Blocker],
    settled: Settled,
) -> tuple[list[StoredRow], list[dict[str, Any]]]:
    """Rows without the duplicates that edits left on the training side; contradictions there are blockers."""
    from curation.dedup import dedup

    side = [row for row in rows if row.role != "validation" and fixed.get(row.id) != "test"]
    if not side:
        return list(rows), []
    first = [bool(row.mark) or (row.is_reviewed and not row.automatic) for row in side]
    result = dedup([row.example for row in side], settings.dataset.threshold, reviewed=first)
    gone = {side[each.index].id: each for each in result.removed}
    sets = settled.get("contradictions", ())
    pairs = [(side[p.index], side[p.other]) for p in result.pairs if p.kind == "contradiction"]
    stands = [pair for pair in pairs if not any({pair[0].id, pair[1].id} <= rows_ for rows_ in sets)]
    if stands:
        stops.append(_contradiction_blocker(stands))
    dropped = [
        drop(row, f"{gone[row.id].kind} duplicate", kept=side[gone[row.id].kept].id, similarity=gone[row.id].similarity)
        for row in rows
        if row.id in gone
    ]
    return [row for row in rows if row.id not in gone], dropped


def _contradiction_blocker(pairs: Sequence[tuple[StoredRow, StoredRow]]) -> Blocker:
    shown = "; ".join(named(pair) for pair in pairs[:3]) + (f"; and {len(pairs) - 3:,} more" if len(pairs) > 3 else "")
    rows = tuple(dict.fromkeys(row.id for pair in pairs for row in pair))
    text = f"{len(pairs):,} pairs ask the same question and answer it differently: {shown}."
    opener = "rung data fix contradictions, then reject or edit one of each pair"
    return Blocker("contradictions", text, rows, opener)


def _leaks(
    rows: Sequence[StoredRow], fixed: Mapping[str, SplitName], settled: Settled
) -> list[tuple[StoredRow, StoredRow, str]]:
    """(train row, test row, kind) of each leak of a fixed test set that nobody settled."""
    from curation.leakage import find_leaks

    test = [row for row in rows if fixed.get(row.id) == "test"]
    learnt = [row for row in rows if fixed.get(row.id) != "test"]
    if not test or not learnt:
        return []
    known = frozenset().union(*settled.get("leaks", ()))
    report = find_leaks([row.example for row in learnt], [row.example for row in test])
    found = [(learnt[leak.train], test[leak.test], leak.kind) for leak in report.leaks]
    return [each for each in found if each[0].id not in known]


def _leak_blocker(leaks: Sequence[tuple[StoredRow, StoredRow, str]]) -> Blocker:
    shown = ", ".join(f"{a.id} ({a.source}) and test {b.id} ({b.source}): {kind}" for a, b, kind in leaks[:3])
    more = f" and {len(leaks) - 3:,} pairs more" if len(leaks) > 3 else ""
    rows = tuple(dict.fromkeys(row.id for row, _, _ in leaks))
    return Blocker(
        "leaks",
        f"{len(rows):,} {'row leaks' if len(rows) == 1 else 'rows leak'} the test set: {shown}{more}.",
        rows,
        "rung data fix leaks",
    )


def _planned(
    rows: Sequence[StoredRow],
    fixed: Mapping[str, SplitName],
    dropped: list[dict[str, Any]],
    settings: Settings,
    settled: Settled,
    shares: Mapping[SplitName, float],
    *,
    test_only: bool,
    before: tuple[str | None, frozenset[str]],
) -> FreezePlan:
    from curation.split import closed_classes
    from curation.timesplit import date_keys, planned

    examples = [row.example for row in rows]
    pinned = {index: fixed[row.id] for index, row in enumerate(rows) if row.id in fixed}
    plan = planned(examples, settings.dataset, shares, pinned)
    for conflict in plan.left_out:
        against = rows[conflict.against]
        evidence = {"against": against.id, "similarity": round(conflict.similarity, 4)}
        dropped.append(drop(rows[conflict.index], _why_left(conflict.kind, against, fixed), **evidence))
    across = tuple(
        {"row": rows[c.index].id, "other": rows[c.against].id, "kind": c.kind, "similarity": round(c.similarity, 4)}
        for c in plan.across
    )
    names: tuple[SplitName, ...] = ("test",) if test_only else ("train", "validation", "test")
    splits = {name: [rows[i] for i in plan.rows(name)] for name in names}
    if not test_only:
        searched = all(fixed.get(row.id) == "test" for row in splits["test"])
        _take_leaks_out(splits, dropped, settled, test_too=not searched)
    train = [row.example for row in splits.get("train", [])]
    same = before[1] and before[1] == {row.id for row in splits["test"]}
    return FreezePlan(
        test_only,
        {name: tuple(found) for name, found in splits.items()},
        tuple(dropped) if not test_only else (),
        tuple(_empty_splits(splits)),
        across if not test_only else (),
        {name: float(share) for name, share in shares.items()},
        plan.rule,
        dict(sorted(Counter(closed_classes(train) or ()).items())) if train else {},
        before[0] if same else None,
        None if same else before[0],
        sum(len(rows_) for rows_ in settled.get("leaks", ())),
        () if settings.dataset.split_by else tuple(date_keys(examples)),
    )


def _undated(rows: Sequence[StoredRow], fixed: Mapping[str, SplitName], settings: Settings) -> list[Blocker]:
    """Rows that a split by time could not place."""
    from curation.timesplit import date_keys, undated

    key = settings.dataset.split_by
    free = [row for row in rows if row.id not in fixed]
    bad = [free[i] for i in undated([row.example for row in free], key)] if key else []
    if not bad:
        return []
    near = did_you_mean(key, date_keys([row.example for row in free]))
    text = (
        f'{len(bad):,} rows hold no ISO date (2026-11-25) under "{key}", by which they are split: {named(bad)}.{near}'
    )
    return [Blocker("dates", text, tuple(row.id for row in bad), "[dataset] split_by in rung.toml")]


def _shares(settings: Settings, has_test: bool) -> dict[SplitName, float]:
    """Shares of the pool: nothing of it goes to test where a test set was imported."""
    validation, test = settings.dataset.validation, 0.0 if has_test else settings.dataset.test
    return {"train": max(0.0, 1 - validation - test), "validation": validation, "test": test}


def _why_left(kind: str, against: StoredRow, fixed: Mapping[str, SplitName]) -> str:
    side = fixed.get(against.id, "test")
    words = {"key": f"shares its key with a {side} row", "between": "joins rows that are fixed in two splits"}
    return words.get(kind, f"too near a {side} row ({kind})")


def _take_leaks_out(
    splits: dict[SplitName, list[StoredRow]], dropped: list[dict[str, Any]], settled: Settled, *, test_too: bool
) -> None:
    """Take out of train (and validation) what leaks into test, and of train what leaks into validation, to the end.

    A test set that was fixed was searched for before (`test_too` false).
    """
    known = frozenset().union(*settled.get("leaks", ()))
    searches: list[tuple[tuple[SplitName, ...], SplitName]] = [(("train",), "validation")]
    if test_too:
        searches.insert(0, (("train", "validation"), "test"))
    for learnt, held in searches:
        while bad := _leaking([row for name in learnt for row in splits[name]], splits[held], known):
            for name in learnt:
                dropped += [
                    drop(row, f"leaks into {held} ({bad[row.id][0]})", against=bad[row.id][1])
                    for row in splits[name]
                    if row.id in bad
                ]
                splits[name] = [row for row in splits[name] if row.id not in bad]


def _leaking(
    learnt: Sequence[StoredRow], held: Sequence[StoredRow], known: frozenset[str]
) -> dict[str, tuple[str, str]]:
    """By id of each learnt row that leaks a held row: the kind, and the held row's id."""
    from curation.leakage import find_leaks

    if not learnt or not held:
        return {}
    leaks = find_leaks([row.example for row in learnt], [row.example for row in held]).leaks
    found = {learnt[leak.train].id: (leak.kind, held[leak.test].id) for leak in reversed(leaks)}
    return {name: what for name, what in found.items() if name not in known}


def _empty_splits(splits: Mapping[SplitName, Sequence[StoredRow]]) -> list[Blocker]:
    empty = [name for name in splits if not splits[name]]
    if not empty:
        return []
    text = f"No row would be left for {' and '.join(empty)}."
    return [Blocker("empty", text, (), "rung data import FILE --as pool, or --as " + empty[0])]
