"""Labelling outputs for a judge, one by one: what a person has not labelled yet, one label at a time, how far it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from evaluation.judge_labels import ITEMS, Label, Sitting, label_values, labels
from workspace.errors import RungError


@dataclass(frozen=True, slots=True)
class Labelling:
    """A judge's outputs for people, in the order in which they are asked; no arm is ever named."""

    sitting: Sitting
    labels: tuple[Label, ...]

    @property
    def values(self) -> Mapping[str, float]:
        """What may be said of an output, and what it counts: yes and no, or 1 to 5."""
        return label_values(self.sitting.settings.judge.kind)

    def given(self, rater: str) -> dict[int, float]:
        """This person's labels by id, the newest of each."""
        path = self.sitting.folder / f"labels.{quote(rater.strip(), safe='')}.jsonl"
        lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
        return {row["id"]: float(row["value"]) for row in map(json.loads, filter(None, lines))}

    def next_for(self, rater: str) -> Label | None:
        """The first output that this person has not labelled."""
        given = self.given(rater)
        return next((label for label in self.labels if label.id not in given), None)

    def record(self, rater: str, identity: int, said: str, reason: str = "") -> None:
        """Write one label at once. Raises RungError for an unknown id or word, or an empty name."""
        if not rater.strip():
            raise RungError("A rater has a name.", "--rater NAME")
        if said not in self.values:
            raise RungError(f'"{said}" is none of {", ".join(self.values)}.')
        if identity not in {label.id for label in self.labels}:
            raise RungError(f"{identity} is not of this sheet.")
        line = json.dumps({"id": identity, "value": self.values[said], "reason": reason.strip()}, ensure_ascii=False)
        path = self.sitting.folder / f"labels.{quote(rater.strip(), safe='')}.jsonl"
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def counts(self, rater: str) -> dict[float, int]:
        """How often this person gave each value."""
        found = list(self.given(rater).values())
        return {value: found.count(value) for value in self.values.values()}


def open_labelling(sitting: Sitting, count: int = ITEMS) -> Labelling:
    """The outputs of a sitting; the plan of what is labelled is made where there is none.

    Raises RungError for `pairs`, which people label by comparing.
    """
    return Labelling(sitting, tuple(labels(sitting, count)))
