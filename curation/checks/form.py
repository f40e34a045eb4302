"""Answers whose form differs from that of the others: learnt from the rows, not prescribed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence

from curation.checks.base import DataFinding, FindingEvidence, QualityCheck, Subject, Survey, evidence_of
from curation.checks.rules import limit

FEWEST = 30
"""Rows from which a form can be learnt."""


class OddForm(QualityCheck):
    """Structure (JSON, code, list, a code's pattern), and length far off, where nine in ten answers agree."""

    name = "form"
    title = "Odd one out"
    reason = "Nine in ten answers have the same form; a model learns the exceptions too."
    action = "queue"

    def end(self, survey: Survey) -> DataFinding | None:
        """Return rows off the dominant structure, pattern or length, each once."""
        answered = [s for s in survey.sample if s.example.answer]
        if len(answered) < FEWEST:
            return None
        odd: dict[str, FindingEvidence] = {}
        for what, form_of in FORMS:
            _off_dominant(answered, what, form_of, odd)
        _far_too_long(answered, odd)
        self.measures = {"structure": dict(Counter(structure(s.example.answer or "") for s in answered).most_common(8))}
        found = list(odd.values())
        return self.finding(found, ids=[row for e in found for row in e.rows]) if found else None


def structure(answer: str) -> str:
    """Return the structure of an answer: JSON, code, list, one line, or several lines."""
    text = answer.strip()
    if text[:1] in "{[" and text[-1:] in "}]":
        return "JSON"
    if "```" in text:
        return "code"
    if re.search(r"(?m)^\s*(?:[-*•]|\d+[.)])\s+\S.*\n\s*(?:[-*•]|\d+[.)])\s", text):
        return "list"
    return "one line" if "\n" not in text else "several lines"


def code_pattern(answer: str) -> str:
    """Return the first word where it holds a digit, letters and digits by kind: `E11.42 - x` is `A9.9`."""
    first = answer.split()[0] if answer.split() else ""
    if not any(sign.isdigit() for sign in first) or len(first) > 24:
        return "" if first else "nothing"
    return re.sub(r"[a-z]+", "a", re.sub(r"[A-Z]+", "A", re.sub(r"\d+", "9", first)))


def casing(answer: str) -> str:
    """Return the case of a short answer: lower, UPPER, Initial capitals or mixed; longer ones are not judged."""
    words = re.findall(r"[^\W\d_]{2,}", answer)
    if not words or len(words) > 4:
        return ""
    text = "".join(words)
    if text.islower():
        return "lower case"
    if text.isupper():
        return "capitals"
    return "initial capitals" if words[0][0].isupper() else "mixed case"


FORMS: tuple[tuple[str, Callable[[str], str]], ...] = (
    ("form:", structure),
    ("code pattern:", code_pattern),
    ("letter case:", casing),
)


def _off_dominant(
    answered: Sequence[Subject], what: str, form_of: Callable[[str], str], odd: dict[str, FindingEvidence]
) -> None:
    """Add those whose form hardly any row has, where nine in ten have one form."""
    forms = [form_of(s.example.answer or "") for s in answered]
    counts = Counter(forms)
    common, count = counts.most_common(1)[0]
    if not common or count < limit("dominant_form") * len(forms) or count == len(forms):
        return
    for subject, form in zip(answered, forms, strict=True):
        if form != common and counts[form] <= max(3, limit("odd_form") * len(forms)):
            rest = f"{count:,} of {len(forms):,} answers have {common}"
            evidence = evidence_of(f"{what} {form or 'text'}; {rest}", subject)
            odd.setdefault(evidence.key, evidence)


def _far_too_long(answered: Sequence[Subject], odd: dict[str, FindingEvidence]) -> None:
    """Add answers several times as long as the median, where lengths are alike otherwise."""
    lengths = [len((s.example.answer or "").split()) for s in answered]
    ordered = sorted(lengths)
    middle, high = ordered[len(ordered) // 2], ordered[int(len(ordered) * 0.95)]
    border = max(limit("long_answer") * middle, 2 * high, 12)
    for subject, length in zip(answered, lengths, strict=True):
        if length > border:
            evidence = evidence_of(f"{length} words, the median is {middle}", subject)
            odd.setdefault(evidence.key, evidence)
