"""What a whole check run found: the findings in their order, the counts, what plots draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from curation.checks.base import DataFinding, Severity
from workspace.errors import RungError, did_you_mean

ORDER: dict[Severity, int] = {"blocks": 0, "look": 1, "handled": 2}
FIRST = ("leaks", "contradictions")
"""Blocking findings that are listed first: they spoil what is measured."""


class Ran(BaseModel):
    """One check that ran: how many rows it found; None where it could not run, with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    title: str
    rows: int | None
    reason: str = ""

    def counting(self, rows: int) -> Ran:
        """Return the check with another number of rows."""
        return Ran(name=self.name, title=self.title, rows=rows, reason=self.reason)


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
        """How many checks ran and found nothing."""
        return sum(check.rows == 0 for check in self.checks)

    def found_nothing(self, name: str) -> bool:
        """Whether the check of that name ran, and there is no such finding."""
        ran = any(check.name == name and check.rows is not None for check in self.checks)
        return ran and all(finding.name != name for finding in self.findings)

    def named(self, name: str) -> DataFinding:
        """One finding. Raises RungError with "did you mean" where there is none of that name."""
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
        """The document: the counts first, `blocking` as a number."""
        document = self.model_dump(mode="json")
        return {"blocking": len(self.blocking), **document}


def in_order(findings: Sequence[DataFinding]) -> tuple[DataFinding, ...]:
    """Blocking first (leaks and contradictions at the top), then to look at, then handled; the larger first."""

    def place(finding: DataFinding) -> tuple[int, int, int]:
        first = FIRST.index(finding.name) if finding.name in FIRST else len(FIRST)
        return ORDER[finding.severity], first, -finding.rows

    return tuple(sorted(findings, key=place))
