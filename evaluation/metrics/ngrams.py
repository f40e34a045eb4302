"""BLEU and chrF by sacrebleu (Post 2018), ROUGE by rouge-score. Items are scored one by one; a corpus figure is not
their mean, and is printed with sacrebleu's signature.
"""

from collections.abc import Callable, Sequence
from typing import Literal

from workspace.extras import require

ROUGE_KINDS = ("rouge1", "rouge2", "rougeL", "rougeLsum")


def bleu(output: str, expected: str) -> float:
    """Sentence BLEU (Papineni et al. 2002) with effective order, in 0..1."""
    return min(1.0, float(require("quality", "sacrebleu").sentence_bleu(output, [expected]).score) / 100)


def chrf(output: str, expected: str) -> float:
    """Sentence chrF (Popovic 2015) in 0..1: F-score of character n-grams up to 6, beta 2."""
    return min(1.0, float(require("quality", "sacrebleu").sentence_chrf(output, [expected]).score) / 100)


def corpus(kind: Literal["BLEU", "CHRF"], outputs: Sequence[str], expected: Sequence[str]) -> tuple[float, str]:
    """Return the corpus figure in 0..1 and sacrebleu's signature."""
    metric = getattr(require("quality", "sacrebleu.metrics"), kind)()
    return float(metric.corpus_score(list(outputs), [list(expected)]).score) / 100, str(metric.get_signature())


def rouge(kind: str = "rougeL") -> Callable[[str, str], float]:
    """F-measure of ROUGE (Lin 2004), Porter stemming, 0..1; `rouge:rouge1` is another kind. ValueError if unknown."""
    if kind not in ROUGE_KINDS:
        raise ValueError(f"known: {', '.join(ROUGE_KINDS)}")
    scorer = require("quality", "rouge_score.rouge_scorer").RougeScorer([kind], use_stemmer=True)
    return lambda output, expected: float(scorer.score(expected, output)[kind].fmeasure)
