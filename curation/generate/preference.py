"""Preference pairs: the approved answer, and a worse one."""

from __future__ import annotations

from typing import Any

from curation.generate.material import Material, need
from curation.generate.strategy import Misfit, Order, Strategy, Subject, plain
from curation.similarity import same_answer


class Preference(Strategy):
    """A row `{prompt, chosen, rejected}`: chosen is the seed's answer, rejected the worse one."""

    name = "preference"
    about = "a preference pair: the approved answer and a worse one"
    max_tokens = 512

    def subjects(self, material: Material) -> list[Subject]:
        """The seeds."""
        need(material.seeds, "no row with an answer", "rung data import FILE")
        return [Subject(seed) for seed in material.seeds]

    def row(self, order: Order, text: str) -> dict[str, Any]:
        """The pair. A worse answer that is the same answer is none."""
        assert order.seed is not None
        answer = order.seed.example.answer or ""
        worse = plain(text, answer)
        if same_answer(worse, answer):
            raise Misfit("not worse: the same answer")
        return {
            "prompt": [dict(turn) for turn in order.seed.example.asked],
            "chosen": [{"role": "assistant", "content": answer}],
            "rejected": [{"role": "assistant", "content": worse}],
        }
