"""An answer for an input that has none."""

from __future__ import annotations

from typing import Any

from curation.generate.material import Material, need
from curation.generate.strategy import Order, Strategy, Subject, plain


class AnswerInput(Strategy):
    """A draft answer for each unanswered row; held to the closed set where the project has one."""

    name = "answer_input"
    about = "an answer for an imported input that has none"
    max_tokens = 512
    once = True

    def subjects(self, material: Material) -> list[Subject]:
        """The unanswered rows."""
        need(material.unanswered, "no unanswered row", "rung data import FILE  (rows that end with the user's message)")
        return [Subject(row) for row in material.unanswered]

    def closed(self, material: Material) -> tuple[str, ...]:
        """The project's labels."""
        return material.labels

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The row with its answer."""
        assert order.seed is not None
        return dict(order.seed.example.with_answer(plain(text, "\n")).row)
