"""Values that the store returns, never database rows."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from curation.example import Example
from workspace.errors import RungError


def row_id(number: int) -> str:
    """Return the name of the row with this number."""
    return f"r-{number:06d}"


def number_of(name: str) -> int:
    """Return the number behind `r-000123` (or `123`). Raises RungError for anything else."""
    match = re.fullmatch(r"(?:r-)?0*(\d{1,18})", name.strip())
    if match is None:
        raise RungError(f'"{name}" is not the id of a row; ids look like r-000123.', "rung review next", found=name)
    return int(match[1])


Role = Literal["pool", "candidates", "train", "validation", "test"]
Origin = Literal["import", "generated"]
State = Literal["pending", "leased", "approved", "edited", "rejected", "skipped", "unsure", "trusted", "unreviewed"]

ROLES: tuple[Role, ...] = ("pool", "candidates", "train", "validation", "test")
POLICY_ROLES = ("test", "validation", "train", "pool")
"""The user's own rows: the policy says what of them is reviewed. Each role is sampled by itself."""
LEARNT: tuple[Role, ...] = ("pool", "candidates", "train")
"""Roles of rows to learn from: among these duplicates are taken out, and a test item that one holds is a leak."""
OPEN_STATES = ("pending", "skipped", "unsure")
"""Stored states of rows that wait for a decision (`leased` is one of these with a running lease)."""
WAITING = ("leased", *OPEN_STATES)
"""States of rows that wait for a decision, as a row shows them."""
FINAL = ("approve", "edit", "reject")
"""Verdicts that decide a row."""
VERDICT_OF = dict(zip(("approved", "edited", "rejected"), FINAL, strict=True))
"""The verdict that each state of a decided row comes from."""
DECIDED = tuple(VERDICT_OF)


@dataclass(frozen=True, slots=True)
class NewRow:
    """A row to be stored: its `line` (from 1, in the source given beside it) and what is known of it."""

    example: Example
    line: int | None = None
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Added:
    """Result of `Store.add`: the number of each row, in order, and whether it was already there (`twin`: then the
    number is the stored row's), and how many rows of the pool came without an answer. Names are made on request, as
    there may be very many.
    """

    numbers: array[int]
    twin: bytearray
    unanswered: int = 0

    @cached_property
    def ids(self) -> tuple[str, ...]:
        """An id for each row given."""
        return tuple(map(row_id, self.numbers))

    @property
    def fresh(self) -> int:
        """Return the number of rows that are new."""
        return self.twin.count(0)

    @property
    def new(self) -> list[str]:
        """Ids of the rows that were not there before."""
        return [row_id(number) for number, twin in zip(self.numbers, self.twin, strict=True) if not twin]


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that was imported: its path as given, SHA-256, role, and the counts of what became of its lines."""

    id: int
    path: str
    sha256: str
    role: str
    at: str
    counts: Mapping[str, int]


@dataclass(frozen=True)
class StoredRow:
    """One row with everything that is known of it.

    `payload` is its present text as JSON, `original_payload` the text it came with. `source` is `file:line`, or for a
    generated row what made it. `reviewer`, `decision` (id), `guideline` (version) and `automatic` are of the decision
    that counts. `excluded` is the reason it was taken out, with `evidence`; None while it stays in. `mark` pins it to
    a split.
    """

    id: str
    role: Role
    origin: Origin
    state: State
    payload: str
    original_payload: str
    source: str
    source_sha256: str
    line: int | None
    content_hash: str
    meta: Mapping[str, Any]
    mark: str
    queued: str
    excluded: str | None
    evidence: Mapping[str, Any]
    change: int | None
    reviewer: str
    automatic: bool
    decision: int | None
    guideline: int | None
    in_sample: bool
    plan: int | None

    @cached_property
    def example(self) -> Example:
        """The row as it is now."""
        return Example.from_json(self.payload)

    @cached_property
    def original(self) -> Example:
        """The row as it came."""
        return Example.from_json(self.original_payload)

    @property
    def is_reviewed(self) -> bool:
        """True if a decision keeps it: approved or edited."""
        return self.state in ("approved", "edited")

    @property
    def is_kept_by_person(self) -> bool:
        """True if that decision is a person's."""
        return self.is_reviewed and not self.automatic


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the log."""

    id: int
    at: str
    actor: str
    kind: str
    ref: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """An undoable change to many rows: `kind` is exclude, queue or mark; `finding` what it answers."""

    id: int
    at: str
    actor: str
    kind: str
    reason: str
    finding: str
    rows: Sequence[str]
    undone: bool


@dataclass(frozen=True, slots=True)
class Link:
    """Two rows that resemble each other: `kind` is contradiction, minimal_pair or short_near."""

    row: str
    other: str
    kind: str
    similarity: float


@dataclass(frozen=True, slots=True)
class Vote:
    """One standing decision: `payload` is the whole row as it was left, None if it was not touched.

    A `late` one was made beside another that counted already: a third person is to end that.
    """

    id: int
    reviewer: int
    verdict: str
    payload: str | None
    automatic: bool = False
    late: bool = False


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person, or an automatic reviewer (a code table), which never counts as expert review."""

    id: int
    name: str
    role: str
    kind: str
    note: str = ""
    token_until: float | None = None


@dataclass(frozen=True, slots=True)
class Guideline:
    """One version of `guideline.md`, numbered from 1 in the order in which the texts were first seen; `at` in UTC."""

    version: int
    sha256: str
    text: str
    at: str


@dataclass(frozen=True, slots=True)
class Share:
    """One reviewer's standing approvals, edits and rejections; `kind` is person or automatic."""

    name: str
    kind: str
    decided: int
    today: int


@dataclass(frozen=True, slots=True)
class SamplingPlan:
    """A sampling plan as it was drawn: `size` of `population` rows of a role, passed with at most `allowed` faults."""

    id: int
    at: str
    role: str
    seed: int
    population: int
    size: int
    allowed: int
    error: float
    replaces: int | None
