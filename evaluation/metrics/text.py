"""Metrics of texts. Most score one item in 0..1, from the output and what was expected: exact and normalised match,
labels, SQuAD's token F1, numbers, patterns, refusals, BLEU and chrF by sacrebleu (Post 2018), ROUGE by rouge-score.
F1 over classes, perplexity and a corpus figure are of a whole set, and no mean over its items.
"""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import regex as patterns

from chat.protocols import Ask, Scorer
from workspace.errors import RungError
from workspace.extras import require

PATTERN_SECONDS = 5.0
"""CPU seconds of a pattern on one text: one with a repeat inside a repeat might never end."""
ENDINGS = re.compile(r"[.,;:!?\"'”’»]+(?=\s|$)")
OPENINGS = re.compile(r"(?<!\S)[\"'“‘«]+")
ARTICLES = re.compile(r"\b(a|an|the)\b")
NUMBER = re.compile(r"(?:(?<!\w)[-+−])?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:[eE][-+]?\d+)?")
REFUSAL = re.compile(
    r"\A\W*(?:i(?:'|’)?m (?:really |very |so )?sorry|i am sorry|sorry,|i (?:can(?:'|’)t|cannot|can not|won(?:'|’)t|"
    r"am unable|(?:'|’)?m unable|am not able)|as an ai\b|unfortunately, i)",
    re.I,
)


def exact_match(output: str, expected: str) -> float:
    """1 if both are the same characters, without white space at both ends."""
    return float(output.strip() == expected.strip())


def normalise(text: str) -> str:
    """NFC, case folding, white space collapsed, `. , ; : ! ?` and quotes that end a word taken off. No article or word
    is removed, so `C` is not `C++` and `1` is not `-1`.
    """
    folded = " ".join(unicodedata.normalize("NFC", text).casefold().split())
    return " ".join(OPENINGS.sub("", ENDINGS.sub("", folded)).split())


def normalised_match(output: str, expected: str) -> float:
    """1 if both are the same after normalisation."""
    return float(normalise(output) == normalise(expected))


def label(output: str) -> str:
    """Return the label that an output names: its first line that is not empty, normalised."""
    lines = [line for line in output.splitlines() if line.strip()]
    return normalise(lines[0]) if lines else ""


def accuracy(output: str, expected: str) -> float:
    """1 if the label is right; the mean equals scikit-learn's accuracy_score over the same labels."""
    return float(label(output) == label(expected))


def _tokens(text: str) -> list[str]:
    """Return the normalised tokens of SQuAD's official evaluate-v1.1: lower case, punctuation and articles removed."""
    bare = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return ARTICLES.sub(" ", bare).split()


def token_f1(output: str, expected: str) -> float:
    """SQuAD's F1: harmonic mean of the share of output tokens that are right and of expected tokens that are found.

    1.0 where both have no token, 0.0 if one has none.
    """
    found, wanted = _tokens(output), _tokens(expected)
    if not found or not wanted:
        return float(found == wanted)
    shared = sum((Counter(found) & Counter(wanted)).values())
    return 2 * shared / (len(found) + len(wanted))


def last_number(text: str) -> float | None:
    """Return the last number in a text, None if there is none.

    Thousands separators are read (`2,640`), as are signs (not after a letter or digit: `5-10` ends in 10), decimals,
    exponents and percent signs (which are ignored).
    """
    found = [match[0] for match in NUMBER.finditer(text) if any(c.isdigit() for c in match[0])]
    return float(found[-1].replace(",", "").replace("−", "-")) if found else None


def numeric(tolerance: str = "1e-9") -> Callable[[str, str], float]:
    """Compare the last numbers within a relative tolerance: `numeric:0.01` allows 1%. ValueError for no number."""
    allowed = float(tolerance)

    def within(output: str, expected: str) -> float:
        found, wanted = last_number(output), last_number(expected)
        if found is None or wanted is None:
            return 0.0
        return float(math.isclose(found, wanted, rel_tol=allowed, abs_tol=1e-12))

    return within


def regex(pattern: str) -> Callable[[str, str], float]:
    """The metric `regex:PATTERN`: 1 if the whole output matches. Raises ValueError if it does not compile.

    The metric raises RungError for a pattern that needs more than `PATTERN_SECONDS` on an output.
    """
    try:
        patterns.compile(pattern)
    except patterns.error as error:
        raise ValueError(str(error)) from error
    return lambda output, _: float(matches(pattern, output.strip(), whole=True))


def matches(pattern: str, text: str, *, whole: bool = False) -> bool:
    """True if the pattern occurs in the text, or is the `whole` of it. Raises RungError after `PATTERN_SECONDS`."""
    search = patterns.fullmatch if whole else patterns.search
    try:
        return search(pattern, text, timeout=PATTERN_SECONDS) is not None
    except TimeoutError as error:
        said = f'The pattern "{pattern}" needs more than {PATTERN_SECONDS:g} seconds on the text {text[:80]!r}.'
        hint = "Correct the pattern and run the same command: all answers are kept."
        raise RungError(said, hint, where="metric") from error


def refuses(output: str, stopped: str = "end") -> bool:
    """True for an output that declines to answer, by the openings that models use for it (English), or that the server
    marked as refused. This is rough: read the outputs that it counts.
    """
    return stopped == "refused" or REFUSAL.match(output) is not None


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


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class: its items, precision, recall and F1 (each 0..1)."""

    name: str
    items: int
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class ClassReport:
    """The figures of each class, in the order of their names."""

    macro: float
    micro: float
    each: tuple[ClassFigures, ...]


def class_report(outputs: Sequence[str], expected: Sequence[str]) -> ClassReport:
    """F1 over classes, by scikit-learn's f1_score (0 if it is 0/0): macro is the plain mean over classes, micro is over
    summed counts. Classes are the labels of `expected`; an output that names none counts against its item's class.
    """
    from sklearn.metrics import f1_score, precision_recall_fscore_support

    truth, found = list(map(label, expected)), list(map(label, outputs))
    names = sorted(set(truth))
    figures = zip(*precision_recall_fscore_support(truth, found, labels=names, zero_division=0), strict=True)
    each = tuple(
        ClassFigures(name, int(items), float(precision), float(recall), float(f1))
        for name, (precision, recall, f1, items) in zip(names, figures, strict=True)
    )
    micro = float(f1_score(truth, found, labels=names, average="micro", zero_division=0))
    return ClassReport(sum(one.f1 for one in each) / len(each), micro, each)


def perplexity(scorer: Scorer, asks: Sequence[Ask], answers: Sequence[str]) -> tuple[float, float]:
    """Perplexity of the expected answers: exp(-sum of log-probabilities / units), over tokens and over UTF-8 bytes.

    `answers[i]` is scored after `asks[i]`. Per byte, models with different tokenizers compare; per token they do not.
    Lower is better; the end token counts as a token but adds no byte. Raises ValueError if there is nothing to score.
    """
    scored = scorer.loglikelihoods(asks, answers)
    nats = -math.fsum(total for total, _ in scored)
    tokens = sum(count for _, count in scored)
    size = sum(len(answer.encode()) for answer in answers)
    if not tokens or not size:
        raise ValueError("no answer to score")
    return math.exp(min(nats / tokens, 700.0)), math.exp(min(nats / size, 700.0))
