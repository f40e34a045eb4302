"""Labelling outputs for a judge, one by one: what a person has not labelled yet, one label at a time, how far it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from evaluation.judge_labels import ITEMS, Label, Sitting, label_values, labels, labels_file, read_labels
from workspace.appended import append_lines
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
        return read_labels(labels_file(self.sitting, rater))

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
        row = {"id": identity, "value": self.values[said], "reason": reason.strip()}
        append_lines(labels_file(self.sitting, rater), [row])

    def counts(self, rater: str) -> dict[float, int]:
        """How often this person gave each value."""
        found = list(self.given(rater).values())
        return {value: found.count(value) for value in self.values.values()}


def open_labelling(sitting: Sitting, count: int = ITEMS) -> Labelling:
    """The outputs of a sitting; the plan of what is labelled is made where there is none.

    Raises RungError for `pairs`, which people label by comparing.
    """
    return Labelling(sitting, tuple(labels(sitting, count)))
