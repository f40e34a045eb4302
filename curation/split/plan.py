"""Preview of a freeze: the splits, rows left out and why, blockers. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import cycle

from curation.checks.dismissals import Settled, dismissals, settled_pairs
from curation.likeness.duplicates import dedup
from curation.likeness.fingerprints import Fingerprinted
from curation.likeness.leaks.find import find_leaks, leaks_between
from curation.review.queue import refresh_queue
from curation.split.audit import samples_of
from curation.split.manifest import (
    LeftOutRow,
    Manifest,
    PairAcross,
    SampleFacts,
    SplitName,
    newest_dataset,
    read_manifest,
)
from curation.split.split import closed_classes, date_at, date_keys, planned
from curation.store import Store, StoredRow
from curation.store.records import WAITING
from workspace.counted import counted
from workspace.errors import did_you_mean
from workspace.files import sha256_bytes
from workspace.folder import Project
from workspace.settings import Settings


@dataclass(frozen=True, slots=True)
class Blocker:
    """A blocker of a freeze: rule, row ids, sentence, and the command that resolves it."""

    kind: str
    text: str
    rows: tuple[str, ...]
    opener: str


@dataclass
class Sorted:
    """Rows sorted by what a freeze may do with them. `dropped` is what the manifest says of those left out."""

    rows: list[StoredRow] = field(default_factory=list)
    dropped: list[LeftOutRow] = field(default_factory=list)
    undecided: list[StoredRow] = field(default_factory=list)
    demanded: list[StoredRow] = field(default_factory=list)


def drop(row: StoredRow, reason: str) -> LeftOutRow:
    """Return an entry of `manifest.dropped`."""
    return {"id": row.id, "source": row.source, "role": row.role, "reason": reason}


def sort_rows(rows: Sequence[StoredRow], settings: Settings, *, leave_out: bool) -> Sorted:
    """Sort the rows that were not taken out."""
    found = Sorted()
    for row in rows:
        reason = _left_out(row)
        if reason:
            found.dropped.append(drop(row, reason))
        elif row.state in WAITING and (row.origin == "generated" or row.role == "candidates"):
            if leave_out:
                found.dropped.append(drop(row, "waits for review"))
            else:
                found.undecided.append(row)
        elif row.state in WAITING or (settings.review.pool == "all" and not row.is_reviewed):
            found.demanded.append(row)
        else:
            found.rows.append(row)
    return found


def blockers(found: Sorted, settings: Settings) -> list[Blocker]:
    """Return the open review work as blockers."""
    made = []
    if found.undecided:
        few = len(found.undecided) == 1
        what = f"generated or candidate {'row has' if few else 'rows have'} no decision yet"
        made.append(_blocker("undecided", found.undecided, what, "rung review   (or --leave-out-undecided)"))
    if found.demanded:
        policy = {"all": "all of your own rows", "sample": "the drawn sample", "trust": "rows sent to review"}
        rows = "row waits" if len(found.demanded) == 1 else "rows wait"
        what = f"{rows} for review, and the policy asks for {policy[settings.review.pool]}"
        tested = sum(row.role == "test" for row in found.demanded)
        if 0 < tested < len(found.demanded):
            what += f"; {tested:,} are in the test set, and --test-only needs no others"
        trust = '   (or trust these labels: [review] pool = "trust")' if settings.review.pool == "sample" else ""
        made.append(_blocker("unreviewed", found.demanded, what, "rung review" + trust))
    return made


def _left_out(row: StoredRow) -> str:
    """Return the reason why a row is left out without blocking the freeze; empty if it is not."""
    if row.state == "rejected":
        return "rejected in review"
    if row.example.messages and not row.example.is_answered:
        return "has no answer yet"
    return ""


def _blocker(kind: str, rows: Sequence[StoredRow], what: str, opener: str) -> Blocker:
    return Blocker(kind, f"{len(rows):,} {what}: {named(rows)}.", tuple(row.id for row in rows), opener)


def named(rows: Sequence[StoredRow], most: int = 5) -> str:
    """Return the first rows by id and place, and how many more."""
    shown = [f"{row.id} ({row.source})" if row.source else row.id for row in rows[:most]]
    return ", ".join(shown) + (f" and {len(rows) - most:,} more" if len(rows) > most else "")


Stage = Callable[[str], None]
"""Called with the name of each step before the step starts."""
FIXED_ROLES: Mapping[str, SplitName] = {"train": "train", "validation": "validation", "test": "test"}


@dataclass(frozen=True)
class FreezePlan:
    """`splits` in the order in which they will be written; `dropped` as the manifest tells it.

    `across`: near pairs with different answers that stay on two sides, because both were fixed there. `kept_test`
    names the version whose test set this one keeps, `other_test` the newest one where it is not kept. `dates` are
    keys that hold dates, by which rows could be split and are not. `samples` are those of the review, as the manifest
    holds them.
    """

    test_only: bool
    splits: Mapping[SplitName, tuple[StoredRow, ...]]
    dropped: tuple[LeftOutRow, ...]
    blockers: tuple[Blocker, ...]
    across: tuple[PairAcross, ...] = ()
    shares: Mapping[str, float] | None = None
    rule: str = ""
    classes: Mapping[str, int] | None = None
    kept_test: str | None = None
    other_test: str | None = None
    dismissed: int = 0
    dates: tuple[str, ...] = ()
    samples: tuple[SampleFacts, ...] = ()

    @property
    def sizes(self) -> dict[str, int]:
        """Rows by split."""
        return {split: len(rows) for split, rows in self.splits.items()}

    @cached_property
    def files(self) -> dict[SplitName, bytes]:
        """The file of each split."""
        texts = {split: "".join(f"{row.example.to_json()}\n" for row in rows) for split, rows in self.splits.items()}
        return {split: text.encode() for split, text in texts.items()}


def plan_freeze(
    store: Store,
    project: Project,
    settings: Settings,
    *,
    test_only: bool = False,
    leave_out: bool = False,
    stage: Stage = lambda _: None,
) -> FreezePlan:
    """Work out a freeze of what is in the store now.

    The newest version's test set is kept. Where nothing has changed since a version that cut its own test set from
    the pool, the plan is that of this version.
    """
    refresh_queue(store, settings)
    rows, settled = store.rows(), dismissals(store)
    newest = newest_dataset(project)
    manifest = read_manifest(newest) if newest else None

    def plan(kept: Manifest | None) -> FreezePlan:
        return _plan(store, rows, settings, settled, kept, test_only=test_only, leave_out=leave_out, stage=stage)

    found = plan(manifest)
    if manifest is not None and not test_only and _may_be_the_same(found, manifest):
        fresh = plan(None)
        known = {name: each.sha256 for name, each in manifest.splits.items()}
        if not fresh.blockers and {name: sha256_bytes(data) for name, data in fresh.files.items()} == known:
            return replace(fresh, kept_test=manifest.version, other_test=None)
    return found


def _may_be_the_same(found: FreezePlan, manifest: Manifest) -> bool:
    """True if a version was cut without a test set before it, and may know the very rows of a plan."""
    if manifest.test_only or manifest.policy.get("test_kept_from"):
        return False
    if found.blockers:  # what leaked into a later part of the pool was dropped when this version was cut
        return all(blocker.kind == "leaks" for blocker in found.blockers)
    now = {row.id for rows in found.splits.values() for row in rows} | {str(each["id"]) for each in found.dropped}
    return now == {str(each["id"]) for each in (*manifest.rows, *manifest.dropped)}


def _plan(
    store: Store,
    rows: list[StoredRow],
    settings: Settings,
    settled: Settled,
    kept: Manifest | None,
    *,
    test_only: bool,
    leave_out: bool,
    stage: Stage,
) -> FreezePlan:
    tested = frozenset(str(row["id"]) for row in kept.rows if row.get("split") == "test") if kept else frozenset()
    before = (kept.version if kept else None, tested)
    has_test = any(row.role == "test" for row in rows)
    if test_only and has_test:
        rows = [row for row in rows if row.role == "test"]
    found = sort_rows(rows, settings, leave_out=leave_out)
    stops = blockers(found, settings)
    fixed = {row.id: split for row in found.rows if (split := _fixed(row, tested, settings, has_test))}
    stage("Looking for duplicates and contradictions")
    known = Fingerprinted(row.example for row in found.rows)
    stay, doubles = _without_doubles(found.rows, known, fixed, settings, stops, settled)
    stage("Looking for leaks into the test set")
    leaks = [] if test_only and has_test else _leaks(rows, stay, tested, fixed, settled)
    if leaks:
        stops.append(_leak_blocker(leaks))
    dropped = [*found.dropped, *doubles]
    stops += _undated(stay, fixed, settings)
    if not stay and not stops:
        stops.append(Blocker("empty", "There is no row to freeze.", (), "rung data import FILE"))
    samples = tuple(samples_of(store, settings, found.rows))
    if stops:
        return FreezePlan(test_only, {}, tuple(dropped), tuple(stops), samples=samples)
    shares = _shares(settings, has_test)
    stage("Splitting, and looking for leaks between the splits")
    gone = {entry["id"] for entry in doubles}
    known = known.take(place for place, row in enumerate(found.rows) if row.id not in gone)
    planned = _planned(stay, known, fixed, dropped, settings, settled, shares, test_only=test_only, before=before)
    return replace(planned, samples=samples)


def _fixed(row: StoredRow, tested: frozenset[str], settings: Settings, has_test: bool) -> SplitName | None:
    """Return the split that a row must go to, None if the split is free."""
    if row.role in FIXED_ROLES:
        return FIXED_ROLES[row.role]
    if row.id in tested and not has_test:
        return "test"
    if row.origin == "generated" and not settings.review.generated_in_test:
        return "train"
    return "validation" if row.mark == "validation" else "train" if row.mark == "train" else None


def _without_doubles(
    rows: Sequence[StoredRow],
    known: Fingerprinted,
    fixed: Mapping[str, SplitName],
    settings: Settings,
    stops: list[Blocker],
    settled: Settled,
) -> tuple[list[StoredRow], list[LeftOutRow]]:
    """Return rows without the duplicates that edits left on the training side; contradictions there are blockers."""
    places = [at for at, row in enumerate(rows) if row.role != "validation" and fixed.get(row.id) != "test"]
    if not places:
        return list(rows), []
    side = [rows[place] for place in places]
    first = [bool(row.mark) or row.is_kept_by_person for row in side]
    result = dedup(known.take(places), settings.dataset.threshold, reviewed=first)
    gone = {side[each.index].id: each for each in result.removed}
    is_settled = settled_pairs(settled.get("contradictions", ()))
    pairs = [(side[p.index], side[p.other]) for p in result.pairs if p.kind == "contradiction"]
    stands = [pair for pair in pairs if not is_settled(pair[0].id, pair[1].id)]
    if stands:
        stops.append(_contradiction_blocker(stands))
    dropped: list[LeftOutRow] = [
        {**drop(row, f"{its.kind} duplicate"), "kept": side[its.kept].id, "similarity": its.similarity}
        for row in rows
        if (its := gone.get(row.id))
    ]
    return [row for row in rows if row.id not in gone], dropped


def _contradiction_blocker(pairs: Sequence[tuple[StoredRow, StoredRow]]) -> Blocker:
    shown = "; ".join(named(pair) for pair in pairs[:3]) + (f"; and {len(pairs) - 3:,} more" if len(pairs) > 3 else "")
    rows = tuple(dict.fromkeys(row.id for pair in pairs for row in pair))
    asks = "ask" if len(pairs) > 1 else "asks"
    answer = "answer" if len(pairs) > 1 else "answers"
    text = f"{counted(len(pairs), 'pair')} {asks} the same question and {answer} it differently: {shown}."
    opener = "rung data fix contradictions, then reject or edit one of each pair"
    return Blocker("contradictions", text, rows, opener)


def _leaks(
    rows: Sequence[StoredRow],
    stay: Sequence[StoredRow],
    tested: frozenset[str],
    fixed: Mapping[str, SplitName],
    settled: Settled,
) -> list[tuple[StoredRow, StoredRow, str]]:
    """(train row, test row, kind) of each leak of a fixed test set that nobody settled.

    They are those that `rung data check` finds, where both rows stay: a phrase is counted over all rows that are in.
    """
    held = {row.id: row for row in stay if fixed.get(row.id) == "test"}
    kept = {row.id: row for row in stay if row.id not in held}
    if not held or not kept:
        return []
    learnt, validated, tests = list[StoredRow](), list[StoredRow](), list[StoredRow]()
    for row in rows:
        if row.state != "rejected":
            is_test = row.role == "test" or row.id in tested
            (tests if is_test else validated if row.role == "validation" else learnt).append(row)
    sides = [[row.example for row in side] for side in (learnt, validated, tests)]
    names, against = ([row.id for row in side] for side in ([*learnt, *validated], [*validated, *tests]))
    found = ((names[leak.train], against[leak.test], leak.kind) for leak in leaks_between(*sides)[0])
    is_settled = settled_pairs(settled.get("leaks", ()))
    return [
        (kept[row], held[other], kind)
        for row, other, kind in found
        if row in kept and other in held and not is_settled(row, other)
    ]


def _leak_blocker(leaks: Sequence[tuple[StoredRow, StoredRow, str]]) -> Blocker:
    shown = ", ".join(f"{a.id} ({a.source}) and test {b.id} ({b.source}): {kind}" for a, b, kind in leaks[:3])
    more = f" and {counted(len(leaks) - 3, 'more pair')}" if len(leaks) > 3 else ""
    rows = tuple(dict.fromkeys(row.id for row, _, _ in leaks))
    return Blocker(
        "leaks",
        f"{len(rows):,} {'row leaks' if len(rows) == 1 else 'rows leak'} the test set: {shown}{more}.",
        rows,
        "rung data fix leaks",
    )


def _planned(
    rows: Sequence[StoredRow],
    examples: Fingerprinted,
    fixed: Mapping[str, SplitName],
    dropped: list[LeftOutRow],
    settings: Settings,
    settled: Settled,
    shares: Mapping[SplitName, float],
    *,
    test_only: bool,
    before: tuple[str | None, frozenset[str]],
) -> FreezePlan:
    pinned = {index: fixed[row.id] for index, row in enumerate(rows) if row.id in fixed}
    plan = planned(examples, settings.dataset, shares, pinned)
    for conflict in plan.left_out:
        against = rows[conflict.against]
        entry = drop(rows[conflict.index], _why_left(conflict.kind, against, fixed))
        dropped.append({**entry, "against": against.id, "similarity": round(conflict.similarity, 4)})
    across = tuple[PairAcross, ...](
        {"row": rows[c.index].id, "other": rows[c.against].id, "kind": c.kind, "similarity": round(c.similarity, 4)}
        for c in plan.across
    )
    names: tuple[SplitName, ...] = ("test",) if test_only else ("train", "validation", "test")
    splits = {name: [rows[i] for i in plan.rows(name)] for name in names}
    if not test_only:
        _take_leaks_out(splits, dropped, settled)
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
        _dismissed(splits, settled),
        () if settings.dataset.split_by else tuple(date_keys(examples)),
    )


def _dismissed(splits: Mapping[SplitName, Sequence[StoredRow]], settled: Settled) -> int:
    """Return the number of dismissed leaks whose two rows are both here."""
    here = {row.id for rows in splits.values() for row in rows}
    return sum(len(each & here) > 1 for each in settled.get("leaks", ()))


def _undated(rows: Sequence[StoredRow], fixed: Mapping[str, SplitName], settings: Settings) -> list[Blocker]:
    """Return rows that a split by time could not place."""
    key = settings.dataset.split_by
    free = [row for row in rows if row.id not in fixed]
    bad = [row for row in free if key and date_at(row.example, key) is None]
    if not bad:
        return []
    near = did_you_mean(key, date_keys([row.example for row in free]))
    text = (
        f'{len(bad):,} rows hold no ISO date (2026-11-25) under "{key}", by which they are split: {named(bad)}.{near}'
    )
    return [Blocker("dates", text, tuple(row.id for row in bad), "[dataset] split_by in rung.toml")]


def _shares(settings: Settings, has_test: bool) -> dict[SplitName, float]:
    """Return shares of the pool: nothing of it goes to test where a test set was imported."""
    validation, test = settings.dataset.validation, 0.0 if has_test else settings.dataset.test
    return {"train": max(0.0, 1 - validation - test), "validation": validation, "test": test}


def _why_left(kind: str, against: StoredRow, fixed: Mapping[str, SplitName]) -> str:
    side = fixed.get(against.id, "test")
    words = {"key": f"shares its key with a {side} row", "between": "joins rows that are fixed in two splits"}
    return words.get(kind, f"too near a {side} row ({kind})")


def _take_leaks_out(splits: dict[SplitName, list[StoredRow]], dropped: list[LeftOutRow], settled: Settled) -> None:
    """Take out of train (and validation) what leaks into test, and of train what leaks into validation, to the end.

    With fewer rows a phrase is rarer: also of a test set that was searched for before, there can be more.
    """
    is_settled = settled_pairs(settled.get("leaks", ()))
    searches: list[tuple[list[SplitName], SplitName]] = [(["train", "validation"], "test"), (["train"], "validation")]
    found_nothing = 0
    for learnt, held in cycle(searches):
        bad = _leaking([row for name in learnt for row in splits[name]], splits[held], is_settled)
        found_nothing = 0 if bad else found_nothing + 1
        if found_nothing == len(searches):
            return
        for name in learnt:
            dropped += [
                {**drop(row, f"leaks into {held} ({bad[row.id][0]})"), "against": bad[row.id][1]}
                for row in splits[name]
                if row.id in bad
            ]
            splits[name] = [row for row in splits[name] if row.id not in bad]


def _leaking(
    learnt: Sequence[StoredRow], held: Sequence[StoredRow], is_settled: Callable[[str, str], bool]
) -> dict[str, tuple[str, str]]:
    """Return for each learned row (by id) that leaks a held-out row: the kind, and the held-out row's id."""
    if not learnt or not held:
        return {}
    leaks = find_leaks([row.example for row in learnt], [row.example for row in held]).leaks
    found = [(learnt[leak.train].id, leak.kind, held[leak.test].id) for leak in reversed(leaks)]
    return {name: (kind, other) for name, kind, other in found if not is_settled(name, other)}


def _empty_splits(splits: Mapping[SplitName, Sequence[StoredRow]]) -> list[Blocker]:
    empty = [name for name in splits if not splits[name]]
    if not empty:
        return []
    text = f"No row would be left for {' and '.join(empty)}."
    return [Blocker("empty", text, (), "rung data import FILE --as pool, or --as " + empty[0])]
