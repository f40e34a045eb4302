"""Critique and repair: an answer checked against the guideline, and put right."""

from __future__ import annotations

from typing import Any

from curation.generate.edge_cases import TEXT
from curation.generate.material import Material, need
from curation.generate.strategy import Misfit, Order, Strategy, Subject, object_of
from curation.similarity import same_answer


class Critique(Strategy):
    """A candidate with the repaired answer, where the critique changed it."""

    name = "critique"
    about = "an answer checked against the guideline and put right"
    max_tokens = 512
    once = True
    schema = {
        "type": "object",
        "properties": {"critique": TEXT, "output": TEXT},
        "required": ["critique", "output"],
        "additionalProperties": False,
    }

    def subjects(self, material: Material) -> list[Subject]:
        """The seeds, those that nobody reviewed first: there the faults are."""
        need(material.seeds, "no row with an answer", "rung data import FILE")
        return [Subject(seed) for seed in sorted(material.seeds, key=lambda row: row.is_reviewed)]

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The row with the repaired answer."""
        assert order.seed is not None
        found = object_of(text, "critique", "output")
        if same_answer(found["output"], order.seed.example.answer):
            raise Misfit("nothing to repair")
        return dict(order.seed.example.with_answer(found["output"]).row)
