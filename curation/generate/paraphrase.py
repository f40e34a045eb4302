"""Another wording of an approved row."""

from __future__ import annotations

from typing import Any

from curation.generate.material import Material, last_user, need
from curation.generate.strategy import Misfit, Order, Strategy, Subject, is_one_line, plain, with_question
from curation.similarity import normal


class Paraphrase(Strategy):
    """The seed's input in other words; answer, system message and other keys (a group, a code) stay the seed's."""

    name = "paraphrase"
    about = "an approved row in other words"

    def subjects(self, material: Material) -> list[Subject]:
        """The seeds."""
        need(material.seeds, "no row with an answer", "rung data import FILE")
        return [Subject(seed) for seed in material.seeds]

    def limit(self, subject: Subject) -> int:
        """Twice what the seed may need: two characters a token is dense text."""
        return min(1024, 24 + len(last_user(subject.seed)) if subject.seed else self.max_tokens)

    def survives_cut(self, order: Order, text: str) -> bool:
        """Small models do not stop: of a one-line text the first line is the reply."""
        return order.seed is not None and is_one_line(last_user(order.seed)) and "\n" in text.strip()

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The seed with another input."""
        assert order.seed is not None
        before = last_user(order.seed)
        after = plain(text, before)
        if normal(after) == normal(before):
            raise Misfit("unchanged")
        return with_question(order.seed, after)
