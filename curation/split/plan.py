"""Preview of a freeze: the splits, rows left out and why, blockers. Nothing is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
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
from curation.split.split import closed_classes, date_at, date_keys, plan_split
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


def drop(row: StoredRow, reason: str) -> LeftOutRow:
    """Return an entry of `manifest.dropped`."""
    return {"id": row.id, "source": row.source, "role": row.role, "reason": reason}


def _left_out(row: StoredRow) -> str:
    """Return the reason why a row is left out without blocking the freeze; empty if it is not."""
    if row.state == "rejected":
        return "rejected in review"
    if row.example.messages and not row.example.is_answered:
        return "has no answer yet"
    return ""


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
    newest = newest_dataset(project)
    manifest = read_manifest(newest) if newest else None
    given = _Planning(store, settings, store.rows(), dismissals(store), manifest, test_only, leave_out, stage)
    found = given.plan()
    if manifest is not None and not test_only and _may_be_the_same(found, manifest):
        fresh = replace(given, kept=None).plan()
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


@dataclass
class _Planning:
    """A freeze as it is worked out: its rows, and what was found so far. `kept` has the test set that stays.

    `fixed` is the split of each row (by id) that is not free, `tested` are the ids of the test set that stays.
    """

    store: Store
    settings: Settings
    rows: list[StoredRow]
    settled: Settled
    kept: Manifest | None
    test_only: bool
    leave_out: bool
    stage: Stage

    def plan(self) -> FreezePlan:
        """Return the plan; one with blockers has no splits."""
        self.tested = {str(row["id"]) for row in self.kept.rows if row.get("split") == "test"} if self.kept else set()
        self.has_test = any(row.role == "test" for row in self.rows)
        alone = self.test_only and self.has_test
        self.stay, self.dropped, self.stops = list[StoredRow](), list[LeftOutRow](), list[Blocker]()
        self._sort([row for row in self.rows if row.role == "test" or not alone])
        self.fixed = {row.id: split for row in self.stay if (split := self._fixed(row))}
        samples = tuple(samples_of(self.store, self.settings, self.stay))
        self.stage("Looking for duplicates and contradictions")
        examples = self._without_doubles()
        self.stage("Looking for leaks into the test set")
        if not alone:
            self._stop_at_leaks()
        self._stop_at_undated()
        if not self.stay and not self.stops:
            self.stops.append(Blocker("empty", "There is no row to freeze.", (), "rung data import FILE"))
        if self.stops:
            return FreezePlan(self.test_only, {}, tuple(self.dropped), tuple(self.stops), samples=samples)
        self.stage("Splitting, and looking for leaks between the splits")
        return replace(self._split(examples), samples=samples)

    def _sort(self, rows: Sequence[StoredRow]) -> None:
        """Sort the rows that were not taken out: they stay, or are left out, or block it until they are reviewed."""
        undecided, demanded = list[StoredRow](), list[StoredRow]()
        for row in rows:
            if reason := _left_out(row):
                self.dropped.append(drop(row, reason))
            elif row.state in WAITING and (row.origin == "generated" or row.role == "candidates"):
                if self.leave_out:
                    self.dropped.append(drop(row, "waits for review"))
                else:
                    undecided.append(row)
            elif row.state in WAITING or (self.settings.review.pool == "all" and not row.is_reviewed):
                demanded.append(row)
            else:
                self.stay.append(row)
        self._stop_at_open_review(undecided, demanded)

    def _stop_at_open_review(self, undecided: Sequence[StoredRow], demanded: Sequence[StoredRow]) -> None:
        pool = self.settings.review.pool
        if undecided:
            have = "row has" if len(undecided) == 1 else "rows have"
            opener = "rung review   (or --leave-out-undecided)"
            self._stop("undecided", undecided, f"generated or candidate {have} no decision yet", opener)
        if demanded:
            policy = {"all": "all of your own rows", "sample": "the drawn sample", "trust": "rows sent to review"}
            wait = "row waits" if len(demanded) == 1 else "rows wait"
            what = f"{wait} for review, and the policy asks for {policy[pool]}"
            tested = sum(row.role == "test" for row in demanded)
            if 0 < tested < len(demanded):
                what += f"; {tested:,} are in the test set, and --test-only needs no others"
            trust = '   (or trust these labels: [review] pool = "trust")' if pool == "sample" else ""
            self._stop("unreviewed", demanded, what, "rung review" + trust)

    def _stop(self, kind: str, rows: Sequence[StoredRow], what: str, opener: str, near: str = "") -> None:
        text = f"{len(rows):,} {what}: {named(rows)}.{near}"
        self.stops.append(Blocker(kind, text, tuple(row.id for row in rows), opener))

    def _fixed(self, row: StoredRow) -> SplitName | None:
        """Return the split that a row must go to, None if the split is free."""
        if row.role in FIXED_ROLES:
            return FIXED_ROLES[row.role]
        if row.id in self.tested and not self.has_test:
            return "test"
        if row.origin == "generated" and not self.settings.review.generated_in_test:
            return "train"
        return "validation" if row.mark == "validation" else "train" if row.mark == "train" else None

    def _is_settled(self, kind: str) -> Callable[[str, str], bool]:
        return settled_pairs(self.settled.get(kind, ()))

    def _without_doubles(self) -> Fingerprinted:
        """Leave out duplicates that edits left on the training side; contradictions there are blockers. Return what
        stays.
        """
        rows, known = self.stay, Fingerprinted(row.example for row in self.stay)
        places = [at for at, row in enumerate(rows) if row.role != "validation" and self.fixed.get(row.id) != "test"]
        side = [rows[place] for place in places]
        first = [bool(row.mark) or row.is_kept_by_person for row in side]
        result = dedup(known.take(places), self.settings.dataset.threshold, reviewed=first)
        is_settled = self._is_settled("contradictions")
        pairs = [(side[p.index], side[p.other]) for p in result.pairs if p.kind == "contradiction"]
        self._stop_at_contradictions([pair for pair in pairs if not is_settled(pair[0].id, pair[1].id)])
        gone = {side[each.index].id: each for each in result.removed}
        for row in rows:
            if its := gone.get(row.id):
                entry = drop(row, f"{its.kind} duplicate")
                self.dropped.append({**entry, "kept": side[its.kept].id, "similarity": its.similarity})
        self.stay = [row for row in rows if row.id not in gone]
        return known.take(place for place, row in enumerate(rows) if row.id not in gone)

    def _stop_at_contradictions(self, pairs: Sequence[tuple[StoredRow, StoredRow]]) -> None:
        if not pairs:
            return
        more = f"; and {len(pairs) - 3:,} more" if len(pairs) > 3 else ""
        shown = "; ".join(named(pair) for pair in pairs[:3]) + more
        asks, answer = ("ask", "answer") if len(pairs) > 1 else ("asks", "answers")
        text = f"{counted(len(pairs), 'pair')} {asks} the same question and {answer} it differently: {shown}."
        opener = "rung data fix contradictions, then reject or edit one of each pair"
        rows = tuple(dict.fromkeys(row.id for pair in pairs for row in pair))
        self.stops.append(Blocker("contradictions", text, rows, opener))

    def _stop_at_leaks(self) -> None:
        """Leaks of a fixed test set that nobody settled are blockers.

        They are those that `rung data check` finds, where both rows stay: a phrase is counted over all rows that are
        in.
        """
        held = {row.id: row for row in self.stay if self.fixed.get(row.id) == "test"}
        kept = {row.id: row for row in self.stay if row.id not in held}
        if not held or not kept:
            return
        learnt, validated, tests = list[StoredRow](), list[StoredRow](), list[StoredRow]()
        for row in self.rows:
            if row.state != "rejected":
                is_test = row.role == "test" or row.id in self.tested
                (tests if is_test else validated if row.role == "validation" else learnt).append(row)
        sides = [[row.example for row in side] for side in (learnt, validated, tests)]
        names, against = ([row.id for row in side] for side in ([*learnt, *validated], [*validated, *tests]))
        found = ((names[leak.train], against[leak.test], leak.kind) for leak in leaks_between(*sides)[0])
        is_settled = self._is_settled("leaks")
        leaks = [each for each in found if each[0] in kept and each[1] in held and not is_settled(*each[:2])]
        if leaks:
            shown = ", ".join(
                f"{row} ({kept[row].source}) and test {other} ({held[other].source}): {kind}"
                for row, other, kind in leaks[:3]
            )
            more = f" and {counted(len(leaks) - 3, 'more pair')}" if len(leaks) > 3 else ""
            rows = tuple(dict.fromkeys(row for row, _, _ in leaks))
            text = f"{len(rows):,} {'row leaks' if len(rows) == 1 else 'rows leak'} the test set: {shown}{more}."
            self.stops.append(Blocker("leaks", text, rows, "rung data fix leaks"))

    def _stop_at_undated(self) -> None:
        """Rows that a split by time could not place are blockers."""
        key = self.settings.dataset.split_by
        free = [row for row in self.stay if row.id not in self.fixed]
        bad = [row for row in free if key and date_at(row.example, key) is None]
        if bad:
            near = did_you_mean(key, date_keys([row.example for row in free]))
            what = f'rows hold no ISO date (2026-11-25) under "{key}", by which they are split'
            self._stop("dates", bad, what, "[dataset] split_by in rung.toml", near)

    def _split(self, examples: Fingerprinted) -> FreezePlan:
        """Split what stays: nothing of the pool goes to test where a test set was imported."""
        rows, fixed, given = self.stay, self.fixed, self.settings.dataset
        test = 0.0 if self.has_test else given.test
        shares: dict[SplitName, float] = {
            "train": max(0.0, 1 - given.validation - test), "validation": given.validation, "test": test,
        }  # fmt: skip
        pinned = {at: fixed[row.id] for at, row in enumerate(rows) if row.id in fixed}
        plan = plan_split(examples, given, shares, pinned)
        for conflict in plan.left_out:
            against = rows[conflict.against]
            side = fixed.get(against.id, "test")
            why = {"key": f"shares its key with a {side} row", "between": "joins rows that are fixed in two splits"}
            entry = drop(rows[conflict.index], why.get(conflict.kind, f"too near a {side} row ({conflict.kind})"))
            self.dropped.append({**entry, "against": against.id, "similarity": round(conflict.similarity, 4)})
        across = tuple[PairAcross, ...](
            {"row": rows[c.index].id, "other": rows[c.against].id, "kind": c.kind, "similarity": round(c.similarity, 4)}
            for c in plan.across
        )
        names: tuple[SplitName, ...] = ("test",) if self.test_only else ("train", "validation", "test")
        splits = {name: [rows[i] for i in plan.rows(name)] for name in names}
        if not self.test_only:
            self._take_leaks_out(splits)
        train = [row.example for row in splits.get("train", [])]
        version = self.kept.version if self.kept else None
        same = self.tested and self.tested == {row.id for row in splits["test"]}
        here = {row.id for found in splits.values() for row in found}
        return FreezePlan(
            self.test_only,
            {name: tuple(found) for name, found in splits.items()},
            tuple(self.dropped) if not self.test_only else (),
            _empty_splits(splits),
            across if not self.test_only else (),
            {name: float(share) for name, share in shares.items()},
            plan.rule,
            dict(sorted(Counter(closed_classes(train) or ()).items())) if train else {},
            version if same else None,
            None if same else version,
            sum(len(each & here) > 1 for each in self.settled.get("leaks", ())),
            () if given.split_by else tuple(date_keys(examples)),
        )

    def _take_leaks_out(self, splits: dict[SplitName, list[StoredRow]]) -> None:
        """Leave out of train (and validation) what leaks into test, of train what leaks into validation, to the end.

        With fewer rows a phrase is rarer: also of a test set that was searched for before, there can be more.
        """
        searches: list[tuple[list[SplitName], SplitName]] = [
            (["train", "validation"], "test"), (["train"], "validation"),
        ]  # fmt: skip
        found_nothing = 0
        for learnt, held in cycle(searches):
            bad = self._leaking([row for name in learnt for row in splits[name]], splits[held])
            found_nothing = 0 if bad else found_nothing + 1
            if found_nothing == len(searches):
                return
            for name in learnt:
                self.dropped += [
                    {**drop(row, f"leaks into {held} ({bad[row.id][0]})"), "against": bad[row.id][1]}
                    for row in splits[name]
                    if row.id in bad
                ]
                splits[name] = [row for row in splits[name] if row.id not in bad]

    def _leaking(self, learnt: Sequence[StoredRow], held: Sequence[StoredRow]) -> dict[str, tuple[str, str]]:
        """Return for each learned row (by id) that leaks a held-out row: the kind, and the held-out row's id."""
        if not learnt or not held:
            return {}
        leaks = find_leaks([row.example for row in learnt], [row.example for row in held]).leaks
        is_settled = self._is_settled("leaks")
        found = [(learnt[leak.train].id, leak.kind, held[leak.test].id) for leak in reversed(leaks)]
        return {name: (kind, other) for name, kind, other in found if not is_settled(name, other)}


def _empty_splits(splits: Mapping[SplitName, Sequence[StoredRow]]) -> tuple[Blocker, ...]:
    empty = [name for name in splits if not splits[name]]
    if not empty:
        return ()
    text = f"No row would be left for {' and '.join(empty)}."
    return (Blocker("empty", text, (), "rung data import FILE --as pool, or --as " + empty[0]),)
