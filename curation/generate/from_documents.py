"""A question and its answer from a passage of `documents/`."""

from __future__ import annotations

from typing import Any

from curation.generate.edge_cases import EdgeCases
from curation.generate.material import Material, need
from curation.generate.strategy import Order, Strategy, Subject, fresh_row, object_of


class FromDocuments(Strategy):
    """Rows whose source is a passage; file and line stay with each."""

    name = "from_documents"
    about = "a question and its answer from a passage of documents/"
    schema = EdgeCases.schema
    max_tokens = 400

    def subjects(self, material: Material) -> list[Subject]:
        """The passages; the first seed lends its system message."""
        need(material.passages, "documents/ holds no .md or .txt file", "Put files into documents/")
        first = material.seeds[0] if material.seeds else None
        return [Subject(first, passage) for passage in material.passages]

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The new row."""
        found = object_of(text, "input", "output")
        return fresh_row(order.seed, found["input"], found["output"])
