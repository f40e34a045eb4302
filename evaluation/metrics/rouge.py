"""ROUGE (Lin 2004) by rouge-score with Porter stemming: the F-measure. `rouge:rouge1`,
`rouge:rouge2`, `rouge:rougeL`.
"""

from __future__ import annotations

from collections.abc import Callable

from workspace.extras import require

KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def make(kind: str = "rougeL") -> Callable[[str, str], float]:
    """The metric of one kind, 0..1. Raises ValueError for an unknown one."""
    if kind not in KINDS:
        raise ValueError(f"known: {', '.join(KINDS)}")
    scorer = require("quality", "rouge_score.rouge_scorer").RougeScorer([kind], use_stemmer=True)
    return lambda output, expected: float(scorer.score(expected, output)[kind].fmeasure)
