"""Parts of quality checks: a row under check, evidence, a finding, the check, and the result of a whole run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from curation.example import Example
from curation.mask import Spot, cut_apart, mask
from workspace.counted import counted
from workspace.errors import RungError, did_you_mean
from workspace.json_types import JsonObject

Severity = Literal["blocks", "look", "handled"]
Action = Literal["exclude", "queue"]

EVIDENCE_KEPT = 200
"""Pieces of evidence that a finding keeps in full; all are counted."""
EXCERPT = 160
"""Characters of a row that evidence shows."""
READING = "Reading the rows"
"""The stage in which every check sees each row by itself."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A row under check and its place. `id` is empty outside a project."""

    example: Example
    file: str
    line: int
    id: str = ""
    role: str = "pool"
    origin: str = "import"
    source: str = ""
    reviewed: bool = False

    @property
    def place(self) -> str:
        """Return the place for a person: `rows.jsonl:41`."""
        return f"{self.file}:{self.line}" if self.line else self.file or self.id


class FindingEvidence(BaseModel):
    """Evidence of one row (or two) in a finding. `key` depends on the rows alone: `dismiss leaks:KEY` names it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    key: str
    places: tuple[str, ...]
    rows: tuple[str, ...] = ()
    note: str
    score: float | None = None
    texts: tuple[str, ...] = ()


class DataFinding(BaseModel):
    """One thing that a check found.

    `rows` counts all rows concerned; `ids` are those the fix acts on (in a project); `action` what the fix does:
    `exclude` takes them out, `queue` sends them to review, None if a person has to look.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    severity: Severity
    rows: int
    reason: str
    action: Action | None = None
    what_to_do: str = ""
    evidence: tuple[FindingEvidence, ...] = ()
    ids: tuple[str, ...] = ()
    detail: JsonObject = {}
    pairs: tuple[tuple[str, str], ...] = Field(default=(), exclude=True)
    """Pairs of row ids, in a finding about pairs of a project's rows: a dismissal of the finding names them."""

    @property
    def blocks(self) -> bool:
        """True if it blocks a dataset."""
        return self.severity == "blocks"

    def changed(self, **fields: Any) -> DataFinding:
        """Return the finding with other values in these fields, validated."""
        return DataFinding.model_validate(dict(self) | fields)


@dataclass(frozen=True, slots=True)
class Options:
    """Settings of the user: context length and how tokens are counted, words to look for, what finds names of persons
    (None: nobody looks), a class size to reach. `without` are a project's rows that count as taken out.
    """

    context: int = 0
    count_tokens: Callable[[str], int] | None = None
    words: tuple[str, ...] = ()
    names: Callable[[str], list[Spot]] | None = None
    smallest_class: int = 0
    seed: int = 13
    label_limit: int = 400
    without: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Survey:
    """Input of a check after all rows were seen: a seeded sample, or all rows if there are few."""

    rows: int
    sample: Sequence[Subject]
    options: Options


class QualityCheck:
    """A quality check: `see` each row once, then `end` with a finding or None. `measures` is what plots draw."""

    name = ""
    title = ""
    severity: Severity = "look"
    reason = ""
    action: Action | None = None
    unseen = ""
    """Faults that the check does not cover, if a reader could think that it does."""
    was_stopped = False
    measures: JsonObject = {}

    def see(self, subject: Subject) -> None:
        """Look at one row as it streams by."""

    def end(self, survey: Survey) -> DataFinding | None:
        """Say what was found."""
        return None

    def piled(self, pile: Pile, detail: JsonObject | None = None) -> DataFinding | None:
        """Return the finding of all rows on a pile; None if it is empty."""
        return self.finding(pile.evidence, rows=pile.count, ids=pile.ids, detail=detail) if pile.count else None

    def finding(
        self,
        evidence: Sequence[FindingEvidence],
        *,
        rows: int | None = None,
        ids: Sequence[str] = (),
        detail: JsonObject | None = None,
        reason: str = "",
        severity: Severity | None = None,
        what_to_do: str = "",
        pairs: tuple[tuple[str, str], ...] = (),
    ) -> DataFinding:
        """Return a finding of this check."""
        return DataFinding(
            name=self.name,
            title=self.title,
            severity=severity or self.severity,
            rows=len(evidence) if rows is None else rows,
            reason=reason or self.reason,
            action=self.action,
            what_to_do=what_to_do,
            evidence=tuple(evidence[:EVIDENCE_KEPT]),
            ids=tuple(ids),
            detail=detail or {},
            pairs=pairs,
        )


@dataclass
class Pile:
    """Rows of one finding as they come: all counted, the first ones kept in full."""

    count: int = 0
    evidence: list[FindingEvidence] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)

    def add(self, note: str, subject: Subject, texts: Sequence[str] = ()) -> None:
        """Count a row and keep its id; make its evidence if there is room."""
        self.count += 1
        self.ids += [subject.id] if subject.id else []
        if len(self.evidence) < EVIDENCE_KEPT:
            self.evidence.append(evidence_of(note, subject, texts=texts))


class SingleRowCheck(QualityCheck):
    """A check that looks at each row alone: `fault` gives a note on what is wrong, or None."""

    def __init__(self) -> None:
        self.pile = Pile()

    def fault(self, subject: Subject) -> str | None:
        """Return the fault of this row in a few words; None if it has none."""
        raise NotImplementedError

    def see(self, subject: Subject) -> None:
        """Put the row on the pile where it has a fault."""
        if (note := self.fault(subject)) is not None:
            self.pile.add(note, subject)

    def end(self, survey: Survey) -> DataFinding | None:
        """Return the pile, if there is one."""
        return self.piled(self.pile, self.detail())

    def detail(self) -> JsonObject:
        """Return other counts of the rows that were found."""
        return {}


def evidence_of(
    note: str, *subjects: Subject, score: float | None = None, texts: Sequence[str] = ()
) -> FindingEvidence:
    """Return evidence on rows; what is shown of them is masked and cut to an excerpt."""
    shown = texts or shown_texts(*(subject.example for subject in subjects))
    name = "\n".join(subject.id or subject.example.content_hash for subject in subjects)
    return FindingEvidence(
        key=hashlib.sha256(name.encode()).hexdigest()[:8],
        places=tuple(subject.place for subject in subjects),
        rows=tuple(subject.id for subject in subjects if subject.id),
        note=mask(note),
        score=score,
        texts=tuple(excerpt(text) for text in shown),
    )


def shown_texts(*examples: Example) -> list[str]:
    """Question and answer of each in one line; of long questions so much that the start of the answer is still seen.

    All are cut at the same place: where rows are compared, a cut is no difference.
    """
    longest = max((len(example.answer or "") for example in examples), default=0)
    room = max(EXCERPT - 4 - longest, EXCERPT * 5 // 8)
    shown = []
    for example in examples:
        text = example.question
        if example.answer is not None:
            text = f"{text if len(text) <= room else excerpt(text, room)} -> {example.answer}"
        shown.append(text)
    return shown


def excerpt(text: str, length: int = EXCERPT) -> str:
    """Return the start of a text on one line, with masks, and control characters by name."""
    most = 4 * length
    flat = " ".join(mask(text[:most]).split())
    if len(text) > most and len(flat) < 2 * length:  # the place of the cut may be seen
        flat = " ".join(mask(cut_apart(text, most)).split())
    return flat if len(flat) <= length else flat[: length - 1] + "…"


def one_thread() -> Any:
    """Return a context in which the libraries loaded so far start no threads of their own.

    The vectors are short: on a busy machine the threads wait for each other, and a check took twice the time and twice
    the CPU (docs/measured.md).
    """
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


ORDER: dict[Severity, int] = {"blocks": 0, "look": 1, "handled": 2}
FIRST = ("leaks", "contradictions")
"""Blocking findings that are listed first: they spoil what is measured."""


class Ran(BaseModel):
    """One check that ran: how many rows it found; None if it could not run, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    rows: int | None
    reason: str = ""


class Checkup(BaseModel):
    """`rung data check --json`. `read` = `kept` + `exact` + `near` + `rejected` (+ `taken_out` in a project)."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    scope: str
    files: tuple[str, ...] = ()
    read: int
    kept: int
    exact: int = 0
    near: int = 0
    rejected: int = 0
    known: int = 0
    taken_out: int = 0
    sampled: int | None = None
    """Rows that the statistical checks read, where these were not all."""
    stopped: str = ""
    """A sentence where the check was stopped before its end; checks that did not run have no `rows`."""
    checks: tuple[Ran, ...] = ()
    findings: tuple[DataFinding, ...] = ()
    measures: dict[str, Any] = {}
    seconds: float = 0.0

    @property
    def blocking(self) -> tuple[DataFinding, ...]:
        """Return the findings that block a dataset."""
        return tuple(finding for finding in self.findings if finding.blocks)

    @property
    def clean(self) -> int:
        """Return the number of checks that ran and found nothing."""
        return sum(check.rows == 0 for check in self.checks)

    def found_nothing(self, name: str) -> bool:
        """True if the named check ran and reported no finding."""
        ran = any(check.name == name and check.rows is not None for check in self.checks)
        return ran and all(finding.name != name for finding in self.findings)

    def named(self, name: str) -> DataFinding:
        """Return one finding. Raises RungError with "did you mean" where there is none of that name."""
        for finding in self.findings:
            if finding.name == name:
                return finding
        if self.found_nothing(name):
            raise RungError(f'"{name}" found nothing.', "rung data check", found=name)
        near = did_you_mean(name, [check.name for check in self.checks])
        found = ", ".join(finding.name for finding in self.findings) or "nothing"
        raise RungError(
            f'"{name}" is not a finding.{near} Found: {found}.',
            "rung data check",
            found=name,
        )

    def as_json(self) -> dict[str, Any]:
        """Return the document: the counts first, `blocking` as a number."""
        document = self.model_dump(mode="json")
        return {"blocking": len(self.blocking), **document}


def in_order(findings: Sequence[DataFinding]) -> tuple[DataFinding, ...]:
    """Blocking first (leaks and contradictions at the top), then to look at, then handled; the larger first."""

    def place(finding: DataFinding) -> tuple[int, int, int]:
        first = FIRST.index(finding.name) if finding.name in FIRST else len(FIRST)
        return ORDER[finding.severity], first, -finding.rows

    return tuple(sorted(findings, key=place))


@dataclass(frozen=True, slots=True)
class LastCheck:
    """The last check of a project's rows; `blocking` findings, of which `in_review` wait for reviewers."""

    is_old: bool
    """True if rows were added, fixed, dismissed or restored since, or if there was no check."""
    blocking: int = 0
    in_review: int = 0


def leak_counts(detail: Mapping[str, Any]) -> str:
    """`32 test items in 37 train rows, 40 pairs`: three counts of the same leaks."""
    items, rows = counted(detail["test_items"], "test item"), counted(detail["train_rows"], "train row")
    return f"{items} in {rows}, {counted(detail['pairs'], 'pair')}"
