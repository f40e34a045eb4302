"""Values of a plan and the reasons for them, as they are found."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from training.recipe import Because

PERSON = "set by a person"


@dataclass
class Draft:
    """`values` by the recipe's names, and for each that was worked out a reason."""

    values: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, Because] = field(default_factory=dict)

    def put(self, name: str, value: Any, reason: Because) -> None:
        """Set a value with its reason."""
        self.values[name] = value
        self.reasons[name] = reason

    def override(self, name: str, value: Any) -> None:
        """Take a person's value, where one is set."""
        if value is not None:
            self.put(name, value, Because(text=PERSON, rule="set-by-person", by="person"))
