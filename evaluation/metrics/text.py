"""Metrics that compare texts: exact and normalised match, labels, SQuAD's token F1, numbers, patterns, refusals.

Each scores one item in 0..1, from the output and what was expected.
"""

import math
import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable

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
    """The metric `regex:PATTERN`: 1 if the whole output matches. Raises ValueError if it does not compile."""
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ValueError(str(error)) from error
    return lambda output, _: float(compiled.fullmatch(output.strip()) is not None)


def refuses(output: str, stopped: str = "end") -> bool:
    """True for an output that declines to answer, by the openings that models use for it (English), or that the server
    marked as refused. This is rough: read the outputs that it counts.
    """
    return stopped == "refused" or REFUSAL.match(output) is not None
