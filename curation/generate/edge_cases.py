"""Edge cases and hard negatives: minimal pairs, made on purpose."""

from __future__ import annotations

from typing import Any

from curation.generate.material import Material, need
from curation.generate.strategy import Misfit, Order, Strategy, Subject, fresh_row, object_of
from curation.similarity import same_answer

TEXT = {"type": "string"}


class EdgeCases(Strategy):
    """The seed's input, changed as little as possible so that another answer is right."""

    name = "edge_cases"
    about = "a minimal pair: a small change that changes the answer"
    schema = {
        "type": "object",
        "properties": {"input": TEXT, "output": TEXT},
        "required": ["input", "output"],
        "additionalProperties": False,
    }

    def subjects(self, material: Material) -> list[Subject]:
        """The seeds."""
        need(material.seeds, "no row with an answer", "rung data import FILE")
        return [Subject(seed) for seed in material.seeds]

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The changed row. A pair whose answer stayed the same is no minimal pair."""
        assert order.seed is not None
        found = object_of(text, "input", "output")
        if same_answer(found["output"], order.seed.example.answer):
            raise Misfit("not a minimal pair: the answer stayed")
        return fresh_row(order.seed, found["input"], found["output"])
