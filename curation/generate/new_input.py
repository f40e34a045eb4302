"""A new input for a class: the rarest classes first, for those are the gaps."""

from __future__ import annotations

from typing import Any

from curation.generate.material import Material, last_user, need
from curation.generate.strategy import Order, Strategy, Subject, fresh_row, plain


class NewInput(Strategy):
    """An input whose answer is a given class; needs answers that repeat."""

    name = "new_input"
    about = "a new input for a class that has few rows"

    def subjects(self, material: Material) -> list[Subject]:
        """One row of each class, rarest class first."""
        need(material.labels, "the answers are no classes (hardly any repeats)", "--strategy paraphrase")
        return [Subject(material.by_answer[label][0], label=label) for label in material.labels]

    def values(self, material: Material, subject: Subject) -> dict[str, str]:
        """Samples are inputs of the class alone."""
        same = [last_user(row) for row in material.by_answer[subject.label][:4]]
        return {**super().values(material, subject), "samples": "\n".join(f"- {text}" for text in same)}

    def survives_cut(self, order: Order, text: str) -> bool:
        """Small models do not stop: the first line is the reply."""
        return "\n" in text.strip()

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The new input with the class as its answer."""
        return fresh_row(order.seed, plain(text), order.label)
