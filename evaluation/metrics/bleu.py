"""BLEU (Papineni et al. 2002) by sacrebleu (Post 2018), divided by 100. Item scores are sentence BLEU with effective
order; the corpus figure is corpus BLEU, which is not their mean. The signature is printed with the report.
"""

from __future__ import annotations

from collections.abc import Sequence

from workspace.extras import require


def score(output: str, expected: str) -> float:
    """Sentence BLEU in 0..1."""
    return min(1.0, float(require("quality", "sacrebleu").sentence_bleu(output, [expected]).score) / 100)


def corpus(outputs: Sequence[str], expected: Sequence[str]) -> tuple[float, str]:
    """Corpus BLEU in 0..1 and sacrebleu's signature."""
    metric = require("quality", "sacrebleu.metrics").BLEU()
    return float(metric.corpus_score(list(outputs), [list(expected)]).score) / 100, str(metric.get_signature())
