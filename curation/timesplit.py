"""A split by time: what is measured on is newer than what was learnt from. Groups stay whole, as in every split."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from curation.example import Example
from curation.manifest import SplitName
from curation.semantic import Alike
from curation.split import SplitPlan, plan_split
from workspace.folder import folder_named
from workspace.settings import DatasetSettings

RULE = (
    "Split by time, {key}: the newest rows are {newest}; a group of near rows goes where its newest row goes, so that "
    "nothing in train is newer than what it is measured on."
)
DATED = 0.95
"""Share of the rows that must hold a date under a key before a split by it is offered."""
LOOKED_AT = 2000
FEWEST_DAYS = 3


def date_at(example: Example, key: str) -> datetime | None:
    """The ISO 8601 date or time at a dotted path of the row, in UTC; None where there is none."""
    value: Any = example.row
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    if not isinstance(value, str) or not value[:4].isdigit():
        return None
    try:
        found = datetime.fromisoformat(value.strip())
    except ValueError:
        return None
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)


def date_keys(examples: Sequence[Example]) -> list[str]:
    """Keys, one level of nesting deep, under which nearly every row holds an ISO date, and not the same one."""
    looked = examples[:: max(1, len(examples) // LOOKED_AT)]
    names: Counter[str] = Counter()
    days: dict[str, set[date]] = {}
    for example in looked:
        for name in _names(example.row):
            if found := date_at(example, name):
                names[name] += 1
                days.setdefault(name, set()).add(found.date())
    return [name for name, count in names.items() if count >= DATED * len(looked) and len(days[name]) >= FEWEST_DAYS]


def undated(examples: Sequence[Example], key: str) -> list[int]:
    """The rows without a date under `key`."""
    return [index for index, example in enumerate(examples) if date_at(example, key) is None]


def planned(
    examples: Sequence[Example],
    settings: DatasetSettings,
    shares: Mapping[SplitName, float],
    pinned: Mapping[int, SplitName],
) -> SplitPlan:
    """The split as rung.toml asks for it: by chance and class, or with `split_by` by time; with `semantic` questions
    that say the same in other words stay together. Raises RungError where that needs a model that is not there.
    """
    said, alike = _meanings(examples, settings) if settings.semantic else ("", [])
    plan = plan_split(
        examples,
        shares=shares,
        seed=settings.seed,
        threshold=settings.threshold,
        group_by=settings.group_by,
        pinned=pinned,
        alike=alike,
    )
    plan = by_time(plan, examples, settings.split_by, pinned) if settings.split_by else plan
    return replace(plan, rule=plan.rule + said)


def _meanings(examples: Sequence[Example], settings: DatasetSettings) -> tuple[str, list[Alike]]:
    """A sentence on it for the rule, and the questions with one meaning."""
    from chat.local.embed import open_embedder
    from curation.semantic import questions_alike

    embedder = open_embedder(folder_named(settings.semantic_model) if settings.semantic_model else None)
    questions = [example.question for example in examples]
    meaning, alike = questions_alike(embedder, questions, settings.semantic_threshold or None)
    pairs = f"{len(alike):,} pair{'s' * (len(alike) != 1)}"
    return f" Questions with one meaning ({meaning.model}, cosine {meaning.threshold:g}; {pairs}) stay together.", alike


def by_time(
    plan: SplitPlan, examples: Sequence[Example], key: str, pinned: Mapping[int, SplitName] | None = None
) -> SplitPlan:
    """The plan with its free groups placed by their newest date: oldest train, then validation, newest test.

    Pinned rows, and groups that hold one, stay where the plan has them. Rows of one date may stand on two sides; which
    of them do is chance by the plan's seed and their contents, never by their order.
    """
    pinned = pinned or {}
    free = _free_groups(plan, pinned)
    dated = sorted((_newest(rows, examples, key), _lot(plan.seed, rows, examples), rows) for rows in free)
    keeps_test = "test" in pinned.values()
    have = Counter(side for index, side in enumerate(plan.split) if side is not None and pinned.get(index) != "test")
    total = sum(have.values())
    held = have - Counter(side for rows in free for index in rows if (side := plan.split[index]) is not None)
    order: list[SplitName] = ["validation"] if keeps_test else ["test", "validation"]
    split = list(plan.split)
    for name in order:
        wanted = plan.shares.get(name, 0.0) / _open_shares(plan, keeps_test) * total - held[name]
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
    return replace(plan, split=tuple(split), stratified=False, rule=RULE.format(key=key, newest=newest))


def _names(row: Mapping[str, Any]) -> list[str]:
    inner = [f"{name}.{key}" for name, part in row.items() if isinstance(part, Mapping) for key in part]
    return [name for name, part in row.items() if isinstance(part, str)] + inner


def _free_groups(plan: SplitPlan, pinned: Mapping[int, SplitName]) -> list[list[int]]:
    """Rows by group, those without a pinned row and with a place."""
    groups: dict[int, list[int]] = {}
    for index, first in enumerate(plan.group):
        if plan.split[index] is not None and pinned.get(index) != "test":
            groups.setdefault(first, []).append(index)
    return [rows for rows in groups.values() if not any(index in pinned for index in rows)]


def _newest(rows: Sequence[int], examples: Sequence[Example], key: str) -> datetime:
    """The newest date of the rows; of rows without any the oldest there is, so that they are learnt from."""
    dates = [found for index in rows if (found := date_at(examples[index], key))]
    return max(dates, default=datetime.combine(date.min, time.min, UTC))


def _lot(seed: int, rows: Sequence[int], examples: Sequence[Example]) -> bytes:
    """Chance that depends on the seed and on what the rows hold."""
    return min(hashlib.sha256(f"{seed}:{examples[i].content_hash}".encode()).digest() for i in rows)


def _open_shares(plan: SplitPlan, keeps_test: bool) -> float:
    return sum(share for name, share in plan.shares.items() if not (keeps_test and name == "test")) or 1.0
