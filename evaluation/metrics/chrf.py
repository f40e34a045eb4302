"""chrF (Popovic 2015) by sacrebleu, divided by 100: F-score of character n-grams up to 6, beta 2."""

from __future__ import annotations

from collections.abc import Sequence

from workspace.extras import require


def score(output: str, expected: str) -> float:
    """Sentence chrF in 0..1."""
    return min(1.0, float(require("quality", "sacrebleu").sentence_chrf(output, [expected]).score) / 100)


def corpus(outputs: Sequence[str], expected: Sequence[str]) -> tuple[float, str]:
    """Corpus chrF in 0..1 and sacrebleu's signature."""
    metric = require("quality", "sacrebleu.metrics").CHRF()
    return float(metric.corpus_score(list(outputs), [list(expected)]).score) / 100, str(metric.get_signature())
