"""Train, validation and test: rows that are near each other, or share a key, are never on two sides.

Rule for small classes: where the answers are a closed set, one group of every class goes to train first; the other
groups go where their class and the split as a whole lack most, so that the shares hold over all classes together.
A split by time measures on newer rows than it learns from.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time
from typing import Any

from curation.example import Example
from curation.likeness.groups import Conflict, Near, find_near
from curation.likeness.words import answer_form, words
from curation.split.manifest import SplitName
from workspace.settings import DatasetSettings

SPLITS: tuple[SplitName, ...] = ("train", "validation", "test")
LABEL_WORDS = 8
"""An answer of fewer words may be a class."""
WHOLE = 10.0
"""Weight of a share missed over all rows, relative to the same share missed in one class."""
RULE = (
    "One group of each class goes to train first; the others go where their class and the split lack most, "
    "so the shares hold over all classes together."
)


@dataclass(frozen=True, slots=True)
class SplitPlan:
    """Split of each row: `split[i]` of row i, None if it is left out; all indices in input order.

    `left_out` has the row against which each such row is left out; `across` the near pairs with different answers
    that stay on two sides because both, or the test row, were pinned; `group[i]` the first row of i's group.
    """

    split: tuple[SplitName | None, ...]
    group: tuple[int, ...]
    left_out: tuple[Conflict, ...]
    across: tuple[Conflict, ...]
    rule: str = RULE

    def rows(self, split: SplitName) -> list[int]:
        """Return the rows of one split, in input order."""
        return [index for index, name in enumerate(self.split) if name == split]


def plan_split(
    examples: Sequence[Example],
    settings: DatasetSettings,
    shares: Mapping[SplitName, float],
    pinned: Mapping[int, SplitName],
) -> SplitPlan:
    """Plan the split as rung.toml asks for it: by chance and class, or with `split_by` by time.

    The same rows and seed give the same plan, in whatever order the rows come.

    Groups: near, exact and short near questions whatever their answers, and rows with the same value of the key
    `group_by` (a dotted path into the row). `pinned` rows stay where they are. Pinned test rows are the whole test
    set; other pinned rows count towards their split's share. A row that is near a pinned test row and has the same
    answer, or asks the same question, is left out, and so is one that shares its key; a pinned train row likewise
    against a pinned validation row.
    """
    keys = [group_key(example, settings.group_by) for example in examples]
    near = find_near(examples, settings.threshold, keys)
    left_out, across = _conflicts(near, pinned, len(examples))
    gone = {conflict.index for conflict in left_out}
    group = near.groups([i for i in range(len(examples)) if i not in gone and pinned.get(i) != "test"], pinned)
    classes = closed_classes(examples)
    placed = _place(examples, group, classes, pinned, _wanted(shares, pinned), settings.seed)
    split = tuple(None if i in gone else placed.get(i, pinned.get(i)) for i in range(len(examples)))
    left_out += [Conflict(i, i, "between", 1.0) for i in group if split[i] is None and i not in gone]
    plan = SplitPlan(
        split,
        tuple(group.get(i, i) for i in range(len(examples))),
        tuple(sorted(left_out, key=lambda conflict: conflict.index)),
        tuple(across),
    )
    return _by_time(plan, examples, settings, shares, pinned) if settings.split_by else plan


def closed_classes(examples: Sequence[Example]) -> list[str] | None:
    """Return the class of each row where the answers are a closed set: short, and given twice on average; else None."""
    forms = [answer_form(example.answer) if example.answer is not None else "" for example in examples]
    labels = [form for form in forms if form and len(words(form)) < LABEL_WORDS]
    if len(labels) < 0.9 * len(forms) or len(set(labels)) * 2 > len(labels):
        return None
    return forms


def group_key(example: Example, path: str) -> str | None:
    """Return the value at a dotted path of the row, as text; None if there is none."""
    value = _value_at(example, path) if path else None
    return None if value is None else repr(value)


def _value_at(example: Example, path: str) -> Any:
    value: Any = example.row
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _conflicts(near: Near, pinned: Mapping[int, SplitName], count: int) -> tuple[list[Conflict], list[Conflict]]:
    """Return rows that cannot stay because of a pinned row, and pairs that stay across although they are near."""
    test = [i for i, split in pinned.items() if split == "test"]
    others = [i for i in range(count) if pinned.get(i) != "test"]
    left_out, across = near.against(test, others, [i for i in others if i not in pinned])
    gone = {conflict.index for conflict in left_out}
    validation = [i for i, split in pinned.items() if split == "validation" and i not in gone]
    train = [i for i, split in pinned.items() if split == "train" and i not in gone]
    more, also = near.against(validation, train, [])
    left_out += more
    gone |= {conflict.index for conflict in more}
    return left_out, [c for c in (*across, *also) if c.index not in gone and c.against not in gone]


def _wanted(shares: Mapping[SplitName, float], pinned: Mapping[int, SplitName]) -> dict[SplitName, float]:
    """Return shares of the rows outside a pinned test set, adding up to 1."""
    open_splits = {s: share for s, share in shares.items() if share > 0 and not (s == "test" and s in pinned.values())}
    total = sum(open_splits.values())
    return {s: open_splits[s] / total for s in SPLITS if s in open_splits}


def _place(
    examples: Sequence[Example],
    group: Mapping[int, int],
    classes: list[str] | None,
    pinned: Mapping[int, SplitName],
    shares: dict[SplitName, float],
    seed: int,
) -> dict[int, SplitName]:
    """Return the split of each row in `group`; rows of a group that holds pinned rows of two splits get none."""
    members: dict[int, list[int]] = {}
    for index, first in group.items():
        members.setdefault(first, []).append(index)
    kinds = classes or [""] * len(examples)
    tally = _Tally(shares, Counter(kinds[i] for i in group))
    placed: dict[int, SplitName] = {}
    open_groups = []
    for rows in members.values():
        held = {pinned[i] for i in rows if i in pinned}
        if held:
            placed |= dict.fromkeys(rows, next(iter(held))) if len(held) == 1 else {}
            placed |= {i: pinned[i] for i in rows if i in pinned}
            for i in placed.keys() & rows:
                tally.have[placed[i]][kinds[i]] += 1
        else:
            open_groups.append((min(_lot(seed, examples[i]) for i in rows), rows))
    for rows, split in tally.distribute(open_groups, kinds, classes is not None):
        placed |= dict.fromkeys(rows, split)
    return placed


def _lot(seed: int, example: Example) -> bytes:
    """Return a row's lot: chance that depends on the seed and on the row, not on its place."""
    return hashlib.sha256(f"{seed}:{example.content_hash}".encode()).digest()


class _Tally:
    """Number of rows of each class in each split, and what it lacks."""

    def __init__(self, shares: dict[SplitName, float], total: Counter[str]) -> None:
        self.shares = shares
        self.total = total
        self.rows = max(1, sum(total.values()))
        self.have: dict[SplitName, Counter[str]] = {split: Counter() for split in SPLITS}

    def distribute(
        self, groups: list[tuple[bytes, list[int]]], kinds: Sequence[str], stratified: bool
    ) -> list[tuple[list[int], SplitName]]:
        """Return a split for each group: one of every class to train, then the largest first where most is lacking."""
        out: list[tuple[list[int], SplitName]] = []
        rest = []
        for lot, rows in sorted(groups):
            mine = Counter(kinds[i] for i in rows)
            if stratified and "train" in self.shares and any(not self.have["train"][kind] for kind in mine):
                self.have["train"].update(mine)
                out.append((rows, "train"))
            else:
                rest.append((-len(rows), lot, rows, mine))
        for _, _, rows, mine in sorted(rest, key=lambda entry: entry[:2]):
            split = max(self.shares, key=lambda name: self.lack(name, mine))
            self.have[split].update(mine)
            out.append((rows, split))
        return out

    def lack(self, split: SplitName, kinds: Counter[str]) -> float:
        """Return how far `split` is short of these classes and of all rows, as weighted shares."""
        size = sum(kinds.values())
        mine = sum(
            count * (self.shares[split] - self.have[split][kind] / self.total[kind]) for kind, count in kinds.items()
        )
        return mine / size + WHOLE * (self.shares[split] - sum(self.have[split].values()) / self.rows)


BY_TIME = (
    "Split by time, {key}: the newest rows are {newest}; a group of near rows goes where its newest row goes, so that "
    "nothing in train is newer than what it is measured on."
)
DATED = 0.95
"""Share of the rows that must hold a date under a key before a split by it is offered."""
DATES_LOOKED_AT = 2000
FEWEST_DAYS = 3


def date_at(example: Example, key: str) -> datetime | None:
    """Return the ISO 8601 date or time at a dotted path of the row, in UTC; None if there is none."""
    value = _value_at(example, key)
    if not isinstance(value, str) or not value[:4].isdigit():
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def date_keys(examples: Sequence[Example]) -> list[str]:
    """Return keys, one level of nesting deep, under which nearly every row holds an ISO date, and not the same one."""
    looked = examples[:: max(1, len(examples) // DATES_LOOKED_AT)]
    names: Counter[str] = Counter()
    days: dict[str, set[date]] = {}
    for example in looked:
        for name in _names(example.row):
            if found := date_at(example, name):
                names[name] += 1
                days.setdefault(name, set()).add(found.date())
    return [name for name, count in names.items() if count >= DATED * len(looked) and len(days[name]) >= FEWEST_DAYS]


def _by_time(
    plan: SplitPlan,
    examples: Sequence[Example],
    settings: DatasetSettings,
    shares: Mapping[SplitName, float],
    pinned: Mapping[int, SplitName],
) -> SplitPlan:
    """Return the plan with its free groups placed by their newest date: oldest train, then validation, newest test.

    Pinned rows, and groups that hold one, stay where the plan has them. Rows of one date may be on two sides; which
    of them do is chance by the seed and their contents, never by their order.
    """
    key = settings.split_by
    free = _free_groups(plan, pinned)
    lots = [min(_lot(settings.seed, examples[i]) for i in rows) for rows in free]
    dated = sorted((_newest(rows, examples, key), lot, rows) for lot, rows in zip(lots, free, strict=True))
    keeps_test = "test" in pinned.values()
    have = Counter(side for index, side in enumerate(plan.split) if side is not None and pinned.get(index) != "test")
    total = sum(have.values())
    held = have - Counter(side for rows in free for index in rows if (side := plan.split[index]) is not None)
    order: list[SplitName] = ["validation"] if keeps_test else ["test", "validation"]
    every = sum(share for name, share in shares.items() if not (keeps_test and name == "test")) or 1.0
    split = list(plan.split)
    for name in order:
        wanted = shares.get(name, 0.0) / every * total - held[name]
        empty = wanted > 0 and not held[name]
        while dated and (empty or wanted >= len(dated[-1][2]) / 2):
            rows = dated.pop()[2]
            wanted, empty = wanted - len(rows), False
            for index in rows:
                split[index] = name
    for _, _, rows in dated:
        for index in rows:
            split[index] = "train"
    newest = (
        "validation, outside the test set, which stays as it was" if keeps_test else "the test set, then validation"
    )
    return replace(plan, split=tuple(split), rule=BY_TIME.format(key=key, newest=newest))


def _names(row: Mapping[str, Any]) -> list[str]:
    inner = [f"{name}.{key}" for name, part in row.items() if isinstance(part, Mapping) for key in part]
    return [name for name, part in row.items() if isinstance(part, str)] + inner


def _free_groups(plan: SplitPlan, pinned: Mapping[int, SplitName]) -> list[list[int]]:
    """Return rows by group, those without a pinned row and with a place."""
    groups: dict[int, list[int]] = {}
    for index, first in enumerate(plan.group):
        if plan.split[index] is not None and pinned.get(index) != "test":
            groups.setdefault(first, []).append(index)
    return [rows for rows in groups.values() if not any(index in pinned for index in rows)]


def _newest(rows: Sequence[int], examples: Sequence[Example], key: str) -> datetime:
    """Return the newest date of the rows; of rows without any the oldest there is, so that they are learnt from."""
    dates = [found for index in rows if (found := date_at(examples[index], key))]
    return max(dates, default=datetime.combine(date.min, time.min, UTC))
