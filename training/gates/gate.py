"""One condition that a training run must meet, and the name under which a person may set it aside."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from workspace.folder import Project
from workspace.settings import GateSettings, load_settings

GateName = Literal["decision", "dataset", "review", "leakage", "baseline", "machine"]
ORDER: tuple[GateName, ...] = ("decision", "dataset", "review", "leakage", "baseline", "machine")
"""Gates are always in this order."""

MAY_OVERRIDE: tuple[GateName, ...] = ("decision", "review", "machine")
"""Dataset, leakage and baseline can only be met."""


def policy_of(project: Project) -> GateSettings:
    """Return which gates may be overridden, and by whom: from rung.toml alone. The environment cannot weaken it."""
    return load_settings(project.settings_file, {}).gates


class GateOverride(BaseModel):
    """A gate set aside by a named person, with a reason; printed on the run, the report and the cards."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    gate: GateName
    by: str
    reason: str
    at: datetime


class Gate(BaseModel):
    """The finding of one gate.

    `passed` is None if it could not be checked. `fact` is the line shown; `why` the rule in words, `opener` the
    command that opens it, both empty if it passed. `evidence` holds values that two looks at the same state agree
    on: hashes, counts, limits.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: GateName
    passed: bool | None
    fact: str
    why: str = ""
    opener: str = ""
    rule: str = ""
    shown: str = ""
    evidence: dict[str, str | int | float | bool] = Field(default_factory=dict)
    override: GateOverride | None = None

    @property
    def opens(self) -> bool:
        """True if training may pass: the gate passed, or was overridden by name."""
        return self.passed is True or self.override is not None

    @property
    def symbol(self) -> str:
        """`✓` passed, `✗` not passed, `-` not measured, `!` overridden by a name."""
        if self.override is not None and self.passed is not True:
            return "!"
        return {True: "✓", False: "✗", None: "-"}[self.passed]


Evidence = Mapping[str, str | int | float | bool]


def passed(name: GateName, fact: str, shown: str = "", evidence: Evidence | None = None) -> Gate:
    """Return an open gate. `shown` is at the end of its line: a file and eight characters of its hash."""
    return Gate(name=name, passed=True, fact=fact, shown=shown, evidence=dict(evidence or {}))


def closed(name: GateName, fact: str, why: str, opener: str, rule: str, evidence: Evidence | None = None) -> Gate:
    """Return a gate that says no: the finding, why, and the command that opens it."""
    return Gate(name=name, passed=False, fact=fact, why=why, opener=opener, rule=rule, evidence=dict(evidence or {}))


def unknown(name: GateName, fact: str, opener: str, rule: str, why: str = "") -> Gate:
    """Return a gate that could not be checked, because something before it is missing."""
    return Gate(name=name, passed=None, fact=fact, why=why, opener=opener, rule=rule)
